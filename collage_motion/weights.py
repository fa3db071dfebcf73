"""Who weighs how much at each frame: the tables (R, T) that `compose.weighted` and `compose.compose` sum with."""

from collections.abc import Iterable

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
    weights = np.zeros(table.frames.shape)
    weights[rows] = np.where(table.valid[rows], _depth(graph)[rows], 0)
    sums = np.bincount(table.frames.ravel(), weights.ravel(), minlength=graph.n_frames)
    return weights / np.where(table.valid, sums[table.frames], 1.0)


def tapered_weights(graph: Graph, rise: int) -> Weights:
    """Counting numbers (DiffCollage eq. 6) that set in gradually: (R, T, 1), or (R, T, C) where channels differ.

    Where windows overlap, a window's weight rises from its end over `rise` frames, in equal steps, to one; what the
    windows lack or have too much to sum to one is taken by the shared pieces in proportion to their counting numbers.
    rise 0 gives the counting numbers themselves; one of the overlap's length or more the passage of `depth_weights`.
    """
    table = graph.index
    outer = np.zeros(len(graph.regions), bool)
    outer[graph.window_numbers] = True
    writes = table.valid[:, :, None] * channels_written(graph)
    windows = np.where(outer[:, None, None], writes, 0.0)
    cover = _on_canvas(graph, windows)
    share = np.minimum(1.0, _depth(graph) / (rise + 1.0))[:, :, None]
    windows = windows * np.where(cover[table.frames] > 1, share, 1.0)
    total = _on_canvas(graph, windows)
    # Rises that meet before they are done would leave the rest to the shared pieces, whose weight must not be positive.
    short = np.where((total > 0.0) & (total < 1.0), total, 1.0)
    windows, total = windows / short[table.frames], total / short
    # Elsewhere the counting numbers stand: of one window, or of several that write different channels.
    of_pieces = np.where(cover > 1, (1.0 - total) / np.minimum(1.0 - cover, -1.0), 1.0)
    pieces = table.counts[:, None, None] * writes * of_pieces[table.frames]
    return np.where(outer[:, None, None], windows, pieces)


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


def _depth(graph: Graph) -> NDArray[np.int64]:
    """How many frames from the nearer end of its region each place (R, T) lies, the first being 1."""
    place = np.arange(graph.index.frames.shape[1])
    return np.minimum(place + 1, graph.index.lengths[:, None] - place)


def _on_canvas(graph: Graph, values: Weights) -> Weights:
    """Sums (F, C) of values (R, T, C) at the frames where they lie."""
    sums = np.zeros((graph.n_frames, values.shape[2]))
    np.add.at(sums, graph.index.frames, values)
    return sums
