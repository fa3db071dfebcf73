"""Read the motion-capture files of an archive without unpacking it to disk."""

import csv
import io
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from collage_motion.errors import DataError

Progress = Callable[[int, int], None]
"""Called with (bytes of the archive read, bytes in all)."""

MAX_MEMBER_BYTES: Final = 64 * 2**20
MAX_TOTAL_BYTES: Final = 4 * 2**30
MAX_MEMBERS: Final = 200_000


def read_members(path: str | Path, progress: Progress | None = None) -> Iterator[tuple[str, bytes]]:
    """The .bvh files and index.csv files of a .tar.xz archive as (name, contents), in the archive's order.

    Other compressions of tar are taken too. Raises DataError for an archive that is missing, truncated or not
    a tar, and for a hostile one: absolute names or '..', links and devices, members or a whole larger than
    motion capture ever is.
    """
    path = Path(path)
    try:
        total = path.stat().st_size
        with path.open("rb") as raw, tarfile.open(fileobj=raw, mode="r|*") as archive:
            size = 0
            for count, member in enumerate(archive):
                size += member.size
                _check_member(path, member, count, size)
                if progress:
                    progress(raw.tell(), total)
                name = PurePosixPath(member.name).name
                if member.isfile() and (name.lower().endswith(".bvh") or name == "index.csv"):
                    content = archive.extractfile(member)
                    yield member.name, content.read() if content else b""
            if progress:
                progress(total, total)
    except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError) as error:
        raise DataError(f"{path}: not a whole tar archive ({error}); download it again") from None
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror or error}); give the path of a .tar.xz archive"
        ) from None


def _check_member(path: Path, member: tarfile.TarInfo, count: int, size: int) -> None:
    """Raise DataError for a member that no archive of motion capture has; `size` is the sum up to it."""
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts or "\\" in member.name:
        raise DataError(f"{path}: member '{member.name}' points outside the archive; do not trust this file")
    if not (member.isfile() or member.isdir()):
        raise DataError(
            f"{path}: member '{member.name}' is a link or a device; only plain files and folders are allowed"
        )
    if member.size > MAX_MEMBER_BYTES:
        raise DataError(
            f"{path}: member '{member.name}' has {member.size} bytes; at most {MAX_MEMBER_BYTES} are allowed"
        )
    if size > MAX_TOTAL_BYTES or count >= MAX_MEMBERS:
        raise DataError(
            f"{path}: unpacks to more than {MAX_TOTAL_BYTES} bytes or {MAX_MEMBERS} members; "
            "this is no archive of motion capture"
        )


def read_index(data: bytes, source: str) -> dict[tuple[int, int], str]:
    """The CMU index: (subject, trial) -> description. Raises DataError when its columns are not there."""
    rows = csv.DictReader(io.StringIO(data.decode("utf-8", errors="replace"), newline=""))
    needed = ("Subject", "Trial #", "Motion Description")
    if not set(needed) <= set(rows.fieldnames or ()):
        raise DataError(f"{source}: an index needs the columns {', '.join(needed)}; it has {rows.fieldnames}")
    index: dict[tuple[int, int], str] = {}
    for row in rows:
        subject, trial, description = (row[name] or "" for name in needed)
        if subject.strip().isdecimal() and trial.strip().isdecimal() and description.strip():
            index[int(subject), int(trial)] = " ".join(description.split())
    return index
