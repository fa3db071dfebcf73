"""A lively motion of two prompts, made without a model."""

import numpy as np

from collage_motion import rotation
from collage_motion.kinematics import REST_DIRECTIONS, forward_kinematics, solve_rotations
from collage_motion.motion import Motion


def make_motion(n_frames: int = 24, seed: int = 0) -> Motion:
    """Waving limbs on a body of even bones; turns far enough to pass whole turns and the gimbal lock."""
    rng = np.random.default_rng(seed)
    phases, speeds = rng.uniform(0, 6, size=(22, 3)), rng.uniform(0.02, 0.12, size=(22, 3))
    turns = 0.9 * np.sin(speeds * np.arange(n_frames)[:, None, None] + phases)
    turns[:, 4:6, 0] += 1.2
    turns[:, 0] = [0, 1, 0] * np.linspace(0, 7, n_frames)[:, None]
    q = rotation.from_axis_angle(turns, np.linalg.norm(turns, axis=-1))
    offsets = REST_DIRECTIONS * 0.2
    offsets[[4, 5, 7, 8]] *= 2
    offsets[[1, 2, 13, 14]] += np.array([[0.08, 0, 0], [-0.08, 0, 0], [0, 0.1, 0], [0, 0.1, 0]])
    root = np.stack((0.03 * np.arange(n_frames), np.full(n_frames, 0.9), np.zeros(n_frames)), axis=-1)
    solved, bones = solve_rotations(forward_kinematics(q, offsets, root))
    joints = forward_kinematics(solved, bones, root)
    features = rng.normal(size=(n_frames, 263))
    half = n_frames // 2
    prompts = ("a person walks",) * half + ("a person waves – “hello”",) * (n_frames - half)
    return Motion(features, joints, solved, bones, 20, prompts, (half,), {"seed": seed, "note": "é"})
