"""`collage-motion bridge`: two motions that exist become one, with new motion between them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from collage_motion.card import load_card
from collage_motion.cli.given import read_given
from collage_motion.cli.making import check_targets, make_files
from collage_motion.cli.messages import warn_of_far_prompts
from collage_motion.cli.options import Device, Model, Outputs, Overwrite, Seed, number, one_of
from collage_motion.cli.sampling import ON_GRAPHS_ONLY, check_settings, with_settings
from collage_motion.errors import DataError
from collage_motion.plan import checked_pair

if TYPE_CHECKING:
    from collage_motion.motion import Motion

First = Annotated[
    Path,
    typer.Argument(
        metavar="A", help="A motion: .npz as this program writes it, or .bvh.", show_default=False
    ),
]
Second = Annotated[Path, typer.Argument(metavar="B", help="The motion that follows.", show_default=False)]
Seconds = Annotated[
    float,
    typer.Option(
        parser=number(float, 0.05, 3600, "seconds from 0.05 to 3600, usually 1 to 4"),
        metavar="SECONDS",
        help="How much new motion to put between them: 0.05 to 3600 s, usually 1 to 4.",
    ),
]
Told = Annotated[
    tuple[str, str] | None,
    typer.Option(
        "--prompts",
        metavar="FROM TO",
        help="What A and B show; a .bvh does not say.  [default: as the .npz files say]",
        show_default=False,
    ),
]
Condition = Annotated[
    Literal["replacement", "reconstruction"],
    typer.Option(
        parser=one_of("replacement", "reconstruction"),
        metavar="replacement|reconstruction",
        help="How A and B are held while the bridge is made: by putting them in place, or by a gradient (slower).",
    ),
]


@with_settings(
    "steps", "guidance", "guidance_above", "share_guidance", "overlap", "sampler", "eta", "order", "churn", "restarts",
    "spacing", "precision", "padding", "method", "blend", "taper", "reconstruction_weight", method=ON_GRAPHS_ONLY,
)  # fmt: skip
def bridge(
    first: First,
    second: Second,
    output: Outputs = None,
    seconds: Seconds = 2.0,
    prompts: Told = None,
    condition: Condition = "replacement",
    seed: Seed = 0,
    model: Model = "default",
    device: Device = None,
    overwrite: Overwrite = False,
    *,
    settings: dict[str, Any],
) -> None:
    """Join two motions by new motion between them.

    Both move as they did, to a few millimetres, as their bones become of one length; the second is turned and moved
    as a whole to where the bridge leads.
    """
    check_settings(settings, condition=condition)
    named = checked_pair(prompts, "--prompts") if prompts else None
    targets = check_targets(output, overwrite)
    card = load_card(model)
    texts = named or ("", "")
    one, other = (read_given(path, card, text) for path, text in zip((first, second), texts, strict=True))
    told = named or (one.prompts[-1], other.prompts[0])
    for path, text in zip((first, second), told, strict=True):
        if not text.strip():
            raise DataError(
                f"{path}: nothing says what it shows; add --prompts 'a person walks' 'a person runs'"
            )
    warn_of_far_prompts(told, card)

    def make(model: Any, progress: Any) -> "Motion":
        from collage_motion.bridging import bridge as join

        return join(
            one,
            other,
            seconds,
            model,
            prompts=told,
            condition=condition,
            seed=seed,
            progress=progress,
            **settings,
        )

    make_files(make, model, device, targets, overwrite, seed)
