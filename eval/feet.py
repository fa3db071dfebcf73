"""Feet and ground: skating, penetration and floating, as pure functions of joints.

Joints are (T, 22, 3) in metres, y up, at 20 fps, toes are joints 10 and 11. Sliding as a way and a speed is
in `quality`.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import uniform_filter1d

from collage_motion.skeleton import FPS, TOES

from .quality import CONTACT_HEIGHT_M, checked_joints

SKATE_SPEED_M_S: Final = 0.5
"""A toe that stands and yet moves faster than this skates (GMD's constant; its comments say otherwise)."""

SKATE_FRAMES: Final = 5
"""Frames over which the speed is averaged too, so that one bad frame is no skating."""

GROUND_TOLERANCE_M: Final = 0.005
"""Depth or height that does not count (PhysDiff, Yuan et al. 2023)."""

Floats = NDArray[np.float64]


class Ground(NamedTuple):
    """How deep the lowest joint is in the ground and how high above it, in metres, means over frames."""

    penetration: float
    floating: float


def skating_frames(joints: ArrayLike, floor: float = 0.0) -> NDArray[np.bool_]:
    """Which steps between frames (T - 1,) skate, with either foot (GMD, Karunratanakul et al. 2023).

    A toe skates when it is lower than 5 cm at both ends of a step, and its horizontal speed and the mean of
    that over the five steps around (nothing beyond the ends) are above 0.5 m/s.
    """
    toes = checked_joints(joints, least=2)[:, TOES]
    low = toes[..., 1] - floor < CONTACT_HEIGHT_M
    speed = np.linalg.norm(np.diff(toes[..., ::2], axis=0), axis=-1) * FPS
    mean = uniform_filter1d(speed, SKATE_FRAMES, axis=0, mode="constant")
    skating = low[1:] & low[:-1] & (speed > SKATE_SPEED_M_S) & (mean > SKATE_SPEED_M_S)
    return np.asarray(skating.any(axis=1))


def foot_skating_ratio(joints: ArrayLike, floor: float = 0.0) -> float:
    """Share of the steps between frames in which a foot skates (GMD): `skating_frames`."""
    return float(skating_frames(joints, floor).mean())


def ground(joints: ArrayLike, floor: float = 0.0) -> Ground:
    """Depth and height of the lowest joint, beyond 5 mm (PhysDiff, with joints in place of the body's
    surface).

    A jump floats rightly, and joints lie inside the body: compare with the same figures of real motion.
    """
    lowest = checked_joints(joints, least=1)[..., 1].min(axis=1) - floor
    below = np.maximum(-lowest - GROUND_TOLERANCE_M, 0.0)
    above = np.maximum(lowest - GROUND_TOLERANCE_M, 0.0)
    return Ground(float(below.mean()), float(above.mean()))
