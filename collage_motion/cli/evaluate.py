"""`collage-motion eval`: how good the motions are, in a table with intervals."""

import sys
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from collage_motion.cli import PROGRAM
from collage_motion.cli.messages import Progressing, StoppedError
from collage_motion.cli.options import number, one_of
from collage_motion.cli.text_files import prompt_warnings_as_lines
from collage_motion.errors import CollageError
from collage_motion.settings import Settings
from collage_motion.yaml_tree import scalar

PROTOCOLS = ("short", "long", "compose", "loop", "extrapolate", "path")
SAY_EVERY_S = 30.0
STOPPED = "stopped by Ctrl-C; what was made is kept, the same command goes on from here"

Output = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        help="The folder of samples and tables: a new or empty one, or that of an earlier run, which then goes on.",
        show_default=False,
    ),
]
ProtocolName = Annotated[
    str,
    typer.Option(parser=one_of(*PROTOCOLS), metavar="|".join(PROTOCOLS), help="What is made and scored."),
]
Methods = Annotated[
    str,
    typer.Option(metavar="NAMES", help="all, or names of methods with commas between them."),
]


def _count(name: str, text: str) -> typer.models.OptionInfo:
    return typer.Option(
        name,
        parser=number(int, 1, 100_000, "whole numbers from 1 to 100,000"),
        metavar="NUMBER",
        help=text,
        show_default=False,
    )


def evaluate(
    output: Output,
    protocol: ProtocolName = "long",
    methods: Methods = "all",
    replications: Annotated[
        int | None,
        _count("--replications", "Times that everything is drawn anew.  [default: 20; 2 with --quick]"),
    ] = None,
    samples: Annotated[
        int | None,
        _count("--samples", "Captions a replication.  [default: 256; 1,024 with --dataset; 32 with --quick]"),
    ] = None,
    model: Annotated[
        str, typer.Option(metavar="NAME", help="A model that `models list` shows, or the folder of one.")
    ] = "default",
    dataset: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="HumanML3D's folder.  [default: the prepared file of COLLAGE_DATA]"
        ),
    ] = None,
    evaluator: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="The folder of the evaluator: with --dataset the released one's (t2m, glove).  [default: our own]",
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            parser=number(int, 0, 2**64 - 1, "whole numbers from 0 to 2^64 - 1"),
            metavar="NUMBER",
            help="What draws and noise are derived from.",
        ),
    ] = 0,
    steps: Annotated[
        int | None,
        _count("--steps", "Denoising steps of all methods.  [default: the library's; 4 with --quick]"),
    ] = None,
    guidance: Annotated[
        float | None,
        typer.Option(
            parser=number(float, 0, 100, "numbers from 0 to 100, usually 1.5 to 4"),
            metavar="SCALE",
            help="Guidance of all methods.  [default: the library's]",
            show_default=False,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Another field of the settings of all methods (short stays one window), such as window=4 or "
            "overlap=1; again for more.",
            show_default=False,
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Where to compute.  [default: the accelerator if there is one, else cpu]"
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A small table within minutes, to see that everything works.")
    ] = False,
    multimodality: Annotated[
        bool, typer.Option("--multimodality", help="Also 30 motions for each of 100 captions a replication.")
    ] = False,
    legacy_caption_length: Annotated[
        bool,
        typer.Option(
            "--legacy-caption-length", help="Read captions as tables from before 2024 did (HumanML3D)."
        ),
    ] = False,
    given: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=DIR",
            help="Also a row of motions that another program made: DIR/r00/00000.npy and so on, joints "
            "(frames, 22, 3) in metres or features (frames, 263), as --list asks for them; again for more.",
            show_default=False,
        ),
    ] = None,
    only_list: Annotated[
        bool,
        typer.Option(
            "--list", help="Write what is asked for (DIR/PROTOCOL.asked.json) and stop, for --given."
        ),
    ] = False,
) -> None:
    """Measure the motions of a model beside real ones: tables, a figure, and all numbers as JSON."""
    from collage_motion.eval.command import Request, run_request  # loads torch

    request = Request(
        output,
        protocol,
        methods,
        replications,
        samples,
        model,
        dataset,
        evaluator,
        seed,
        read_settings(settings or [], steps=steps, guidance=guidance),
        device,
        quick,
        multimodality,
        legacy_caption_length,
        tuple(given or ()),
        only_list,
    )
    with Progressing() as progress, prompt_warnings_as_lines():
        try:
            run_request(request, _Watch(progress))
        except KeyboardInterrupt:
            raise StoppedError(STOPPED) from None


def read_settings(texts: Sequence[str], **given: float | None) -> dict[str, Any]:
    """Fields of `Settings` by name, from `NAME=VALUE` and from options of their own; raises CollageError."""
    found: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    allowed = [field.name for field in fields(Settings) if field.name != "method"]
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in allowed:
            raise CollageError(
                f"--set: got {text[:40]!r}; allowed: NAME=VALUE, where NAME is one of {', '.join(allowed)}"
            )
        if name in found:
            raise CollageError(f"--set: {name} is given twice; give it once")
        found[name] = _value(name, value)
    return found


WORDS = ("variables", "sampler", "spacing", "precision", "padding")
"""Fields that are words, `null` among them."""


def _value(name: str, text: str) -> Any:
    if name in WORDS:
        return text
    try:
        value = scalar(text)
    except ValueError:
        value = ()
    if value is not None and not isinstance(value, bool | int | float | str):
        raise CollageError(f"--set {name}: got {text[:40]!r}; allowed: a number, a word, true, false or null")
    return value


class _Watch:
    """Progress with the time that is left: the bar of a terminal, else a line every half minute."""

    def __init__(self, progress: Progressing) -> None:
        self._progress, self._bar = progress, sys.stderr.isatty()
        self._stage, self._began, self._said = "", 0.0, 0.0

    def begin(self, stage: str) -> None:
        self._stage, self._began = stage, time.monotonic()
        self._said = self._began
        self._progress.begin(stage)

    def step(self, done: int, total: int) -> None:
        if self._bar:
            self._progress.step(done, total)
            return
        now = time.monotonic()
        if done and now - self._said >= SAY_EVERY_S:
            self._said = now
            left = (now - self._began) * (total - done) / done
            line = f"{self._stage}: {done / total:.1%} done, about {duration(left)} left"
            sys.stderr.write(f"{PROGRAM}: {line}\n")
            sys.stderr.flush()

    def say(self, line: str) -> None:
        self._progress.say(line)


def duration(seconds: float) -> str:
    """So many seconds in words that tell how long to wait."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
