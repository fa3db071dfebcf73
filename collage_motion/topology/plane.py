"""Windows on a plane of pixels; pixel (row, column) is frame row * width + column of the canvas."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from collage_motion.counting import counting_numbers
from collage_motion.errors import GraphError
from collage_motion.graph import Graph, Region

Pixels = NDArray[np.int64]
Pair = tuple[int, int]


def grid(rows: int, columns: int, window: Pair, overlap: Pair) -> Graph:
    """`rows` by `columns` windows, each sharing a strip with the next in its row and in its column.

    window, overlap: height and width in pixels. By the counting rule a strip of two windows counts -1, and
    the corner where four meet +1, which DiffCollage's eq. 6 alone would leave out. Windows are read row by
    row, all with the null prompt. Raises GraphError.
    """
    _check_counts(rows, columns, 1, "grid")
    (height, width), (down, across) = _sizes(window, "window"), _sizes(overlap, "overlap", least=0)
    if 2 * down > height or 2 * across > width:
        raise GraphError(
            f"grid: got an overlap of {down} x {across} pixels in windows of {height} x {width}; allowed is at "
            "most half of a window each way"
        )
    pixels = _pixels(rows * (height - down) + down, columns * (width - across) + across)
    windows = [
        pixels[r * (height - down) :, c * (width - across) :][:height, :width]
        for r in range(rows)
        for c in range(columns)
    ]
    return pixel_graph(windows, _neighbours(pixels), pixels.size)


def quincunx(rows: int, columns: int, window: Pair) -> Graph:
    """The paper's grid: windows edge to edge, and others centred where four of them meet (DiffCollage Fig. 2).

    Each window overlaps with four others, a quarter at each corner, and each quarter is a variable node of
    two windows, which counts -1; along the border of the canvas windows meet without overlap. window: height
    and width in pixels, both even. Read and told as in `grid`; raises GraphError.
    """
    _check_counts(rows, columns, 2, "quincunx")
    height, width = _sizes(window, "window")
    if height % 2 or width % 2:
        raise GraphError(
            f"quincunx: got windows of {height} x {width} pixels; both must be even, for quarters"
        )
    pixels = _pixels(rows * height, columns * width)
    windows = [
        pixels[r * height + shift * height // 2 :, c * width + shift * width // 2 :][:height, :width]
        for shift in (0, 1)
        for r in range(rows - shift)
        for c in range(columns - shift)
    ]
    return pixel_graph(windows, _neighbours(pixels), pixels.size)


def pixel_graph(windows: Sequence[Pixels], neighbours: Iterable[Pair], n_pixels: int) -> Graph:
    """Graph of windows of pixels (height, width) and, by the counting rule, of what they share."""
    frames = [tuple(window.ravel().tolist()) for window in windows]
    shared = [Region(piece, None, count) for piece, count in counting_numbers(frames, neighbours)]
    return Graph(n_pixels, (*(Region(f, None, 1) for f in frames), *shared), ())


def touching(pixels: Pixels) -> Iterable[Pair]:
    """Pairs of pixels that follow one another in the rows of an array (height, width)."""
    return zip(pixels[:, :-1].ravel().tolist(), pixels[:, 1:].ravel().tolist(), strict=True)


def _neighbours(pixels: Pixels) -> list[Pair]:
    return [*touching(pixels), *touching(pixels.T)]


def _pixels(height: int, width: int) -> Pixels:
    return np.arange(height * width, dtype=np.int64).reshape(height, width)


def _sizes(pair: Pair, what: str, least: int = 1) -> Pair:
    height, width = pair
    if min(height, width) < least:
        raise GraphError(f"{what}: got {height} x {width} pixels; allowed are {least} or more each way")
    return height, width


def _check_counts(rows: int, columns: int, least: int, what: str) -> None:
    if min(rows, columns) < least:
        raise GraphError(f"{what}: got {rows} x {columns} windows; allowed are {least} or more each way")
