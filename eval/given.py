"""Motions that another program made, scored beside ours: one array a motion that was asked for.

    DIR/r00/00000.npy       motion 0 of replication 0, in the order in which `collage-motion eval --list` names them

An array is joints (frames, 22, 3) in metres, y up, 20 frames a second, in the order of `skeleton.JOINTS`, or features
(frames, 263) as the evaluator's data have them. It is read as numbers only, and must be as long as was asked.
"""

import hashlib
import io
import re
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collage_motion.bridging import motion_from_joints
from collage_motion.errors import CollageError, DataError
from collage_motion.methods import METHODS
from collage_motion.motion import MAX_METRES
from collage_motion.skeleton import N_FEATURES, N_JOINTS

from .protocols import REAL, SHORT, Protocol
from .store import BROKEN

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,39}")
_HEADER_BYTES: Final = 10_000
"""More than numpy reads of the head of a plain array."""


@dataclass(eq=False)
class Given:
    """A row of the table whose motions lie in a folder.

    no_joints: why no joints are taken, or nothing where they are. sums: SHA-256 of the files that were read, by
    replication and number.
    """

    name: str
    folder: Path
    no_joints: str = ""
    sums: dict[tuple[int, int], str] = field(default_factory=dict)

    def read(self, replication: int, frames: Sequence[int]) -> list[NDArray[np.float32]]:
        """Features (F, 263) of the motions of a replication, `frames` of each; raises DataError, naming the file."""
        return [self._motion(replication, number, count) for number, count in enumerate(frames)]

    @property
    def record(self) -> dict[str, str]:
        """Whose motions these are, for JSON: the folder's name, and a checksum of all that was read."""
        sums = "".join(self.sums[place] for place in sorted(self.sums))
        name = self.folder.resolve().name.encode(errors="backslashreplace").decode()
        return {"folder": " ".join(name.split()), "sha256": hashlib.sha256(sums.encode()).hexdigest()}

    def _motion(self, replication: int, number: int, count: int) -> NDArray[np.float32]:
        path = self.folder / f"r{replication:02d}" / f"{number:05d}.npy"
        expected = f"features ({count}, {N_FEATURES})" + (
            f" ({self.no_joints})" if self.no_joints else f" or joints ({count}, {N_JOINTS}, 3)"
        )
        data = self._bytes(path, count, expected)
        sum_ = hashlib.sha256(data).hexdigest()
        if self.sums.setdefault((replication, number), sum_) != sum_:
            raise DataError(f"{path}: changed while the run went on; run the command again")
        rows = _array(path, data)
        shapes = [(count, N_FEATURES)] + ([] if self.no_joints else [(count, N_JOINTS, 3)])
        if rows.dtype.kind != "f" or rows.shape not in shapes:
            raise DataError(f"{path}: got {rows.dtype} {rows.shape}; expected: floating point {expected}")
        with np.errstate(over="ignore"):  # what is too large for single precision is told below
            numbers: NDArray[np.float32] = np.asarray(rows, np.float32)
        if not np.isfinite(numbers).all() or np.abs(numbers).max(initial=0.0) > MAX_METRES:
            raise DataError(f"{path}: numbers that are not finite, or beyond {MAX_METRES:g}")
        return numbers if numbers.ndim == 2 else _features(path, numbers)

    def _bytes(self, path: Path, count: int, expected: str) -> bytes:
        most = count * N_FEATURES * 16 + _HEADER_BYTES
        try:
            found = path.stat()
            # A pipe would be waited for, and a file without end would fill the memory.
            if not S_ISREG(found.st_mode) or found.st_size > most:
                what = f"{found.st_size} bytes" if S_ISREG(found.st_mode) else "no file"
                raise DataError(f"{path}: got {what}; expected: {expected}")
            return path.read_bytes()
        except FileNotFoundError:
            raise DataError(
                f"{path}: missing; --given {self.name} needs every motion that was asked for (`--list` names them); "
                f"expected: {expected}"
            ) from None
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None


def _array(path: Path, data: bytes) -> NDArray[np.generic]:
    """The array of a .npy file, without what could run; its claims of shape are held against its size first."""
    try:
        head = io.BytesIO(data)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, _, dtype = read[np.lib.format.read_magic(head)](head)
        if dtype.hasobject or min(shape, default=0) < 0 or np.prod(shape, dtype=float) > len(data):
            raise ValueError(f"its head claims {dtype} {str(shape)[:60]}")
        return np.load(io.BytesIO(data), allow_pickle=False)
    except (*BROKEN, SyntaxError, tokenize.TokenError, ArithmeticError) as error:
        why = " ".join(str(error).split())[:100] or type(error).__name__
        raise DataError(f"{path}: no .npy file of numbers ({why})") from None


def _features(path: Path, joints: NDArray[np.float32]) -> NDArray[np.float32]:
    # Features lose a frame at either end: one goes on from each as the motion goes there.
    if len(joints) < 2:
        raise DataError(f"{path}: joints of {len(joints)} frame; allowed: 2 or more")
    longer = np.concatenate((2 * joints[:1] - joints[1:2], joints, 2 * joints[-1:] - joints[-2:-1]))
    try:
        return motion_from_joints(longer).features
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def given_rows(texts: Sequence[str], protocol: Protocol, official: bool = False) -> list[Given]:
    """Rows of `NAME=DIR`; raises CollageError for names that are taken, and where a protocol has no use for them.

    official: the judge is HumanML3D's, whose data have features that joints do not give back exactly.
    """
    check_listed(protocol, bool(texts))
    no_joints = ""
    if official:
        no_joints = "as HumanML3D has them: its own code makes them of joints"
    elif protocol.loop:
        no_joints = "joints do not say how a loop goes on from its end to its beginning"
    rows: list[Given] = []
    taken = {REAL, SHORT, *METHODS}
    for text in texts:
        name, equals, folder = text.partition("=")
        if not equals or not folder or not _NAME.fullmatch(name):
            raise CollageError(
                f"--given: got {text[:60]!r}; allowed: NAME=DIR, the name up to 40 letters, digits and . _ + -"
            )
        if name.casefold() in taken:
            raise CollageError(f"--given: the name {name!r} is taken by another row; choose another")
        taken.add(name.casefold())
        if not _is_folder(folder):
            raise CollageError(f"--given {name}: {folder[:200]!r} is no folder")
        rows.append(Given(name, Path(folder), no_joints))
    return rows


def check_listed(protocol: Protocol, wanted: bool = True) -> None:
    """Raise CollageError if a list of prompts does not say all that a protocol asks for."""
    if wanted and protocol.held:
        raise CollageError(
            f"protocol {protocol.name}: it holds motions to real clips, which no list of prompts shows; --given and "
            "--list take another protocol"
        )


def _is_folder(name: str) -> bool:
    try:
        return Path(name).is_dir()
    except (OSError, ValueError):  # too long, or with a zero byte
        return False
