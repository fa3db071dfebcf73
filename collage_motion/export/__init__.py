"""Motions to files: the suffix chooses the format, and every file appears whole or not at all."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from collage_motion.errors import OutputError
from collage_motion.export.atomic import check_target, replacing
from collage_motion.export.bvh import write_bvh
from collage_motion.export.npz import read_npz, write_npz
from collage_motion.motion import Motion

Progress = Callable[[int, int], None]
"""Called with (done, total)."""

SUFFIXES: Final = {
    ".npz": "all arrays: joints, rotations, features, prompts, settings",
    ".bvh": "skeleton animation for Blender, Unity and other 3D programs (centimetres)",
    ".mp4": "video of the skeleton",
    ".gif": "small moving picture of the skeleton",
}
"""What can be written, by suffix."""

__all__ = ["SUFFIXES", "check_output", "read_npz", "write"]


def check_output(path: str | Path, overwrite: bool = False) -> Path:
    """The path, if `write` could put a file there now; leaves nothing behind. Meant for before the long work.

    Raises OutputError for an unknown suffix, an existing file without `overwrite`, a folder in the way, a
    missing folder or one that takes no file.
    """
    target = Path(path)
    if target.suffix.lower() not in SUFFIXES:
        found = f"suffix '{target.suffix}'" if target.suffix else "no suffix"
        raise OutputError(
            f"{target}: {found}; the suffix chooses the format and must be one of {' '.join(SUFFIXES)}"
        )
    return check_target(target, overwrite)


def write(
    motion: Motion, path: str | Path, overwrite: bool = False, progress: Progress | None = None
) -> None:
    """Write a motion in the format that the suffix names; `progress` hears of the frames of a video.

    Raises OutputError as `check_output` does, and when the disk is full or the video encoder fails.
    """
    target = check_output(path, overwrite)
    with replacing(target, overwrite) as part:
        match target.suffix.lower():
            case ".npz":
                write_npz(motion, part)
            case ".bvh":
                write_bvh(motion, part)
            case ".mp4":
                from collage_motion.export.video import write_mp4  # Pillow and ffmpeg are slow to load

                write_mp4(motion, part, progress)
            case ".gif":
                from collage_motion.export.video import write_gif

                write_gif(motion, part, progress)
