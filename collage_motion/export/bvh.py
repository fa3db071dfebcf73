"""BVH for Blender, Unity, MotionBuilder: the 22 joints from their T-pose, ZXY Euler angles, centimetres."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from collage_motion import rotation
from collage_motion.kinematics import CHILDREN
from collage_motion.motion import Motion
from collage_motion.skeleton import JOINTS

CENTIMETRES = 100.0
"""Units of a BVH per metre: the custom of the format; importers scale by 0.01."""

END_BONES = {"head": 0.17, "foot": 0.06, "wrist": 0.09}
"""Length in metres of the last bones, which carry no joint: crown, toe tips, knuckles."""


def write_bvh(motion: Motion, path: Path, scale: float = CENTIMETRES) -> None:
    """Write the rotations of a motion, from the T-pose of `motion.offsets`, and the path of its root.

    `scale` is units per metre. Angles are written without jumps over time and with enough digits for 0.01 mm.
    """
    order = _depth_first(0)
    lines = ["HIERARCHY", *_joint_lines(motion, 0, 0, scale), "MOTION"]
    lines += [f"Frames: {motion.n_frames}", f"Frame Time: {1 / motion.fps:.8f}"]
    row = " ".join(["%.6f"] * (3 + 3 * len(order)))
    lines += [row % tuple(values) for values in _channel_values(motion, order, scale)]
    path.write_text("\n".join(lines) + "\n", encoding="ascii", newline="\n")


def _depth_first(joint: int) -> list[int]:
    return [joint, *(below for child in CHILDREN[joint] for below in _depth_first(child))]


def _joint_lines(motion: Motion, joint: int, depth: int, scale: float) -> list[str]:
    indent = "\t" * depth
    offset = motion.offsets[joint] * scale if joint else np.zeros(3)
    position = "3" if joint else "6 Xposition Yposition Zposition"
    lines = [
        f"{indent}{'JOINT' if joint else 'ROOT'} {JOINTS[joint]}",
        f"{indent}{{",
        f"{indent}\tOFFSET {_numbers(offset)}",
        f"{indent}\tCHANNELS {position} Zrotation Xrotation Yrotation",
    ]
    for child in CHILDREN[joint]:
        lines += _joint_lines(motion, child, depth + 1, scale)
    if not CHILDREN[joint]:
        end = _end_bone(motion.offsets, joint) * scale
        lines += [
            f"{indent}\tEnd Site",
            f"{indent}\t{{",
            f"{indent}\t\tOFFSET {_numbers(end)}",
            f"{indent}\t}}",
        ]
    return [*lines, f"{indent}}}"]


def _end_bone(offsets: NDArray[np.floating], joint: int) -> NDArray[np.floating]:
    """The bone past a limb's last joint: up for the head, forward for feet, onwards for hands."""
    part = JOINTS[joint].rsplit("_", 1)[-1]
    direction = {"head": np.array([0.0, 1.0, 0.0]), "foot": np.array([0.0, 0.0, 1.0])}.get(part)
    return END_BONES[part] * (rotation.unit(offsets[joint]) if direction is None else direction)


def _channel_values(motion: Motion, order: list[int], scale: float) -> NDArray[np.floating]:
    """The MOTION rows (F, 3 + 66): root position, then z, x, y in degrees of each joint in file order."""
    angles = rotation.to_euler(motion.rotations[:, order].astype(np.float64))
    degrees = np.degrees(rotation.smooth_euler(angles)).reshape(motion.n_frames, -1)
    return np.concatenate((motion.root.astype(np.float64) * scale, degrees), axis=1)


def _numbers(values: NDArray[np.floating]) -> str:
    # Adding zero turns -0.0 into 0.0.
    return " ".join(f"{value + 0.0:.6f}" for value in values.tolist())
