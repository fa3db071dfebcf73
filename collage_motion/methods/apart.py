"""Windows that are each by themselves while there is much noise: the canvas cut up between them."""

from collections import Counter

import numpy as np

from collage_motion.graph import Graph, Region
from collage_motion.weights import depths


def pieces(graph: Graph) -> Graph:
    """The graph of what each window has to itself: every frame goes to the window that it lies deepest in.

    So overlaps are cut in the middle, the earlier window taking the odd frame, and nothing is shared; where a tree
    forks, the branches' common beginning stays with what leads to it. Left out are windows that get no frame, and those
    that are told nothing and whose frames all lie in others: factors on a change of prompt. A piece may be half as long
    as the model's shortest window. A graph whose windows write some channels only is returned as it is.
    """
    if any(region.channels is not None for region in graph.regions):
        return graph
    numbers = graph.window_numbers.tolist()
    cover = np.bincount(np.concatenate([graph.regions[k].frames for k in numbers]), minlength=graph.n_frames)
    for k in graph.window_numbers.tolist():
        inside = list(graph.regions[k].frames)
        if graph.regions[k].prompt is None and (cover[inside] > 1).all():
            numbers.remove(k)
            cover[inside] -= 1
    begun = Counter(graph.regions[k].frames[0] for k in numbers)
    deepest, owner = np.full(graph.n_frames, -1.0), np.zeros(graph.n_frames, np.int64)
    for k, depth in zip(numbers, depths(graph, numbers), strict=True):
        frames = np.array(graph.regions[k].frames)
        if begun[frames[0]] > 1:
            depth = np.where(np.logical_and.accumulate(cover[frames] > 1), 0.0, depth)
        mine = depth > deepest[frames]
        deepest[frames[mine]], owner[frames[mine]] = depth[mine], k
    parts = []
    for k in numbers:
        own = tuple(frame for frame in graph.regions[k].frames if owner[frame] == k)
        if own:
            parts.append(Region(own, graph.regions[k].prompt, 1))
    return Graph(
        graph.n_frames, tuple(parts), graph.prompts, graph.segments, graph.cyclic, graph.n_channels, graph.fps
    )
