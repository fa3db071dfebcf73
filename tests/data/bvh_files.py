"""Small BVH files and archives made up for the tests."""

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from collage_motion.data.retarget import BANDAI_NAMCO, CMU_CHARACTER, SkeletonMap, _needed
from collage_motion.skeleton import JOINTS

# A standing body in centimetres, y up, facing z, left side at x > 0, for the 22 joints in their order.
_STANDING = {
    "pelvis": (0, 90, 0), "spine1": (0, 105, 0), "spine2": (0, 110, 0), "spine3": (0, 115, 0),
    "neck": (0, 131, 0), "head": (0, 138, 1), "hip": (7, 88, 0), "knee": (8, 48, 2), "ankle": (8, 8, 0),
    "foot": (8, 0, 9), "collar": (5, 128, 0), "shoulder": (12, 128, 0), "elbow": (14, 104, 0),
    "wrist": (15, 82, 2),
}  # fmt: skip


def standing() -> np.ndarray:
    """The pose above as (22, 3) in centimetres."""
    pose = []
    for joint in JOINTS:
        x, y, z = _STANDING[joint.split("_")[-1]]
        pose.append((-x if joint.startswith("right") else x, y, z))
    return np.array(pose, dtype=float)


def walking(n_frames: int, fps: float, speed_cm_s: float = 100.0) -> np.ndarray:
    """A gliding, arm-swinging body (T, 22, 3) in centimetres that goes along z."""
    seconds = np.arange(n_frames) / fps
    joints = np.tile(standing(), (n_frames, 1, 1))
    joints[..., 2] += speed_cm_s * seconds[:, None]
    for side, sign in (("left", 1.0), ("right", -1.0)):
        joints[:, JOINTS.index(f"{side}_wrist"), 2] += sign * 20 * np.sin(2 * np.pi * seconds)
    return joints


def position_bvh(names: Sequence[str], world: np.ndarray, frame_time: float) -> str:
    """A BVH whose joints all hang below the first and carry position channels only: (T, J, 3) world positions."""
    lines = ["HIERARCHY"]
    for index, name in enumerate(names):
        pad = "" if index == 0 else "\t"
        lines += [
            f"{pad}{'ROOT' if index == 0 else 'JOINT'} {name}",
            f"{pad}{{",
            f"{pad}\tOFFSET 9.0 9.0 9.0",
        ]
        lines += [f"{pad}\tCHANNELS 3 Xposition Yposition Zposition"]
        if index > 0:
            lines += [f"{pad}\tEnd Site", f"{pad}\t{{", f"{pad}\t\tOFFSET 0 0 0", f"{pad}\t}}", f"{pad}}}"]
    lines += ["}", "MOTION", f"Frames: {len(world)}", f"Frame Time: {frame_time:.7f}"]
    local = world - world[:, :1]
    local[:, 0] = world[:, 0]
    lines += [" ".join(f"{value:.5f}" for value in frame.ravel()) for frame in local]
    return "\n".join(lines) + "\n"


def skeleton_bvh(joints: np.ndarray, fps: float, skeleton: SkeletonMap = BANDAI_NAMCO) -> str:
    """`joints` (T, 22, 3) in centimetres as a BVH with the joint names that a skeleton map reads."""
    columns = {source: joints[:, k] for k, source in enumerate(skeleton.sources) if isinstance(source, str)}
    if skeleton is CMU_CHARACTER:
        for side in ("left", "right"):
            columns[f"CC_Base_{side[0].upper()}_Foot"] = joints[:, JOINTS.index(f"{side}_ankle")]
    root = str(skeleton.sources[0])
    names = [root, *sorted(_needed(skeleton) - {root})]
    return position_bvh(names, np.stack([columns[name] for name in names], axis=1), 1 / fps)


def write_archive(path: Path, files: Mapping[str, str | bytes]) -> Path:
    """A .tar.xz with these files."""
    with tarfile.open(path, "w:xz", preset=0) as archive:
        for name, text in files.items():
            data = text.encode() if isinstance(text, str) else text
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path
