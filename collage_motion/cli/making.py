"""What all commands that make a motion do: check the outputs, load the model, make, write, tell."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from collage_motion.cli.messages import Progressing
from collage_motion.cli.options import DEFAULT_OUTPUT
from collage_motion.cli.text_files import prompt_warnings_as_lines
from collage_motion.errors import OutputError

if TYPE_CHECKING:
    from collage_motion.models import Model
    from collage_motion.motion import Motion

    Make = Callable[[Model, Callable[[int, int], None]], Motion]

_FILMS = (".mp4", ".gif")


def check_targets(paths: list[Path] | None, overwrite: bool) -> list[Path]:
    """The outputs, if all can be written and no two are the same; raises OutputError."""
    from collage_motion.export import check_output  # loads scipy, which `inspect` need not wait for

    targets = [check_output(path, overwrite) for path in paths or [DEFAULT_OUTPUT]]
    seen: set[Path] = set()
    for target in targets:
        where = target.resolve()
        if where in seen:
            raise OutputError(f"{target}: named twice as an output; name every file once")
        seen.add(where)
    return targets


def make_files(
    make: "Make", model: str, device: str | None, targets: list[Path], overwrite: bool, seed: int
) -> None:
    """Load the model, let `make` make a motion with it, write the motion to all targets and say so."""
    started = time.monotonic()
    with Progressing() as progress:
        progress.begin("loading the model")
        from collage_motion.models import load_model
        from collage_motion.pipeline import pick_device

        loaded = load_model(model, pick_device(device))
        progress.begin("sampling")
        with prompt_warnings_as_lines():
            motion = make(loaded, progress.step)
        write_all(motion, targets, overwrite, progress)
    typer.echo(
        f"{motion.duration_s:g} s of motion ({motion.n_frames} frames at {motion.fps} a second, seed {seed}) "
        f"in {time.monotonic() - started:.1f} s"
    )


def write_all(motion: "Motion", targets: list[Path], overwrite: bool, progress: Progressing) -> None:
    """Write and name each output; the quick ones first, so that a film that fails costs nothing else."""
    from collage_motion.export import write

    for target in sorted(targets, key=lambda path: path.suffix.lower() in _FILMS):
        progress.begin(f"writing {target.name}")
        write(motion, target, overwrite, progress.step)
        progress.say(f"wrote {target} ({_size(target.stat().st_size)})")


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 1e5 else f"{n_bytes / 1e3:.1f} kB"
