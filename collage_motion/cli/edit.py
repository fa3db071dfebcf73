"""`collage-motion edit`: a motion that exists, changed by another prompt."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from collage_motion.card import load_card
from collage_motion.cli.given import check_length, read_given
from collage_motion.cli.making import check_targets, make_files
from collage_motion.cli.messages import warn_of_far_prompts
from collage_motion.cli.options import Device, Model, Outputs, Overwrite, Seed, is_plan_file, number
from collage_motion.cli.sampling import ALL, ON_GRAPHS_ONLY, check_settings, with_settings
from collage_motion.errors import CollageError
from collage_motion.plan import Segment, read_plan

if TYPE_CHECKING:
    from collage_motion.motion import Motion

Edited = Annotated[
    Path,
    typer.Argument(
        metavar="MOTION", help="A motion: .npz as this program writes it, or .bvh.", show_default=False
    ),
]
Prompt = Annotated[
    str,
    typer.Option(
        metavar="TEXT",
        help="What it shall show, or a YAML plan file (.yaml, .yml) as long as the motion.",
        show_default=False,
    ),
]
Strength = Annotated[
    float,
    typer.Option(
        parser=number(float, 0, 1, "numbers above 0, up to 1, usually 0.3 to 0.8"),
        metavar="SHARE",
        help="How much to change: above 0 to 1, usually 0.3 to 0.8; 1 leaves nothing of the motion.",
    ),
]


@with_settings(
    *(name for name in ALL[:-1] if name not in ("guidance_above", "spread")), method=ON_GRAPHS_ONLY
)
def edit(
    motion: Edited,
    prompt: Prompt,
    output: Outputs = None,
    strength: Strength = 0.5,
    seed: Seed = 0,
    model: Model = "default",
    device: Device = None,
    overwrite: Overwrite = False,
    *,
    settings: dict[str, Any],
) -> None:
    """Change a motion by another prompt, and write the result.

    The motion is put under noise, and that is taken away again under the new prompt.
    """
    check_settings(settings)
    if strength == 0:
        raise CollageError("--strength 0: would change nothing; allowed: above 0 to 1, usually 0.3 to 0.8")
    wanted = read_plan(Path(prompt)) if is_plan_file(prompt) else Segment(prompt, place="--prompt").prompt
    targets = check_targets(output, overwrite)
    card = load_card(model)
    given = read_given(motion, card)
    check_length(motion, given, card)
    told = [wanted] if isinstance(wanted, str) else [segment.prompt for segment in wanted.segments]
    warn_of_far_prompts(told, card)

    def make(model: Any, progress: Any) -> "Motion":
        from collage_motion.bridging import edit as change

        return change(given, wanted, strength, model, seed=seed, progress=progress, **settings)

    make_files(make, model, device, targets, overwrite, seed)
