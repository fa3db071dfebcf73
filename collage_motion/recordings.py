"""Motions read from files: our own `.npz`, and recordings in `.bvh`."""

from pathlib import Path
from typing import Final

from collage_motion.data.bvh import read_bvh
from collage_motion.data.retarget import retarget
from collage_motion.errors import DataError
from collage_motion.export import read_npz
from collage_motion.motion import Motion

SUFFIXES: Final = (".npz", ".bvh")
"""What `read_motion` reads, by suffix."""


def read_motion(path: str | Path, prompt: str = "") -> Motion:
    """The motion in a file: to join or to edit.

    A `.npz` is one that this program wrote. A `.bvh` may have any skeleton that `data.retarget` knows, and becomes
    a motion as `bridging.motion_from_joints` makes one; it says nothing of what it shows, so `prompt` does. Raises
    DataError naming the file.
    """
    source = Path(path)
    match source.suffix.lower():
        case ".npz":
            return read_npz(source)
        case ".bvh":
            clip = read_bvh(source)
            joints = retarget(clip)
            from collage_motion.bridging import (
                motion_from_joints,  # loads torch, so after all that can be wrong
            )

            try:
                return motion_from_joints(joints, clip.fps, prompt)
            except DataError as error:
                raise DataError(f"{source}: {error}") from error
    found = f"suffix '{source.suffix}'" if source.suffix else "no suffix"
    raise DataError(f"{source}: {found}; a motion is read from {' or '.join(SUFFIXES)}")
