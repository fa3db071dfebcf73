"""Outputs that appear whole or not at all: written under a temporary name beside the goal, then renamed."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from collage_motion.errors import OutputError


def check_target(path: str | Path, overwrite: bool = False) -> Path:
    """The path as a `Path`, if a file can be put there, which is tried; leaves nothing behind.

    Raises OutputError when the folder is missing or takes no file, something that is not a file is in the way,
    or the file exists and `overwrite` is False.
    """
    target = Path(path)
    folder = target.parent
    try:
        if target.is_dir():
            raise OutputError(f"{target}: is a folder, not a file; name a file inside it")
        if not folder.is_dir():
            found = "is not a folder" if folder.exists() else "does not exist"
            raise OutputError(f"{target}: the folder {folder} {found}; make it first or write elsewhere")
        there = target.exists() or target.is_symlink()
    except OSError as error:
        raise OutputError(f"{target}: cannot be used as an output ({_reason(error)})") from error
    if there and not overwrite:
        raise OutputError(f"{target}: exists already; add --overwrite or choose another name")
    if target.exists() and not target.is_file():
        raise OutputError(f"{target}: is not a regular file; write elsewhere")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{target}: the folder {folder} is not writable; write elsewhere")
    part = _part(target)
    try:
        # Permissions do not tell all: the folder may be no place for files, such as /proc, or on a full disk.
        part.touch(exist_ok=False)
    except OSError as error:
        raise OutputError(
            f"{target}: the folder {folder} takes no file ({_reason(error)}); write elsewhere"
        ) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return target


def _part(target: Path) -> Path:
    """A new name beside the file that would be replaced, which is the one that a link leads to."""
    return Path(os.path.realpath(target)).with_name(f".{secrets.token_hex(6)}.part{target.suffix}")


@contextmanager
def replacing(path: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """A temporary path (same folder, same suffix) that becomes `path` when the block ends well.

    On any exception, Ctrl-C included, the temporary file is removed and `path` stays as it was. An OSError of
    the block, such as a full disk, is raised again as OutputError.
    """
    target = check_target(path, overwrite)
    part = _part(target)
    try:
        yield part
        check_target(target, overwrite)
        # Through a link, so that it is the linked file that is replaced.
        os.replace(part, os.path.realpath(target))
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({_reason(error)}); nothing was kept") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "the disk is full"
    return error.strerror or str(error)
