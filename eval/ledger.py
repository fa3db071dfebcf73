"""A long measurement on disk, row by row: what was measured stays, and a run that was killed goes on.

The file is JSON lines. The first says what all rows have in common, every other one holds a cell (what was
measured, a small dictionary) and its row (what came out).
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from collage_motion.errors import DataError, OutputError

Cell = Mapping[str, Any]
Row = dict[str, Any]


class Ledger:
    """The rows measured so far, in the file and in memory; a row is written whole or, on a kill, not at all."""

    def __init__(self, path: str | Path, header: Mapping[str, Any], overwrite: bool = False) -> None:
        """Open the ledger at `path`, or begin one; `overwrite` begins anew.

        Raises:
            OutputError: the file cannot be read or written.
            DataError: it holds something else, or rows that were measured under another header.
        """
        self.path = Path(path)
        self.header = json.loads(json.dumps(header))  # as it will be read back
        self._rows: dict[str, tuple[Row, Row]] = {}
        lines = [] if overwrite else self._read()
        if lines:
            self._load(lines)
        else:
            self._begin()

    def __contains__(self, cell: Cell) -> bool:
        return _key(cell) in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[tuple[Row, Row]]:
        """Pairs (cell, row) in the order they were measured."""
        return iter(self._rows.values())

    def row(self, cell: Cell) -> Row:
        """The row of a cell; raises KeyError for one that is not measured yet."""
        return self._rows[_key(cell)][1]

    def append(self, cell: Cell, row: Mapping[str, Any]) -> None:
        """Add the row of a cell, in one write that has reached the disk on return."""
        line = json.dumps({"cell": cell, "row": row})
        self._write(line, os.O_APPEND)
        self._remember(json.loads(line))

    def _remember(self, entry: Mapping[str, Any]) -> None:
        self._rows[_key(entry["cell"])] = (entry["cell"], entry["row"])

    def _read(self) -> list[str]:
        """The complete lines of the file; a last one that a kill cut short is taken off the file."""
        if not self.path.exists():
            return []
        try:
            content = self.path.read_bytes()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                os.truncate(self.path, whole)
            return content[:whole].decode().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise OutputError(f"{self.path}: cannot be read ({error}); choose another name") from None

    def _load(self, lines: list[str]) -> None:
        cure = "choose another folder or pass --overwrite"
        try:
            header, entries = json.loads(lines[0])["header"], [json.loads(line) for line in lines[1:]]
            for entry in entries:
                self._remember(entry)
        except (ValueError, KeyError, TypeError, IndexError):
            raise DataError(f"{self.path}: not the rows of a measurement; {cure}") from None
        was, now = dict(_fields(header)), dict(_fields(self.header))
        changed = next((name for name in sorted(was | now) if was.get(name) != now.get(name)), None)
        if changed is not None:
            raise DataError(
                f"{self.path}: was measured with {changed} {_short(was.get(changed))}, now it is "
                f"{_short(now.get(changed))}; {cure}"
            )

    def _begin(self) -> None:
        self._write(json.dumps({"header": self.header}), os.O_TRUNC)

    def _write(self, line: str, flags: int) -> None:
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | flags, 0o644)
            try:
                data = (line + "\n").encode()
                if os.write(handle, data) < len(data):
                    raise OSError("the disk is full")
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written ({error.strerror or error})") from None


def _key(cell: Cell) -> str:
    return json.dumps(cell, sort_keys=True)


def _fields(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Names and values of a tree of dictionaries, `outer.inner` for one within another."""
    if not isinstance(value, Mapping):
        yield name, value
        return
    for key, inner in value.items():
        yield from _fields(inner, f"{name}.{key}" if name else key)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
