"""Whether a loop closes: in pose, velocity, place, heading and jerk."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from collage_motion.errors import DataError
from collage_motion.features import features_to_joints, recover_root
from collage_motion.skeleton import N_FEATURES

from .quality import jerk, wrap_gap


class LoopClosure(NamedTuple):
    """What is missing at the wrap of a loop of T frames, from its last frame to its first.

    pose (m), velocity (m/frame): `quality.wrap_gap`, with the 95th percentile of neighbouring frames as
    limits. root (m), heading (degrees): how far the body is from its start after one round, at frame T.
    jerk_ratio: largest jerk of the windows that hold the wrap, over the median inside. contacts: share of the
    four foot contacts that stay the same.
    """

    pose: float
    pose_limit: float
    velocity: float
    velocity_limit: float
    root: float
    heading: float
    jerk_ratio: float
    contacts: float


def unrolled(features: ArrayLike, rounds: int = 2) -> NDArray[np.float64]:
    """Joints (rounds * T, 22, 3) in metres of a loop of raw features (T, 263) played several times in a row.

    The last row's velocities lead from the last frame to the first, so the second round goes on where the
    first ends; a seam at the wrap is a seam at frame T of this.
    """
    rows = _loop(features)
    return np.asarray(features_to_joints(np.concatenate([rows] * rounds)))


def loop_closure(features: ArrayLike) -> LoopClosure:
    """How well a loop of raw features (T, 263), T at least 8, closes.

    Our own definitions; jerk is FlowMDM's (third difference over frames). Raises DataError for other shapes.
    """
    rows = _loop(features)
    n = len(rows)
    joints = unrolled(rows, 2)
    gap = wrap_gap(joints[:n])
    quaternion, root = recover_root(np.concatenate([rows, rows[:1]]))
    turn = 2.0 * np.arctan2(quaternion[n, 2], quaternion[n, 0])  # the quaternion holds half the angle
    values = jerk(joints[: n + 3])
    inside = float(np.median(values[: n - 3]))
    wrapped = float(values[n - 3 :].max())
    last, first = rows[-1, -4:] > 0.5, rows[0, -4:] > 0.5
    return LoopClosure(
        gap.pose,
        gap.pose_limit,
        gap.velocity,
        gap.velocity_limit,
        float(np.linalg.norm((root[n] - root[0])[::2])),
        float(abs(np.degrees((turn + np.pi) % (2 * np.pi) - np.pi))),
        wrapped / inside if inside else (1.0 if wrapped == inside else float("inf")),
        float(np.mean(last == first)),
    )


def _loop(features: ArrayLike) -> NDArray[np.float64]:
    rows = np.asarray(features, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != N_FEATURES or len(rows) < 8 or not np.isfinite(rows).all():
        raise DataError(
            f"features {rows.shape}; a loop is finite numbers (frames, {N_FEATURES}) of 8 frames or more"
        )
    return rows
