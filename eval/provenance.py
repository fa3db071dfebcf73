"""What samples and figures were made with: code, commit and device, and checksums of whatever judges them."""

import hashlib
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch

import collage_motion

from . import measuring

NO_SAMPLES: Final = ("cli", "eval", "export")
"""Parts of the package that no sample depends on; `sampling` of this one is what hands the library its work."""


def maker(device: torch.device) -> dict[str, str | None]:
    """What samples are made with from now on, for JSON: versions, commit, a checksum of the code, and the device."""
    versions = measuring.versions()
    return {
        "version": versions["collage_motion"],
        "torch": versions["torch"],
        "commit": commit(),
        "code": code(),
        "device": measuring.device_name(device),
    }


def mixed(makers: Sequence[Mapping[str, Any]], same: Collection[str] = ()) -> str | None:
    """A line that says in what the makers of samples differ; None where they are all the same.

    Commits with the same code, which differ in documents or in what is scored, are the same. same: codes that make
    the same motions (see `rechecking`).
    """
    makers = [{**maker, "code": min(same)} if maker.get("code") in same else maker for maker in makers]
    names = dict.fromkeys(name for maker in makers for name in maker if name != "motions")
    found = {name: list(dict.fromkeys(maker.get(name) for maker in makers)) for name in names}
    if len(found.get("code", ())) == 1 and None not in found["code"]:
        found.pop("commit", None)
    differing = [
        f"{name} {' and '.join('unknown' if value is None else str(value) for value in values)}"
        for name, values in found.items()
        if len(values) > 1
    ]
    if not differing:
        return None
    return f"WARNING: the motions are of different making: {'; '.join(differing)}; make them anew in another folder"


def code() -> str:
    """Sixteen letters that stand for the source code that samples depend on, committed or not."""
    root = Path(collage_motion.__file__).parent
    digest = hashlib.sha256()
    for name, path in sorted(_sources(root)):
        digest.update(f"{name}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _sources(root: Path) -> Iterator[tuple[str, Path]]:
    for path in root.rglob("*.py"):
        name = path.relative_to(root)
        if name.parts[0] not in NO_SAMPLES:
            yield name.as_posix(), path
    yield "eval/sampling.py", Path(__file__).with_name("sampling.py")


def checksums(files: Mapping[str, Path]) -> dict[str, str]:
    """SHA-256 of files by what they are; those that are not there are left out."""
    sums = {}
    for name, path in files.items():
        if path.is_file():
            with path.open("rb") as file:
                sums[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return sums


def commit() -> str | None:
    """The commit of the checkout that this runs from, with a + behind it if files differ; None outside of one."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, check=True, timeout=20
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + (
            "+" if git("status", "--porcelain", "--untracked-files=no") else ""
        )
    except (OSError, subprocess.SubprocessError):
        return None
