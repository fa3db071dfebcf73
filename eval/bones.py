"""Whether bones keep their length."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from collage_motion.skeleton import PARENTS

from .quality import checked_joints


class BoneDrift(NamedTuple):
    """Deviation of bone lengths from their median over time, in metres: mean and largest."""

    mean: float
    worst: float


def bone_drift(joints: ArrayLike) -> BoneDrift:
    """How far the lengths of the 21 bones stray from their median over the frames of a motion (T, 22, 3).

    Our own definition. Joints that come from rotations keep their lengths exactly; those of predicted
    positions do not.
    """
    places = checked_joints(joints, least=1)
    lengths = np.linalg.norm(places[:, 1:] - places[:, list(PARENTS[1:])], axis=-1)
    stray = np.abs(lengths - np.median(lengths, axis=0))
    return BoneDrift(float(stray.mean()), float(stray.max()))
