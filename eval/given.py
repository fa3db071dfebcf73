"""Motions that another program made, scored beside ours: one array a motion that was asked for.

    DIR/r00/00000.npy       motion 0 of replication 0, in the order in which `collage-motion eval --list` names them

An array is joints (frames, 22, 3) in metres, y up, 20 frames a second, in the order of `skeleton.JOINTS`, or features
(frames, 263) as the data set of the evaluator has them. It is read as numbers only, and must be as long as was asked.
"""

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collage_motion.bridging import motion_from_joints
from collage_motion.errors import CollageError, DataError
from collage_motion.methods import METHODS
from collage_motion.skeleton import N_FEATURES, N_JOINTS

from .protocols import REAL, SHORT, Protocol

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,39}")


@dataclass(frozen=True)
class Given:
    """A row of the table whose motions lie in a folder.

    joints: whether joints become features as those of our own data are made; else only features are taken.
    """

    name: str
    folder: Path
    joints: bool = True

    def path(self, replication: int, number: int) -> Path:
        """Where a motion lies."""
        return self.folder / f"r{replication:02d}" / f"{number:05d}.npy"

    def read(self, replication: int, frames: Sequence[int]) -> list[NDArray[np.float32]]:
        """Features (F, 263) of the motions of a replication, `frames` of each; raises DataError, naming the file."""
        return [self._features(self.path(replication, k), count) for k, count in enumerate(frames)]

    def check(self, replication: int, frames: Sequence[int]) -> None:
        """Raise DataError for a motion that is missing or has another shape, before any is scored."""
        for number, count in enumerate(frames):
            self._open(self.path(replication, number), count)

    def checksum(self, counts: Sequence[int]) -> str:
        """SHA-256 of the files of replications of so many motions, in their order."""
        digest = hashlib.sha256()
        for replication, count in enumerate(counts):
            for number in range(count):
                digest.update(self.path(replication, number).read_bytes())
        return digest.hexdigest()

    def _open(self, path: Path, count: int) -> NDArray[np.generic]:
        forms = f"features ({count}, {N_FEATURES})"
        if self.joints:
            forms = f"joints ({count}, {N_JOINTS}, 3) or {forms}"
        try:
            # Mapped: the shape that a file claims is looked at before memory is taken for it.
            rows = np.load(path, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError:
            raise DataError(
                f"{path}: missing; {self.name} has no motion {path.stem} of replication {path.parent.name[1:]}; "
                f"expected: {forms} (`collage-motion eval --list` says what is asked for)"
            ) from None
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{path}: no array of numbers ({' '.join(str(error).split())})") from None
        if not isinstance(rows, np.ndarray) or rows.dtype.kind != "f":
            raise DataError(f"{path}: no array of floating point numbers; expected: {forms}")
        if rows.shape not in [(count, N_FEATURES), *([(count, N_JOINTS, 3)] if self.joints else [])]:
            raise DataError(f"{path}: got shape {rows.shape}; expected: {forms}")
        return rows

    def _features(self, path: Path, count: int) -> NDArray[np.float32]:
        rows = np.array(self._open(path, count), np.float64)
        if not np.isfinite(rows).all():
            raise DataError(f"{path}: numbers that are not finite")
        if rows.shape == (count, N_FEATURES):
            return rows.astype(np.float32)
        # Features lose a frame at either end: one goes on from each as the motion goes there.
        longer = np.concatenate((2 * rows[:1] - rows[1:2], rows, 2 * rows[-1:] - rows[-2:-1]))
        try:
            return motion_from_joints(longer).features
        except DataError as error:
            raise DataError(f"{path}: {error}") from None


def given_rows(texts: Sequence[str], protocol: Protocol, joints: bool) -> list[Given]:
    """Rows of `NAME=DIR`; raises CollageError for names that are taken, and where a protocol has no use for them."""
    rows: list[Given] = []
    taken: Collection[str] = {REAL, SHORT, *METHODS}
    if texts and protocol.held:
        raise CollageError(
            f"given motions: protocol {protocol.name} holds motions to real clips, which others have not seen; use "
            "another protocol"
        )
    for text in texts:
        name, equals, folder = text.partition("=")
        if not equals or not folder or not _NAME.fullmatch(name):
            raise CollageError(
                f"--given: got {text[:60]!r}; allowed: NAME=DIR, the name of letters, digits and . _ + -"
            )
        if name in taken or name in (row.name for row in rows):
            raise CollageError(f"--given: the name {name!r} is taken by another row; choose another")
        if not Path(folder).is_dir():
            raise CollageError(f"--given {name}: {folder} is no folder")
        rows.append(Given(name, Path(folder), joints))
    return rows
