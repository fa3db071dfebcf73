"""Who weighs how much at each frame: the tables (R, T) that `compose.weighted` and `compose.compose` sum with."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from collage_motion.errors import GraphError
from collage_motion.graph import Graph

Weights = NDArray[np.float64]


def mean_weights(graph: Graph) -> Weights:
    """Weights (R, T) that average the windows; those of other regions are zero."""
    table, rows = graph.index, outer_regions(graph)
    cover = np.bincount(table.frames[rows][table.valid[rows]], minlength=graph.n_frames)
    weights = np.zeros(table.frames.shape)
    weights[rows] = 1.0 / cover[table.frames[rows]]
    return weights


def depth_weights(graph: Graph) -> Weights:
    """Weights (R, T) of the windows that fall evenly towards their ends and sum to one at each frame.

    In an overlap of two windows, a linear passage from one to the other.
    """
    table, rows = graph.index, outer_regions(graph)
    place = np.arange(table.frames.shape[1])
    depth = np.minimum(place + 1, table.lengths[:, None] - place)
    weights = np.zeros(table.frames.shape)
    weights[rows] = np.where(table.valid[rows], depth[rows], 0)
    sums = np.bincount(table.frames.ravel(), weights.ravel(), minlength=graph.n_frames)
    return weights / np.where(table.valid, sums[table.frames], 1.0)


def tapered_weights(graph: Graph, rise: int) -> Weights:
    """Counting numbers (DiffCollage eq. 6) that set in gradually: (R, T, 1), or (R, T, C) where channels differ.

    From an end that lies under another window, a window's part rises over `rise` frames, in equal steps, to one; a
    shared piece counts as much as the least of the windows that hold it, and the whole is brought to one at every
    frame. So no region's weight jumps where windows begin or end, but where a tree forks. rise 0 gives the counting
    numbers themselves. Frames are those of a time line: on grids of pixels only 0 means something. Raises GraphError
    for a rise below zero.
    """
    if rise < 0:
        raise GraphError(f"taper: got {rise} frames; allowed: 0 (the counting numbers as they are) or more")
    table = graph.index
    weights = table.counts[:, None, None] * table.valid[:, :, None] * channels_written(graph)
    if not rise:
        return weights.astype(np.float64)
    tapered = weights * _parts(graph, rise)[:, :, None]
    sums = _on_canvas(graph, tapered)
    tapered /= np.where(sums > 0.0, sums, 1.0)[table.frames]
    return np.where((sums > 0.0)[table.frames], tapered, weights)


def depths(graph: Graph, numbers: Sequence[int]) -> list[Weights]:
    """How deep the frames of windows lie in them: for each of the regions `numbers` (T,), from 1 at ends that lie under
    another of them; infinity where neither end does.
    """
    cover = np.bincount(np.concatenate([graph.regions[k].frames for k in numbers]), minlength=graph.n_frames)
    found = []
    for k in numbers:
        frames = graph.regions[k].frames
        place = np.arange(len(frames))
        before = place + 1.0 if cover[frames[0]] > 1 else np.inf
        behind = len(frames) - place if cover[frames[-1]] > 1 else np.inf
        found.append(np.broadcast_to(np.minimum(before, behind), len(frames)))
    return found


def _parts(graph: Graph, rise: int) -> Weights:
    """How much of each region counts at its places (R, T): 1 inside, less near ends under other windows."""
    numbers = graph.window_numbers.tolist()
    parts = np.ones(graph.index.frames.shape)
    holding: dict[int, list[int]] = {}
    for k, depth in zip(numbers, depths(graph, numbers), strict=True):
        parts[k, : len(depth)] = np.minimum(depth / (rise + 1.0), 1.0)
        for frame in graph.regions[k].frames:
            holding.setdefault(frame, []).append(k)
    places = {k: {frame: at for at, frame in enumerate(graph.regions[k].frames)} for k in numbers}
    for k in sorted(set(range(len(graph.regions))) - set(numbers)):
        frames = graph.regions[k].frames
        holders = [w for w in holding.get(frames[0], ()) if places[w].keys() >= set(frames)]
        for w in holders:
            own = parts[w, [places[w][frame] for frame in frames]]
            parts[k, : len(frames)] = np.minimum(parts[k, : len(frames)], own)
    return parts


def channels_written(graph: Graph) -> Weights:
    """1 at the channels that each region writes, 0 elsewhere: (R, 1, C), or (R, 1, 1) of ones where all write all."""
    if all(region.channels is None for region in graph.regions):
        return np.ones((len(graph.regions), 1, 1))
    writes = np.zeros((len(graph.regions), 1, graph.n_channels or 0))
    for own, region in zip(writes, graph.regions, strict=True):
        own[:, slice(None) if region.channels is None else list(region.channels)] = 1.0
    return writes


def outer_regions(graph: Graph) -> NDArray[np.int64]:
    """Numbers of the graph's windows; raises GraphError for one that writes some channels only.

    Their predictions could not be averaged.
    """
    check_whole(graph, graph.window_numbers)
    return graph.window_numbers


def check_whole(graph: Graph, rows: Iterable[int]) -> None:
    """Raise GraphError for one of the regions `rows` that writes some channels only."""
    for row in rows:
        if graph.regions[row].channels is not None:
            raise GraphError(
                f"region {row} writes some channels only; averaging needs windows that write all"
            )


def _on_canvas(graph: Graph, values: Weights) -> Weights:
    """Sums (F, C) of values (R, T, C) at the frames where they lie."""
    sums = np.zeros((graph.n_frames, values.shape[2]))
    np.add.at(sums, graph.index.frames, values)
    return sums
