"""The prepared training file: one .npz without pickles that holds every clip as joint positions at 20 fps.

Positions are whole multiples of 0.2 mm (so within 0.1 mm of the recording along each axis). Stored are bone
vectors (joint minus parent, exact in whole numbers) as differences from frame to frame, low and high bytes
apart: that is what makes deflate shrink 75 MB of motion to well under 30 MB.
"""

import os
import struct
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from collage_motion.data.captions import mirror_caption, mirror_content
from collage_motion.data.splits import SPLITS
from collage_motion.errors import DataError, OutputError
from collage_motion.extraction import mirror
from collage_motion.skeleton import FPS, N_JOINTS, PARENTS

Split = Literal["train", "val", "test"]

VARIABLE: Final = "COLLAGE_DATA"
"""The environment variable that names the prepared file."""

FORMAT: Final = "collage-motion-data 1"

STEP_M: Final = 0.0002
"""Positions are stored as multiples of this length; the error is at most half of it."""

_TEXTS: Final = ("name", "recording", "source", "content", "style", "description")
# What numpy's and zipfile's readers raise on damaged bytes, found by damaging them.
_BROKEN: Final = (
    OSError, EOFError, LookupError, ValueError, TypeError, RuntimeError, SyntaxError, MemoryError,
    tokenize.TokenError, struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
_CURE: Final = "make it with scripts/prepare_data.py ARCHIVE... -o FILE"


@dataclass(frozen=True)
class PreparedClip:
    """A clip on its way into a prepared file; `split` indexes `SPLITS`, `joints` (T, 22, 3) in metres."""

    name: str
    recording: str
    source: str
    content: str
    style: str
    description: str
    split: int
    joints: NDArray[np.float32]


@dataclass(frozen=True)
class Clip:
    """One training clip: `joints` (T, 22, 3) float32 in metres, y up, at 20 fps, with its labels.

    Clips of the Bandai Namco set have a content and a style; those of CMU have a description. `recording`: what the
    clip is a piece of, its mirror image too.
    """

    name: str
    joints: NDArray[np.float32]
    content: str
    style: str
    source: str
    description: str
    mirrored: bool
    recording: str = ""


class Dataset:
    """The clips of a prepared file, by split; a mirror image is in the split of its original."""

    def __init__(self, clips: Sequence[PreparedClip]) -> None:
        self._clips = tuple(clips)

    def clips(self, split: Split, mirrored: bool = True) -> list[Clip]:
        """The clips of a split, each followed by its mirror image if `mirrored`.

        Raises DataError for other names.
        """
        if split not in SPLITS:
            raise DataError(f"split '{split}' does not exist; known: {', '.join(SPLITS)}")
        chosen: list[Clip] = []
        for clip in self._clips:
            if SPLITS[clip.split] == split:
                labels = (clip.content, clip.style, clip.source, clip.description)
                chosen.append(Clip(clip.name, clip.joints, *labels, mirrored=False, recording=clip.recording))
                if mirrored:
                    chosen.append(mirror_clip(chosen[-1]))
        return chosen

    def recordings(self, split: Split) -> list[str]:
        """Names of the recordings whose pieces lie in a split."""
        return sorted({clip.recording for clip in self._clips if SPLITS[clip.split] == split})

    def __len__(self) -> int:
        return len(self._clips)


def mirror_clip(clip: Clip) -> Clip:
    """The clip seen in a mirror: left and right swapped in the body and in the words."""
    joints = mirror(clip.joints).astype(np.float32, copy=False)
    joints.setflags(write=False)
    return Clip(
        name=f"{clip.name}~mirrored" if not clip.mirrored else clip.name.removesuffix("~mirrored"),
        joints=joints,
        content=mirror_content(clip.content) if clip.content else "",
        style=clip.style,
        source=clip.source,
        description=mirror_caption(clip.description),
        mirrored=not clip.mirrored,
        recording=clip.recording,
    )


def check_output(path: str | Path, overwrite: bool) -> Path:
    """The path, if a file may be written there; otherwise OutputError with the cure."""
    path = Path(path)
    if path.suffix != ".npz":
        raise OutputError(f"{path}: a prepared file ends in .npz")
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; give the name of a file")
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: exists; pass --overwrite to replace it or choose another name")
    if not path.parent.is_dir():
        raise OutputError(f"{path.parent}: no such folder; make it first")
    return path


def write_dataset(clips: Sequence[PreparedClip], path: str | Path, overwrite: bool = False) -> int:
    """Write a prepared file atomically and return its size in bytes; the same clips give the same bytes.

    Raises OutputError when the file exists or cannot be written.
    """
    path = check_output(path, overwrite)
    arrays = _encode(clips)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        Path(temporary).unlink(missing_ok=True)
    return path.stat().st_size


def load_dataset(path: str | Path | None = None) -> Dataset:
    """Read a prepared file, by default the one that COLLAGE_DATA names; raises DataError with the cure."""
    if path is None:
        path = os.environ.get(VARIABLE, "")
        if not path:
            raise DataError(f"{VARIABLE} is not set; it names the prepared training file; {_CURE}")
    path = Path(path)
    try:
        # Opened here because numpy leaves a broken file open.
        with path.open("rb") as raw:
            file = np.load(raw, allow_pickle=False)
            if isinstance(file, np.ndarray) or str(file.get("format", "")) != FORMAT:
                raise DataError(f"{path}: not a prepared training file of this version ('{FORMAT}'); {_CURE}")
            return Dataset(_decode({key: file[key] for key in file.files}))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; {_CURE}") from None
    except IsADirectoryError:
        raise DataError(f"{path}: is a folder; name the prepared file in it, or {_CURE}") from None
    except _BROKEN as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path}: broken or truncated ({why}); {_CURE}") from None


def _encode(clips: Sequence[PreparedClip]) -> dict[str, NDArray[np.generic]]:
    """The arrays of the file; raises DataError when a joint moves too far between frames to be stored."""
    first, steps = [], []
    parents = np.array(PARENTS[1:])
    for clip in clips:
        places = np.round(clip.joints.astype(np.float64) / STEP_M).astype(np.int64)
        places[:, 1:] -= places[:, parents]  # the right side is read in full before anything is changed
        first.append(places[0])
        steps.append(np.diff(places, axis=0))
    moves = np.concatenate(steps)
    if np.abs(moves).max(initial=0) > np.iinfo(np.int16).max:
        raise DataError(f"a joint moves more than {np.iinfo(np.int16).max * STEP_M:.1f} m between two frames")
    # Coordinate by coordinate, so that neighbours in time are neighbours in the file.
    planes = moves.astype("<i2").reshape(len(moves), -1).T.copy().view(np.uint8)
    return {
        "format": np.array(FORMAT),
        "fps": np.array(FPS),
        "step_m": np.array(STEP_M),
        "n_frames": np.array([len(clip.joints) for clip in clips], dtype=np.int32),
        "split": np.array([clip.split for clip in clips], dtype=np.int8),
        "first": np.array(first, dtype=np.int32),
        "moves_low": planes[:, 0::2].copy(),
        "moves_high": planes[:, 1::2].copy(),
        **{key: np.array([getattr(clip, key) for clip in clips]) for key in _TEXTS},
    }


def _decode(arrays: dict[str, NDArray[np.generic]]) -> list[PreparedClip]:
    """The clips of a file; raises ValueError when the arrays do not fit together."""
    n_frames, split = arrays["n_frames"].astype(int), arrays["split"].astype(int)
    low, high, first = arrays["moves_low"], arrays["moves_high"], arrays["first"]
    count = len(n_frames)
    shape = (3 * N_JOINTS, int(n_frames.sum()) - count)
    if low.shape != shape or high.shape != shape or n_frames.min(initial=1) < 1:
        raise ValueError("the frames do not match the clips")
    labelled = all(arrays[key].shape == (count,) for key in ("split", *_TEXTS))
    if first.shape != (count, N_JOINTS, 3) or not labelled:
        raise ValueError("the labels do not match the clips")
    if not ((split >= 0) & (split < len(SPLITS))).all():
        raise ValueError("unknown split")
    moves = np.stack([low, high], axis=-1).view("<i2")[..., 0].T.reshape(-1, N_JOINTS, 3)
    step = float(arrays["step_m"])
    texts = {key: [str(text) for text in arrays[key]] for key in _TEXTS}
    clips, at = [], 0
    for k, length in enumerate(n_frames):
        bones = np.concatenate([first[k][None], moves[at : at + length - 1]]).astype(np.int64).cumsum(axis=0)
        at += length - 1
        for joint, parent in enumerate(PARENTS[1:], start=1):
            bones[:, joint] += bones[:, parent]
        joints = (bones * step).astype(np.float32)
        joints.setflags(write=False)
        labels = {key: texts[key][k] for key in _TEXTS}
        clips.append(PreparedClip(**labels, split=int(split[k]), joints=joints))
    return clips
