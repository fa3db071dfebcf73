"""`collage-motion generate`: prompts or a plan file to a motion in one or several files."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from collage_motion.card import load_card
from collage_motion.cli.messages import Progressing, warn_of_far_prompts
from collage_motion.cli.options import (
    Loop,
    Model,
    Overlap,
    Overwrite,
    Prompts,
    Variables,
    number,
    one_of,
    read_request,
)
from collage_motion.cli.text_files import prompt_warnings_as_lines
from collage_motion.errors import OutputError
from collage_motion.samplers import SAMPLERS
from collage_motion.settings import Settings
from collage_motion.topology import build

if TYPE_CHECKING:
    from collage_motion.motion import Motion
    from collage_motion.plan import Plan

DEFAULT_OUTPUT = Path("motion.mp4")
_FILMS = (".mp4", ".gif")

Outputs = Annotated[
    list[Path] | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Where to; the suffix picks the format: .mp4 or .gif (film), .bvh (skeleton animation), .npz (all "
        f"arrays). Give it again for more files.  [default: {DEFAULT_OUTPUT}]",
        show_default=False,
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        parser=number(int, 0, 2**64 - 1, "whole numbers from 0 to 2^64 - 1"),
        metavar="NUMBER",
        help="The same seed makes the same motion: 0 to 2^64 - 1.",
    ),
]
Steps = Annotated[
    int,
    typer.Option(
        parser=number(int, 1, 1000, "whole numbers from 1 to 1000"),
        metavar="NUMBER",
        help="Denoising steps, 1 to 1000; more is slower and finer.",
    ),
]
Guidance = Annotated[
    float,
    typer.Option(
        parser=number(float, 0, 100, "numbers from 0 to 100, usually 1.5 to 4"),
        metavar="SCALE",
        help="How closely to follow the prompts: 0 to 100, usually 1.5 to 4; 1 is no guidance.",
    ),
]
Sampler = Annotated[
    str,
    typer.Option(
        parser=one_of(*SAMPLERS),
        metavar="|".join(SAMPLERS),
        help="How noise is taken away; ancestral and edm add fresh noise in every step.",
    ),
]
Padding = Annotated[
    str,
    typer.Option(
        parser=one_of("zeros", "canvas"),
        metavar="zeros|canvas",
        help="What a model without a frame mask is shown behind a window: noised zeros, as in its training, or the "
        "frames that follow.",
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Where to compute: cpu, cuda, cuda:1, mps.  [default: the accelerator if there is one, else cpu]",
        show_default=False,
    ),
]


def generate(
    prompts: Prompts,
    output: Outputs = None,
    loop: Loop = None,
    seed: Seed = 0,
    steps: Steps = Settings.steps,
    guidance: Guidance = Settings.guidance,
    overlap: Overlap = Settings.overlap,
    variables: Variables = Settings.variables,
    sampler: Sampler = Settings.sampler,
    padding: Padding = "zeros",
    model: Model = "default",
    device: Device = None,
    overwrite: Overwrite = False,
) -> None:
    """Make a motion from prompts, or from a plan file, and write it."""
    started = time.monotonic()
    # Everything that can be wrong without the network is found before torch is even loaded.
    plan = read_request(prompts, loop)
    targets = check_targets(output or [DEFAULT_OUTPUT], overwrite)
    card = load_card(model)
    build(plan, card, overlap, variables)
    warn_of_far_prompts(plan, card)
    settings: dict[str, Any] = {
        "steps": steps,
        "guidance": guidance,
        "overlap": overlap,
        "variables": variables,
        "sampler": sampler,
        "padding": padding,
    }
    with Progressing() as progress:
        motion = make(plan, model, device, seed, settings, progress)
        write_all(motion, targets, overwrite, progress)
    typer.echo(
        f"{motion.duration_s:g} s of motion ({motion.n_frames} frames at {motion.fps} a second, seed {seed}) "
        f"in {time.monotonic() - started:.1f} s"
    )


def check_targets(paths: list[Path], overwrite: bool) -> list[Path]:
    """The outputs, if all can be written and no two are the same; raises OutputError."""
    from collage_motion.export import check_output  # loads scipy, which `inspect` need not wait for

    targets = [check_output(path, overwrite) for path in paths]
    seen: set[Path] = set()
    for target in targets:
        where = target.resolve()
        if where in seen:
            raise OutputError(f"{target}: named twice as an output; name every file once")
        seen.add(where)
    return targets


def make(
    plan: "Plan",
    model: str,
    device: str | None,
    seed: int,
    settings: dict[str, Any],
    progress: Progressing,
) -> "Motion":
    """Load the model and sample."""
    progress.begin("loading the model")
    from collage_motion.models import load_model
    from collage_motion.pipeline import generate as sample_motion
    from collage_motion.pipeline import pick_device

    loaded = load_model(model, pick_device(device))
    progress.begin("sampling")
    with prompt_warnings_as_lines():
        return sample_motion(plan, loaded, seed=seed, progress=progress.step, **settings)


def write_all(motion: "Motion", targets: list[Path], overwrite: bool, progress: Progressing) -> None:
    """Write and name each output; the quick ones first, so that a film that fails costs nothing else."""
    from collage_motion.export import write

    for target in sorted(targets, key=lambda path: path.suffix.lower() in _FILMS):
        progress.begin(f"writing {target.name}")
        write(motion, target, overwrite, progress.step)
        progress.say(f"wrote {target} ({_size(target.stat().st_size)})")


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 1e5 else f"{n_bytes / 1e3:.1f} kB"
