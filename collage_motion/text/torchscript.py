"""The tensors of a TorchScript archive, read as data: nothing in the archive is executed or constructed.

`torch.load(weights_only=True)` refuses such archives, and `torch.jit.load` runs the code in them. OpenAI
publishes CLIP as one. The index of its tensors is a pickle; a small machine of our own follows the pickle's
opcodes and builds lists, dicts, tuples and inert records only, never calling what the pickle names.
"""

import math
import pickletools
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from collage_motion.errors import ModelError

_MAX_INDEX_BYTES: Final = 64 * 2**20
_REBUILD: Final = "torch._utils _rebuild_tensor_v2"
_PARAMETER: Final = "torch._utils _rebuild_parameter"
_TYPES: Final = {
    "torch HalfStorage": torch.float16,
    "torch BFloat16Storage": torch.bfloat16,
    "torch FloatStorage": torch.float32,
    "torch DoubleStorage": torch.float64,
}
_VALUES: Final = frozenset(
    (
        "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE",
        "NONE", "NEWTRUE", "NEWFALSE",
    )
)  # fmt: skip
_CONSTANTS: Final = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}


class _BrokenError(Exception):
    """What is wrong with the archive, for the message."""


@dataclass(eq=False)
class _Record:
    """Something the pickle names: a class, a function, or what one of them would have made. Inert."""

    name: str
    args: Any = None
    state: Any = None


def is_torchscript(path: Path) -> bool:
    """Whether a file is a zip archive with code in it, as `torch.jit.save` writes."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return False


def read_torchscript(path: Path, wanted: Callable[[str], bool]) -> dict[str, Tensor]:
    """The floating point tensors of the archive whose dotted names are `wanted`.

    Raises ModelError for an archive that is broken or whose index holds anything but tensors and plain values.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            root, index = _index(archive)
            module = _Machine(index).run()
            found = {name: record for name, record in _walk(module) if wanted(name)}
            budget = path.stat().st_size
            tensors: dict[str, Tensor] = {}
            for name, record in found.items():
                tensor = _tensor(archive, root, name, record)
                budget -= tensor.untyped_storage().nbytes()
                if budget < 0:
                    raise _BrokenError("its tensors share more bytes than the file has")
                tensors[name] = tensor
            return tensors
    except _BrokenError as error:
        raise ModelError(f"{path}: {error}; refused, nothing in it was run; take the official file") from None
    except (OSError, zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"{path}: not a readable TorchScript archive ({reason}); copy the file again"
        ) from None


def _index(archive: zipfile.ZipFile) -> tuple[str, bytes]:
    """The folder in the archive and its pickle."""
    names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(names) != 1:
        raise _BrokenError(f"it has {len(names)} indices (data.pkl) instead of one")
    root = names[0].removesuffix("/data.pkl")
    if f"{root}/byteorder" in archive.namelist() and archive.read(f"{root}/byteorder").strip() != b"little":
        raise _BrokenError("its numbers are not little-endian")
    if archive.getinfo(names[0]).file_size > _MAX_INDEX_BYTES:
        raise _BrokenError(f"its index is larger than {_MAX_INDEX_BYTES} bytes")
    return root, archive.read(names[0])


class _Machine:
    """A pickle machine that builds lists, dicts, tuples, plain values and `_Record`, and calls nothing."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """The value of the pickle; raises _BrokenError for an opcode that an index of tensors has no use for."""
        try:
            for opcode, argument, place in pickletools.genops(self.data):
                if opcode.name == "STOP":
                    return self.stack.pop()
                self.follow(opcode.name, argument, place or 0)
        except (IndexError, KeyError, TypeError, AttributeError):
            raise _BrokenError("its index is damaged") from None
        raise _BrokenError("its index ends early")

    def follow(self, name: str, argument: Any, place: int) -> None:
        """Do what one opcode says, as far as it builds data."""
        stack = self.stack
        if name in _VALUES:
            stack.append(_CONSTANTS.get(name, argument))
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self.memo[argument])
        elif name == "GLOBAL":
            stack.append(_Record(argument))
        elif name == "MARK":
            self.below.append(stack)
            self.stack = []
        elif name in ("EMPTY_TUPLE", "EMPTY_LIST", "EMPTY_DICT"):
            stack.append({"EMPTY_TUPLE": (), "EMPTY_LIST": [], "EMPTY_DICT": {}}[name])
        elif name == "TUPLE":
            self.stack = self.below.pop()
            self.stack.append(tuple(stack))
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            stack[-int(name[-1]) :] = [tuple(stack[-int(name[-1]) :])]
        elif name in ("APPENDS", "SETITEMS"):
            self.stack = self.below.pop()
            self.fill(self.stack[-1], stack)
        elif name in ("APPEND", "SETITEM"):
            items = [stack.pop() for _ in range(1 + (name == "SETITEM"))][::-1]
            self.fill(stack[-1], items)
        elif name in ("NEWOBJ", "REDUCE"):
            args = stack.pop()
            stack.append(_Record(_named(stack.pop()), args))
        elif name == "BINPERSID":
            stack.append(_Record("storage", stack.pop()))
        elif name == "BUILD":
            state = stack.pop()
            _named(stack[-1])
            stack[-1].state = state
        elif name != "PROTO":
            raise _BrokenError(f"its index holds opcode {name} at byte {place}")

    @staticmethod
    def fill(container: Any, items: list[Any]) -> None:
        """Put items into a list, or keys and values into a dict."""
        if isinstance(container, list):
            container.extend(items)
        elif isinstance(container, dict):
            keys = items[::2]
            if len(items) % 2 or not all(isinstance(key, str | int) for key in keys):
                raise _BrokenError("its index has keys that are no names")
            container.update(zip(keys, items[1::2], strict=True))
        else:
            raise _BrokenError("its index is damaged")


def _named(record: Any) -> str:
    if not isinstance(record, _Record):
        raise _BrokenError("its index is damaged")
    return record.name


def _walk(module: Any) -> Iterator[tuple[str, _Record]]:
    """Dotted names and records of all tensors in a module and the modules in it; each module once."""
    waiting: list[tuple[str, Any]] = [("", module)]
    seen: set[int] = set()
    while waiting:
        prefix, value = waiting.pop()
        if isinstance(value, _Record) and value.name == _PARAMETER and isinstance(value.args, tuple):
            value = value.args[0] if value.args else None
        if not isinstance(value, _Record):
            continue
        if value.name == _REBUILD:
            yield prefix, value
        elif isinstance(value.state, dict) and id(value) not in seen:
            seen.add(id(value))
            waiting += [
                (f"{prefix}.{key}" if prefix else str(key), child) for key, child in value.state.items()
            ]


def _tensor(archive: zipfile.ZipFile, root: str, name: str, record: _Record) -> Tensor:
    """The tensor that a record describes, from the bytes of its storage; every number is checked first."""
    try:
        storage, offset, size, stride = record.args[:4]
        _, kind, key, _, count = storage.args
        dtype = _TYPES.get(_named(kind))
    except (TypeError, ValueError, AttributeError):
        raise _BrokenError(f"{name}: its description is damaged") from None
    if dtype is None:
        raise _BrokenError(f"{name}: is a {_named(kind)[:60]}; expected floating point numbers")
    numbers = (offset, count, *size, *stride)
    if not all(type(value) is int and 0 <= value < 2**40 for value in numbers) or len(size) != len(stride):
        raise _BrokenError(f"{name}: its shape is damaged")
    reach = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) + 1
    info = archive.getinfo(f"{root}/data/{key}") if f"{root}/data/{key}" in archive.namelist() else None
    if info is None or info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        raise _BrokenError(f"{name}: its numbers are missing")
    if (
        0 in size
        or reach > count
        or info.file_size != count * dtype.itemsize
        or math.prod(size) > count
        or len(size) > 8
    ):
        raise _BrokenError(f"{name}: its shape does not fit its {info.file_size} bytes")
    flat = torch.frombuffer(bytearray(archive.read(info)), dtype=dtype)
    return flat.as_strided(size, stride, offset)
