"""Motions made by formula, whose figures are known."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def standing(n_frames: int) -> Floats:
    """A body at rest that faces +z: hips and shoulders across x, toes on the floor."""
    joints = np.zeros((n_frames, 22, 3))
    joints[:, :, 1] = 1.0
    joints[:, (1, 16), 0], joints[:, (2, 17), 0] = 0.1, -0.1
    joints[:, (10, 11), 1] = 0.02
    return joints


def turned(joints: Floats, angle: float) -> Floats:
    """The motion turned about the vertical, positive from +z to +x."""
    cos, sin = np.cos(angle), np.sin(angle)
    return joints @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]).T


def stepping(period: int, n_frames: int) -> Floats:
    """A body that walks along +z at 5 cm a frame, limbs swinging with the period."""
    joints = standing(n_frames)
    phase = 2 * np.pi * np.arange(n_frames) / period
    for joint in (4, 5, 7, 8, 18, 19, 20, 21):
        joints[:, joint, 2] += 0.2 * np.sin(phase + joint)
        joints[:, joint, 1] += 0.1 * np.cos(phase + 2 * joint)
    joints[..., 2] += 0.05 * np.arange(n_frames)[:, None]
    return joints
