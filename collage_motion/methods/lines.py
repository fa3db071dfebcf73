"""Which graphs are lines: windows one behind the other, as chains and cycles are. No torch."""

from itertools import pairwise

import numpy as np

from collage_motion.errors import GraphError
from collage_motion.graph import Graph


def check_line(graph: Graph, what: str) -> None:
    """Raise GraphError unless every window is a stretch of the canvas, around its end only on a cycle.

    `what` names who cannot do without, as in trees, whose windows pass from branch to branch, and in grids.
    """
    starts = [window.frames[0] for window in graph.windows]
    stretches = all(
        np.all(steps % graph.n_frames == 1 if graph.cyclic else steps == 1)
        for steps in (np.diff(region.frames) for region in graph.regions)
    )
    turns = sum(b <= a for a, b in pairwise(starts))
    if not stretches or turns > graph.cyclic:
        raise GraphError(
            f"{what}: needs windows one behind the other, as in chains and cycles; for other graphs use collage, "
            "consensus or blend without seam factors"
        )
