"""The surface of a cube of pixels, for pictures in all directions."""

from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collage_motion.errors import GraphError
from collage_motion.graph import Graph
from collage_motion.topology.plane import Pixels, pixel_graph, touching

FACES: Final = "FRBLUD"
"""Front, right, back, left, up, down: the order in which they lie on the canvas."""

# Where a face's columns and rows run; x to the right of the front face, y up, z out of it.
_RIGHT_DOWN: Final = {
    "F": ((1, 0, 0), (0, -1, 0)),
    "R": ((0, 0, -1), (0, -1, 0)),
    "B": ((-1, 0, 0), (0, -1, 0)),
    "L": ((0, 0, 1), (0, -1, 0)),
    "U": ((1, 0, 0), (0, 0, 1)),
    "D": ((1, 0, 0), (0, 0, -1)),
}


def cubemap(size: int, overlap: int | None = None) -> Graph:
    """The six faces as three rings of four, LFRB, UFDB and ULDR (DiffCollage Fig. 2 and appendix A).

    The paper's hierarchy: three factors, the rings, and three variables of degree two, the pairs of opposite
    faces; each ring a cycle graph again, each pair its two faces. Multiplied out, that is what the counting
    rule makes of all windows of the rings: every window +1, the overlaps along a ring -1, and a face, which
    is in two rings and taken away once, +1; a test compares the two.

    size: pixels along an edge. overlap: pixels that neighbours on a ring share, half the size by default;
    what is left of a window must divide the size, so that the faces are windows themselves. A face is size *
    size consecutive frames, row by row, in the order of `FACES`; no window is mirrored. Raises GraphError.
    """
    overlap = size // 2 if overlap is None else overlap
    if size < 1 or not 0 <= overlap < size or size % (size - overlap):
        raise GraphError(
            f"cubemap: got faces of {size} pixels with an overlap of {overlap}; allowed is one that leaves a "
            f"divisor of the size; half the size is usual, which must be even"
        )
    faces = face_pixels(size)
    windows = {frozenset(face.ravel().tolist()): face for face in faces.values()}
    for ring, turns in zip(rings(faces), (0, -1, 0), strict=True):
        around = np.concatenate([ring, ring], axis=1)
        for start in range(0, ring.shape[1], size - overlap):
            window = np.rot90(around[:, start : start + size], turns)
            windows.setdefault(frozenset(window.ravel().tolist()), window)
    closed = [np.concatenate([ring, ring[:, :1]], axis=1) for ring in rings(faces)]
    neighbours = chain.from_iterable(touching(strip) for strip in closed)
    return pixel_graph(list(windows.values()), neighbours, 6 * size * size)


def face_pixels(size: int) -> dict[str, Pixels]:
    """Canvas frames of each face, (size, size)."""
    frames = np.arange(6 * size * size, dtype=np.int64).reshape(6, size, size)
    return dict(zip(FACES, frames, strict=True))


def rings(faces: dict[str, Pixels]) -> tuple[Pixels, Pixels, Pixels]:
    """The three ways around the cube as strips (size, 4 * size) whose columns follow one another.

    LFRB is upright; UFDB runs down and is turned to the left; ULDR goes from U over its right edge to R.
    """
    left, front, right, back, up, down = (faces[name] for name in "LFRBUD")
    level = np.concatenate([left, front, right, back], axis=1)
    upright = np.concatenate([up, front, down, np.rot90(back, 2)], axis=0)
    across = np.concatenate([up, np.rot90(right), np.rot90(down, 2), np.rot90(left, -1)], axis=1)
    return level, np.rot90(upright), across


def positions(size: int) -> NDArray[np.float64]:
    """Where the centre of each frame's pixel lies on the surface of the cube from -1 to 1: (6 * size^2, 3)."""
    steps = (np.arange(size) + 0.5) * 2 / size - 1
    points = []
    for name in FACES:
        right, down = (np.array(axis) for axis in _RIGHT_DOWN[name])
        outward = np.cross(down, right)
        points.append(outward + steps[:, None, None] * down + steps[None, :, None] * right)
    return np.concatenate([face.reshape(-1, 3) for face in points])
