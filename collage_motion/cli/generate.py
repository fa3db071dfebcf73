"""`collage-motion generate`: prompts or a plan file to a motion in one or several files."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from collage_motion.card import load_card
from collage_motion.cli.making import check_targets, make_files
from collage_motion.cli.messages import warn, warn_of_far_prompts
from collage_motion.cli.options import Device, Loop, Model, Outputs, Overwrite, Prompts, Seed, read_request
from collage_motion.cli.sampling import ALL, check_settings, with_settings
from collage_motion.methods.seam_factors import with_seam_factors
from collage_motion.topology import morphing

if TYPE_CHECKING:
    from collage_motion.motion import Motion

Morph = Annotated[
    bool,
    typer.Option("--morph", help="Pass gradually from each segment's prompt to the next one's."),
]


@with_settings(*ALL)
def generate(
    prompts: Prompts,
    output: Outputs = None,
    loop: Loop = None,
    morph: Morph = False,
    seed: Seed = 0,
    model: Model = "default",
    device: Device = None,
    overwrite: Overwrite = False,
    *,
    settings: dict[str, Any],
) -> None:
    """Make a motion from prompts, or from a plan file, and write it."""
    # Everything that can be wrong without the network is found before torch is even loaded.
    plan = read_request(prompts, loop)
    chosen = check_settings(settings, plan.loop)
    if morph:
        chosen.check_gradual()
    targets = check_targets(output, overwrite)
    card = load_card(model)
    if not morph:
        graph = chosen.graph(plan, card)
        if chosen.seam_factors:
            with_seam_factors(graph, chosen.limits(card))
    else:
        morphing(plan, chosen.limits(card), chosen.overlap)
        if any(segment.overlap is not None for segment in plan.segments):
            warn(f"with --morph all windows share {chosen.overlap:g} s (--overlap), whatever the plan says")
    warn_of_far_prompts((segment.prompt for segment in plan.segments), card)

    def make(model: Any, progress: Any) -> "Motion":
        import collage_motion

        maker = collage_motion.morph if morph else collage_motion.generate
        return maker(plan, model, seed=seed, progress=progress, **settings)

    make_files(make, model, device, targets, overwrite, seed)
