"""The evaluator's GloVe subset: a word list and a row table, both pickles, and one array of vectors.

The pickles are checked opcode by opcode before anything is built, so a file that holds more than strings and
small numbers in one list or dict is refused, and nothing in it runs. No torch in here.
"""

import io
import pickle
import pickletools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from collage_motion.data.humanml import read_array
from collage_motion.errors import DataError

_PICKLE_OPCODES: Final = frozenset(
    (
        "PROTO", "FRAME", "STOP", "MARK", "EMPTY_LIST", "LIST", "APPEND", "APPENDS", "EMPTY_DICT",
        "DICT", "SETITEM", "SETITEMS", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "INT", "BININT",
        "BININT1", "BININT2", "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GET", "BINGET", "LONG_BINGET",
    )
)  # fmt: skip
"""Everything that a pickled list of words or dict of word to row is made of."""

_MAX_PICKLE_BYTES: Final = 64 * 2**20


@dataclass(frozen=True)
class Vocabulary:
    """Words with a row of `vectors` (V, D) float32 each; it always holds `unk`."""

    rows: Mapping[str, int]
    vectors: NDArray[np.float32]

    def __post_init__(self) -> None:
        for name in ("sos", "eos", "unk"):
            if name not in self.rows:
                raise DataError(
                    f"vocabulary: the word '{name}' is missing; the evaluator cannot do without it"
                )
        for word, row in self.rows.items():
            if not 0 <= row < len(self.vectors):
                raise DataError(
                    f"vocabulary: word {word!r} points at row {row}; there are {len(self.vectors)} vectors, "
                    "take all three files from one source"
                )
        object.__setattr__(self, "rows", MappingProxyType(dict(self.rows)))

    def __contains__(self, word: str) -> bool:
        return word in self.rows

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def width(self) -> int:
        """Numbers in a word vector (300 for GloVe)."""
        return int(self.vectors.shape[1])


class _WordListUnpickler(pickle.Unpickler):
    """An unpickler without any class, function or outside object to offer."""

    def find_class(self, module_name: str, global_name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"asks for {module_name}.{global_name}")


def read_word_pickle(path: Path) -> list[Any] | dict[Any, Any]:
    """Read a pickle that holds one list or dict of strings and integers; anything else raises DataError.

    The opcodes are checked against a short list before the unpickler, which knows no globals, sees the file:
    no code in it can run, and a made-up memo index cannot claim memory.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); it belongs to the GloVe subset"
        ) from None
    if len(data) > _MAX_PICKLE_BYTES:
        raise DataError(f"{path}: {len(data)} bytes; a word list has at most {_MAX_PICKLE_BYTES}")
    try:
        end = _check_opcodes(data)
        content = _WordListUnpickler(io.BytesIO(data)).load()
    except _ForbiddenPickleError as error:
        raise DataError(f"{path}: {error}; refused, a word list holds strings and numbers only") from None
    except (
        ValueError,
        EOFError,
        IndexError,
        KeyError,
        TypeError,
        AttributeError,
        pickle.UnpicklingError,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path}: not a complete pickle ({reason}); copy the file again") from None
    if end != len(data):
        raise DataError(f"{path}: {len(data) - end} bytes behind the end of the pickle; copy the file again")
    if not isinstance(content, list | dict):
        raise DataError(
            f"{path}: holds a {type(content).__name__}; expected a list of words or a dict of rows"
        )
    return content


class _ForbiddenPickleError(Exception):
    """An opcode that a word list has no use for."""


def _check_opcodes(data: bytes) -> int:
    """Return where the pickle ends; raises _ForbiddenPickleError at the first opcode that is not allowed."""
    for opcode, argument, position in pickletools.genops(data):
        if opcode.name not in _PICKLE_OPCODES:
            shown = f" {str(argument)[:60]!r}" if argument is not None else ""
            raise _ForbiddenPickleError(f"pickle opcode {opcode.name}{shown} at byte {position}")
        # The unpickler sizes its memo by the largest index it meets.
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and not (
            isinstance(argument, int) and 0 <= argument < len(data)
        ):
            raise _ForbiddenPickleError(f"pickle memo index {argument} at byte {position}")
        if opcode.name == "STOP":
            return (position or 0) + 1
    raise EOFError("no end mark")  # genops itself raises for this; kept for the type checker's sake


def load_vocabulary(folder: Path | str, prefix: str = "our_vab") -> Vocabulary:
    """Load `<prefix>_data.npy` (V, D), `<prefix>_words.pkl` (list) and `<prefix>_idx.pkl` (word to row).

    A word counts as known when it is in the list; its vector is the row that the dict gives. Raises DataError
    for files that are missing, broken, hold something else or contradict each other.
    """
    folder = Path(folder)
    words_path, rows_path = folder / f"{prefix}_words.pkl", folder / f"{prefix}_idx.pkl"
    words = read_word_list(words_path)
    rows = read_word_rows(rows_path)
    vectors = read_array(folder / f"{prefix}_data.npy", (None, None)).astype(np.float32)
    vectors.flags.writeable = False
    for word in words:
        if word not in rows:
            raise DataError(
                f"{rows_path}: word {word!r} of {words_path.name} has no row; take both from one source"
            )
    return Vocabulary({word: rows[word] for word in words}, vectors)


def read_word_list(path: Path) -> list[str]:
    """Read a pickled list of words; raises DataError when it is anything else."""
    content = read_word_pickle(path)
    if not isinstance(content, list) or not all(isinstance(word, str) for word in content):
        raise DataError(
            f"{path}: expected a pickled list of words, got a {type(content).__name__} of other things"
        )
    return content


def read_word_rows(path: Path) -> dict[str, int]:
    """Read a pickled dict from word to row number; raises DataError when it is anything else."""
    content = read_word_pickle(path)
    if not isinstance(content, dict) or not all(
        isinstance(word, str) and type(row) is int for word, row in content.items()
    ):
        raise DataError(
            f"{path}: expected a pickled dict of word to row, got a {type(content).__name__} of other things"
        )
    return content
