"""How well a motion follows keyframes or a path on the ground (GMD, Karunratanakul et al. 2023)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from collage_motion.errors import DataError

from .quality import checked_joints

LIMITS_M: Final = (0.2, 0.5)
"""Distances beyond which a keyframe is missed, in metres."""

Floats = NDArray[np.float64]


class PathErrors(NamedTuple):
    """Figures of several motions together; `failed` and `missed` have one share a limit.

    failed: share of the motions that miss a keyframe. missed: share of the keyframes. mean: distance in
    metres.
    """

    failed: dict[float, float]
    missed: dict[float, float]
    mean: float


def keyframe_distances(joints: ArrayLike, targets: Mapping[int, ArrayLike]) -> Floats:
    """Horizontal distance (K,) of the pelvis from targets, metres, in the order of the targets' frames.

    `joints` (T, 22, 3), `targets` frame -> (x, z); a path is a target at every frame.

    Raises:
        DataError: no target, a frame outside the motion, or a target that is not two finite numbers.
    """
    root = checked_joints(joints, least=1)[:, 0, ::2]
    if not targets:
        raise DataError("no keyframe to compare with; give at least one")
    frames = sorted(targets)
    if frames[0] < 0 or frames[-1] >= len(root):
        outside = frames[0] if frames[0] < 0 else frames[-1]
        raise DataError(f"keyframe at frame {outside}; the motion has frames 0 to {len(root) - 1}")
    wanted = np.array([np.asarray(targets[frame], dtype=np.float64) for frame in frames])
    if wanted.shape != (len(frames), 2) or not np.isfinite(wanted).all():
        raise DataError(f"keyframes of shape {wanted.shape}; each is two finite numbers (x, z) in metres")
    return np.asarray(np.linalg.norm(root[frames] - wanted, axis=1))


def path_errors(distances: Sequence[ArrayLike], limits: Sequence[float] = LIMITS_M) -> PathErrors:
    """Errors over motions from the distances of each one's keyframes (K_i,), as `keyframe_distances` gives
    them.

    GMD's trajectory error is `failed` (any keyframe beyond the limit), its location error `missed`, its mean
    error the mean over all keyframes of all motions.
    """
    rows: list[NDArray[Any]] = [np.asarray(row, dtype=np.float64) for row in distances]
    if not rows or any(row.ndim != 1 or not len(row) for row in rows):
        raise DataError(f"{len(rows)} lists of keyframe distances; give at least one, none of them empty")
    every = np.concatenate(rows)
    return PathErrors(
        {limit: float(np.mean([(row > limit).any() for row in rows])) for limit in limits},
        {limit: float((every > limit).mean()) for limit in limits},
        float(every.mean()),
    )
