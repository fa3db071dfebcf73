"""The folder of an evaluation: generated motions that are never made twice, and a record of what they are.

    DIR/run.json                                what the samples depend on besides method, replication and number
    DIR/samples/METHOD/r00/00000-004.npz        the motions of one batch: the first one's number, how many

Files appear whole or not at all, so a killed run goes on where it was, and several processes may write at once. Nothing
is ever removed, and a file that is not one of these is an error, not something to step over. Each file says what made
it (`provenance.maker`), with which settings, and what was asked for (`Script.mark`): what differs in the last two is
refused, code and devices may differ and are told.
"""

import hashlib
import json
import re
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from collage_motion.errors import DataError, OutputError
from collage_motion.export.atomic import replacing
from collage_motion.skeleton import N_FEATURES

FORMAT: Final = "collage-motion-eval 2"
RUN_FILE: Final = "run.json"
_SHARD: Final = re.compile(r"(\d{5,})-(\d{3,})\.npz")
_PART: Final = re.compile(
    r"\.[0-9a-f]{12}\.part(\.\w+)?"
)  # of a killed process, or of one that writes just now
BROKEN: Final = (
    OSError, EOFError, LookupError, ValueError, TypeError, RuntimeError, MemoryError, struct.error,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What reading a broken or hostile array may raise."""


@dataclass(frozen=True)
class Shard:
    """A file of motions: their numbers, and the seconds that they took together, by the clock and of the processor.

    marks: of what each was asked for. maker: what made them, as JSON.
    """

    path: Path
    numbers: tuple[int, ...]
    seconds: tuple[float, float]
    marks: tuple[str, ...]
    maker: str


class Motions(NamedTuple):
    """Motions in their order, seconds a motion (by the clock, of the processor), and how many each maker made."""

    features: list[NDArray[np.float32]]
    seconds: tuple[float, float]
    makers: Counter[str]


def fingerprint(*records: Mapping[str, Any]) -> str:
    """Sixteen letters that stand for records of JSON values."""
    return hashlib.sha256(json.dumps(records, sort_keys=True).encode()).hexdigest()[:16]


class Store:
    """The samples in a folder; `identity` is what all of them depend on, `maker` what new ones are made with."""

    def __init__(
        self, folder: Path, identity: Mapping[str, Any], maker: Mapping[str, Any] | None = None
    ) -> None:
        """identity and maker hold JSON values."""
        self.folder, self.identity = folder, dict(identity)
        self.maker = json.dumps(dict(maker or {}), sort_keys=True)

    @classmethod
    def open(
        cls, folder: Path | str, identity: Mapping[str, Any], maker: Mapping[str, Any] | None = None
    ) -> "Store":
        """Make the folder, or go on in one that this command made with the same settings.

        Raises OutputError for a folder that holds something else, and names what is different of other settings.
        """
        folder, identity = Path(folder), json.loads(json.dumps(identity))
        path = folder / RUN_FILE
        try:
            if folder.exists() and not folder.is_dir():
                raise OutputError(f"{folder}: is a file; name a folder")
            folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                others = [entry.name for entry in folder.iterdir() if not _PART.fullmatch(entry.name)]
                # Another process of the same run may have come first.
                if others and not path.exists():
                    raise OutputError(
                        f"{folder}: holds {sorted(others)[0]!r} and no {RUN_FILE}, so it was not made by this command; "
                        "name an empty or new folder"
                    )
                with replacing(path, overwrite=True) as part:
                    text = json.dumps({"format": FORMAT, **identity}, indent=1, sort_keys=True)
                    part.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"{folder}: cannot be used ({error.strerror or error})") from None
        _check_identity(path, identity)
        return cls(folder, identity, maker)

    def shards(
        self, method: str, settings: Mapping[str, Any], replication: int, marks: Sequence[str]
    ) -> list[Shard]:
        """What is there of a method's replication, made with these settings; `marks`: what is asked for, by number.

        Raises DataError for a file that is broken, foreign, of other settings or made of something else, and for a
        number that two have. Motions beyond what is asked for may be there.
        """
        place = self._place(method, replication)
        wanted = fingerprint(self.identity, settings)
        shards: list[Shard] = []
        owner: dict[int, Path] = {}
        if place.exists() and not place.is_dir():
            raise DataError(f"{place}: is a file where a folder of samples should be; move it away")
        for path in sorted(place.iterdir()) if place.is_dir() else ():
            if _PART.fullmatch(path.name):
                continue
            if not _SHARD.fullmatch(path.name):
                raise DataError(f"{path}: no file of this command; move it out of the folder of samples")
            shard = _read_head(path, wanted, settings)
            for number, mark in zip(shard.numbers, shard.marks, strict=True):
                if number < len(marks) and mark != marks[number]:
                    raise DataError(
                        f"{path}: sample {number} was made of other prompts, frames or noise than those asked for; "
                        "name another folder"
                    )
                if number in owner:
                    raise DataError(f"{path}: sample {number} is in {owner[number].name} too; remove one")
                owner[number] = path
            shards.append(shard)
        return shards

    def write(
        self,
        method: str,
        settings: Mapping[str, Any],
        replication: int,
        numbers: Sequence[int],
        marks: Sequence[str],
        features: NDArray[np.float32],
        seconds: tuple[float, float],
    ) -> None:
        """Keep the motions (S, F, 263) of one batch, with what each was asked for and the seconds they took.

        Where another process has kept the same batch meanwhile, its motions stay; raises DataError for other ones.
        """
        place = self._place(method, replication)
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{place}: cannot be made ({error.strerror or error})") from None
        path = place / f"{numbers[0]:05d}-{len(numbers):03d}.npz"
        if path.exists():  # the same command is running a second time: what is there stays
            _read_head(path, fingerprint(self.identity, settings), settings)
            return
        with replacing(path) as part, part.open("wb") as file:
            np.savez(
                file,
                allow_pickle=False,
                run=np.array(fingerprint(self.identity, settings)),
                settings=np.array(json.dumps(dict(settings), sort_keys=True)),
                maker=np.array(self.maker),
                numbers=np.array(numbers, dtype=np.int64),
                marks=np.array(marks, dtype=np.str_),
                seconds=np.array(seconds, dtype=np.float64),
                features=np.asarray(features, dtype=np.float32),
            )

    def read(
        self,
        method: str,
        settings: Mapping[str, Any],
        replication: int,
        marks: Sequence[str],
        frames: Sequence[int],
    ) -> Motions:
        """The first motions of a replication, as long as `frames` says and made of what `marks` say.

        Raises DataError for one that is missing, of another length, or not finite.
        """
        found: dict[int, NDArray[np.float32]] = {}
        seconds = np.zeros(2)
        makers: Counter[str] = Counter()
        for shard in self.shards(method, settings, replication, marks):
            wanted = [number for number in shard.numbers if number < len(frames)]
            if not wanted:
                continue
            rows = read_features(shard)
            makers[shard.maker] += len(wanted)
            seconds += np.array(shard.seconds) * len(wanted) / len(shard.numbers)
            for number, features in zip(shard.numbers, rows, strict=True):
                if number < len(frames):
                    if features.shape != (frames[number], N_FEATURES):
                        raise DataError(
                            f"{shard.path}: sample {number} has shape {features.shape}; expected "
                            f"({frames[number]}, {N_FEATURES}); remove the file and run the command again"
                        )
                    found[number] = features
        missing = [number for number in range(len(frames)) if number not in found]
        if missing:
            raise DataError(
                f"{self._place(method, replication)}: sample {missing[0]} is missing; run the command again"
            )
        each = seconds / max(1, len(frames))
        rows_in_order = [found[number] for number in range(len(frames))]
        return Motions(rows_in_order, (float(each[0]), float(each[1])), makers)

    def _place(self, method: str, replication: int) -> Path:
        return self.folder / "samples" / method / f"r{replication:02d}"


def _check_identity(path: Path, identity: Mapping[str, Any]) -> None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or found.pop("format", None) != FORMAT:
            raise ValueError(f"its format is not '{FORMAT}'")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not the record of a run ({error}); name another folder") from None
    if key := _different(found, identity):
        raise OutputError(
            f"{path}: this folder's samples were made with {key} = {_short(found.get(key))}, now it is "
            f"{_short(identity.get(key))}; name another folder, or run with the old one"
        )


def _different(one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """The first key in which two records differ."""
    missing = object()
    keys = sorted(one.keys() | other.keys())
    return next((key for key in keys if one.get(key, missing) != other.get(key, missing)), None)


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= 160 else f"{text[:157]}..."


def _read_head(path: Path, wanted: str, settings: Mapping[str, Any]) -> Shard:
    with _reading(path) as file:
        run, numbers, marks = str(file["run"]), file["numbers"], file["marks"]
        made, maker = json.loads(str(file["settings"])), str(file["maker"])
        wall, cpu = map(float, file["seconds"])
        if not isinstance(made, dict) or not isinstance(json.loads(maker), dict):
            raise ValueError("no record of what made it")
        if marks.dtype.kind != "U" or marks.shape != numbers.shape:
            raise ValueError("no marks of what was asked for")
        if numbers.ndim != 1 or numbers.dtype != np.int64 or not len(numbers) or numbers.min() < 0:
            raise ValueError("no numbers of samples")
    if run != wanted:
        settings = json.loads(json.dumps(dict(settings)))
        key = _different(made, settings)
        how = "by another run" if key is None else "with other settings of its method"
        what = "" if key is None else f" ({key} = {_short(made.get(key))}, now {_short(settings.get(key))})"
        raise DataError(f"{path}: made {how}{what}; name another folder")
    return Shard(path, tuple(map(int, numbers)), (wall, cpu), tuple(map(str, marks)), maker)


def read_features(shard: Shard) -> NDArray[np.float32]:
    """Features (S, F, 263) of a file of motions; raises DataError for a broken one."""
    with _reading(shard.path) as file:
        features = np.asarray(file["features"])
        if features.ndim != 3 or features.dtype != np.float32 or len(features) != len(shard.numbers):
            raise ValueError(f"features are {features.dtype} {features.shape}")
        if not np.isfinite(features).all():
            raise ValueError("numbers that are not finite")
    return features


@contextmanager
def _reading(path: Path) -> Iterator[Any]:
    """The arrays of an .npz file; whatever is wrong with it, in opening or in the block, becomes a DataError."""
    try:
        with path.open("rb") as raw:  # numpy leaves a broken file open
            file = np.load(raw, allow_pickle=False)
            if isinstance(file, np.ndarray):
                raise ValueError("a single array")
            yield file
    except BROKEN as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{path}: broken, truncated or foreign ({why}); remove it and run the command again"
        ) from None
