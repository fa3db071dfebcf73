"""Windows in a row along which the prompts of a plan pass gradually into one another."""

from itertools import pairwise
from typing import Final

from collage_motion.card import Limits, ModelCard
from collage_motion.gradual import Key, Mix, gradual
from collage_motion.graph import Graph
from collage_motion.plan import DEFAULT_OVERLAP, Plan, checked_overlap
from collage_motion.topology.line import segment_bounds

WINDOW_S: Final = 3.0
"""Length of the windows along which prompts change, where the model allows it."""


def morphing(
    plan: Plan, model: ModelCard | Limits, overlap: float = DEFAULT_OVERLAP
) -> tuple[Graph, tuple[str, ...], tuple[Mix, ...]]:
    """The graph of a morph, the plan's different prompts, and the mix of these that each row of its table is.

    A segment's prompt holds in its middle; between two middles windows are told what lies between (DiffCollage
    Fig. 6), as `gradual` has it. overlap: seconds, between all windows; those that the plan names are not used.
    Raises PlanError for a plan too short for the model's windows.
    """
    limits = model.limits if isinstance(model, ModelCard) else model
    bounds = segment_bounds(plan.segments, limits.fps)
    prompts = {text: k for k, text in enumerate(dict.fromkeys(segment.prompt for segment in plan.segments))}
    keys = [
        Key((a + b) / 2, prompts[segment.prompt])
        for (a, b), segment in zip(pairwise(bounds), plan.segments, strict=True)
    ]
    graph, mixes = gradual(
        bounds[-1],
        tuple(prompts),
        keys,
        limits,
        round(checked_overlap(overlap, "the motion") * limits.fps),
        round(WINDOW_S * limits.fps),
        plan.loop,
        list(pairwise(bounds)),
    )
    return graph, tuple(prompts), mixes
