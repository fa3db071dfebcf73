"""Jerk around seams: peak jerk and the area under it, in both published forms (FlowMDM).

Joints are (T, 22, 3) in metres, y up, at 20 fps; a seam is the number of the first frame behind it. Jerk is a
third difference over frames (time step one frame, not seconds), so all figures are metres per frame^3.

FlowMDM's code averages the curves of all seams first and takes peak and area of the mean curve; its text
takes them of each seam first and averages then. The first form shows artefacts that every seam has at the
same place, the second those of single seams; the peak of a mean is never above the mean of peaks.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from collage_motion.errors import DataError

from .quality import SEAM_FRAMES, jerk

Floats = NDArray[np.float64]
Joints = Sequence[NDArray[Any]]
Seams = Sequence[Sequence[int]]


def seam_curves(joints_list: Joints, seams_list: Seams, frames: int = SEAM_FRAMES) -> Floats:
    """J(t) around every seam: (S, frames - 3), one row a seam in the order given.

    `joints_list` holds motions (T, 22, 3), `seams_list` the seams of each; the window is centred on the seam.

    Raises:
        DataError: lists of different lengths, no seam at all, or a window that leaves its motion.
    """
    if len(joints_list) != len(seams_list):
        raise DataError(
            f"{len(joints_list)} motions with {len(seams_list)} lists of seams; give one list a motion"
        )
    rows = []
    for number, (joints, seams) in enumerate(zip(joints_list, seams_list, strict=True)):
        if not len(seams):
            continue
        values = jerk(joints)
        for seam in seams:
            start = int(seam) - frames // 2
            if start < 0 or start + frames > len(joints):
                raise DataError(
                    f"motion {number}: the window of {frames} frames around the seam at frame {seam} leaves the "
                    f"motion of {len(joints)} frames; choose segments of at least half the window"
                )
            rows.append(values[start : start + frames - 3])
    if not rows:
        raise DataError("no seam in any motion; jerk at seams needs at least one")
    return np.stack(rows)


def peak_of_mean(curves: ArrayLike) -> float:
    """max_t of the mean curve of seams (S, n): peak jerk as FlowMDM's code has it."""
    return float(_curves(curves).mean(0).max())


def area_of_mean(curves: ArrayLike, j_avg: float) -> float:
    """Sum over t of |mean curve - j_avg| of seams (S, n): area under jerk as FlowMDM's code has it."""
    return float(np.abs(_curves(curves).mean(0) - j_avg).sum())


def peaks(curves: ArrayLike) -> Floats:
    """max_t of each curve (S,): their mean is peak jerk as FlowMDM's text has it."""
    return np.asarray(_curves(curves).max(1))


def areas(curves: ArrayLike, j_avg: float) -> Floats:
    """Sum over t of |curve - j_avg| of each seam (S,): their mean is the area as FlowMDM's text has it."""
    return np.asarray(np.abs(_curves(curves) - j_avg).sum(1))


def peak_jerk(joints_list: Joints, seams_list: Seams, frames: int = SEAM_FRAMES) -> float:
    """Peak jerk over the seams of motions, the form of FlowMDM's code (peak of the mean curve)."""
    return peak_of_mean(seam_curves(joints_list, seams_list, frames))


def area_under_jerk(joints_list: Joints, seams_list: Seams, j_avg: float, frames: int = SEAM_FRAMES) -> float:
    """Area under jerk over the seams of motions, the form of FlowMDM's code; `j_avg`: mean J of real motion."""
    return area_of_mean(seam_curves(joints_list, seams_list, frames), j_avg)


def random_seams(
    joints_list: Joints, count: int, rng: np.random.Generator, frames: int = SEAM_FRAMES
) -> list[list[int]]:
    """`count` random places of motions, every one with room for its window being as likely: a list a motion.

    They stand for these motions frame by frame, so long motions have most of them; places that stand beside the
    seams of captions are `windows.places_beside`.

    Raises:
        DataError: no motion has room for a window.
    """
    room = np.array([max(0, len(joints) - frames + 1) for joints in joints_list], dtype=np.float64)
    if not room.sum():
        raise DataError(f"no motion has {frames} frames; a window needs that many")
    chosen = rng.choice(len(joints_list), count, p=room / room.sum())
    seams: list[list[int]] = [[] for _ in joints_list]
    for index in chosen:
        seams[index].append(int(rng.integers(int(room[index]))) + frames // 2)
    return seams


def mean_jerk(joints_list: Joints) -> float:
    """Mean of J(t) over all frames of motions: the constant j_avg of FlowMDM, of these motions."""
    values = [jerk(joints) for joints in joints_list if len(joints) >= 4]
    if not values:
        raise DataError("no motion has 4 frames; jerk is a third difference")
    return float(np.concatenate(values).mean())


def _curves(curves: ArrayLike) -> Floats:
    array = np.asarray(curves, dtype=np.float64)
    if array.ndim != 2 or 0 in array.shape or not np.isfinite(array).all():
        raise DataError(f"jerk curves of shape {array.shape}; expected (seams, frames - 3) finite numbers")
    return array
