"""Files from https addresses: resumed where they broke off, checked before they get their name."""

import hashlib
import http.client
import json
import os
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from collage_motion import __version__
from collage_motion.errors import ModelError, OutputError

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and all bytes of the file, None where the server does not say."""

STALL_S: Final = 30.0
_CHUNK: Final = 2**18
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Downloaded:
    """A file that came whole: where it is and the sha256 of its bytes."""

    path: Path
    sha256: str


def download(
    url: str,
    target: Path,
    *,
    sha256: str | None = None,
    progress: Progress | None = None,
    stall_s: float = STALL_S,
) -> Downloaded:
    """Fetch an https address (http from this machine itself) into `target`, which appears whole or not at all.

    What came before a break stays in `target`.part, and the next call goes on from there if the server still
    has the same file. A connection that says nothing for `stall_s` seconds is given up. Raises ModelError for
    an address that is not allowed, a server that fails, stalls or breaks off, and bytes of another sha256, which
    are thrown away; OutputError when they cannot be written.
    """
    wanted = _checked_hash(sha256)
    check_address(url)
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _explained(url, part, stall_s):
            _fetch(url, part, progress, stall_s)
        seen = _hash(part)
        if wanted is not None and seen != wanted:
            _forget(part)
            raise ModelError(
                f"{shown(url)}: its sha256 is {seen}, not {wanted}; thrown away: check the address and the hash"
            )
        os.replace(part, target)
        _forget(part)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written: {error.strerror or error}") from None
    return Downloaded(target, seen)


def check_address(url: str) -> None:
    """Raise ModelError unless the address is https, or http of this machine itself."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if host is None or not url.isascii() or any(c.isspace() for c in url):
        raise ModelError(f"address {url[:100]!r}: not one; allowed: https://host/path")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK):
        raise ModelError(f"address {shown(url)}: {parts.scheme or 'no scheme'}; allowed: https")


def shown(url: str) -> str:
    """An address without what may be secret in it: user, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _checked_hash(sha256: str | None) -> str | None:
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise ModelError(f"sha256 {sha256[:80]!r}; allowed: 64 digits from 0 to f")
    return sha256.lower() if sha256 else None


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows an address to another only where that is allowed too: never from https down to http."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        try:
            check_address(newurl)
            if req.type == "https" and urlsplit(newurl).scheme != "https":
                raise ModelError(f"{shown(newurl)}: a redirection away from https; refused")
        except ModelError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextmanager
def _explained(url: str, part: Path, stall_s: float) -> Iterator[None]:
    """Turn what the network does into one line that says how far it came."""
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        raise ModelError(f"{shown(url)}: the server answers {error.code} {error.reason}") from None
    except (
        TimeoutError,
        urllib.error.URLError,
        http.client.HTTPException,
        ssl.SSLError,
        ConnectionError,
    ) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError):
            what = f"nothing came for {stall_s:g} s"
        elif isinstance(error, http.client.IncompleteRead):
            what = "the connection broke off"
        else:
            what = str(reason) or type(reason).__name__
        have = part.stat().st_size if part.exists() else 0
        raise ModelError(f"{shown(url)}: {what}, {have} bytes are there; run it again to go on") from None


def _fetch(url: str, part: Path, progress: Progress | None, stall_s: float) -> None:
    """Append to `part` until it is whole, from its end if the server knows the file by the same mark."""
    have, mark = _state(part)
    headers = {"User-Agent": f"collage-motion/{__version__}", "Accept-Encoding": "identity"}
    if have and mark:
        headers |= {"Range": f"bytes={have}-", "If-Range": mark}
    opener = urllib.request.build_opener(_SafeRedirects)
    try:
        answer = opener.open(urllib.request.Request(url, headers=headers), timeout=stall_s)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        error.close()
        _forget(part)  # nothing is left behind our end: another file, or the whole one; take it anew
        headers = {name: value for name, value in headers.items() if name not in ("Range", "If-Range")}
        answer = opener.open(urllib.request.Request(url, headers=headers), timeout=stall_s)
    with answer:
        have = _continued(answer, have, url)
        total = _length(answer)
        whole = None if total is None else have + total
        if answer.headers.get_content_type() == "text/html":
            raise ModelError(f"{shown(url)}: a web page and no file; find the address of the file itself")
        if whole is None and (answer.headers.get("Transfer-Encoding") or "").lower() != "chunked":
            raise ModelError(
                f"{shown(url)}: the server does not say how long the file is; download it by hand"
            )
        _write_state(part, answer)
        with part.open("r+b" if have else "wb") as file:
            file.seek(have)
            file.truncate()
            for chunk in iter(lambda: answer.read1(_CHUNK), b""):
                file.write(chunk)
                have += len(chunk)
                if progress is not None:
                    progress(have, whole)
    if whole is not None and have != whole:
        raise ModelError(f"{shown(url)}: it broke off after {have} of {whole} bytes; run it again to go on")


def _continued(answer: Any, have: int, url: str) -> int:
    """From which byte on the answer goes; 0 for the whole file."""
    if answer.status != 206:
        return 0
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range") or "")
    if found is None or int(found[1]) != have:
        raise ModelError(
            f"{shown(url)}: the server goes on from another place than asked; delete the .part file"
        )
    return have


def _length(answer: Any) -> int | None:
    value = answer.headers.get("Content-Length")
    return int(value) if value is not None and value.isdecimal() else None


def _state(part: Path) -> tuple[int, str | None]:
    """Bytes that are there, and the mark by which the server knows the file they are from."""
    try:
        mark = json.loads(_state_file(part).read_text(encoding="utf-8"))["mark"]
        return part.stat().st_size, mark if isinstance(mark, str) else None
    except (OSError, ValueError, KeyError, TypeError):
        return 0, None


def _write_state(part: Path, answer: Any) -> None:
    etag = answer.headers.get("ETag") or ""
    mark = etag if etag and not etag.startswith("W/") else answer.headers.get("Last-Modified")
    if mark is None:
        _state_file(part).unlink(missing_ok=True)
    else:
        _state_file(part).write_text(json.dumps({"mark": mark}), encoding="utf-8")


def _state_file(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _forget(part: Path) -> None:
    for path in (part, _state_file(part)):
        with suppress(FileNotFoundError):
            path.unlink()


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
