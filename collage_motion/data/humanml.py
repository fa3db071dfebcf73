"""HumanML3D as published: feature files, captions with their tokens, split lists and statistics.

The layout is the published one (`new_joint_vecs/<id>.npy`, `texts/<id>.txt`, `<split>.txt`, `Mean.npy`,
`Std.npy`), the filters and croppings are those of MDM's evaluation. The reference skips what it cannot read
without a word; here every such file or line is a named `Problem`.
"""

import math
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from collage_motion.errors import DataError
from collage_motion.skeleton import FPS, N_FEATURES

MIN_FRAMES: Final = 40
"""Shortest clip that the evaluation uses (2 s)."""

MAX_FRAMES: Final = 199
"""Longest clip that the evaluation uses; the reference asks for fewer than 200 frames."""

WINDOW_FRAMES: Final = 196
"""Length that every cropped clip is padded to; no crop can be longer."""

UNIT: Final = 4
"""Crops are a whole number of units: one movement code of the evaluator covers four frames."""

SPLITS: Final = ("train", "val", "test", "train_val", "all")

_CLIP_ID: Final = re.compile(r"M?\d{6}")


class Caption(NamedTuple):
    """One line of a caption file: the text, its stored `word/POS` tokens and the seconds it describes."""

    text: str
    tokens: tuple[str, ...]
    start_s: float
    end_s: float

    @property
    def whole_clip(self) -> bool:
        """Whether the caption describes the entire clip (both times are zero)."""
        return self.start_s == 0.0 and self.end_s == 0.0


class Problem(NamedTuple):
    """A file or a line that could not be used, and why."""

    clip: str
    reason: str


class Sample(NamedTuple):
    """One random access to an item: cropped features (n, 263), not normalised, and one of its captions."""

    features: NDArray[np.float32]
    caption: Caption


@dataclass(frozen=True)
class Item:
    """A clip, or the part of a clip that one caption describes.

    `features`: (n, 263) float32, not normalised, read-only. `first_frame` counts from the clip's start.
    """

    name: str
    clip: str
    first_frame: int
    features: NDArray[np.float32]
    captions: tuple[Caption, ...]

    @property
    def n_frames(self) -> int:
        return len(self.features)


@dataclass(frozen=True)
class HumanML:
    """The usable items of one split, shortest first, and an account of everything that was left out."""

    split: str
    n_listed: int
    items: tuple[Item, ...]
    problems: tuple[Problem, ...] = ()
    outside_length: tuple[str, ...] = ()

    def report(self) -> str:
        """Say how many clips were listed, used and left out, and name every problem (one a line)."""
        head = (
            f"{self.split}: {self.n_listed} clips listed, {len(self.items)} items used, "
            f"{len(self.outside_length)} outside {MIN_FRAMES} to {MAX_FRAMES} frames, "
            f"{len(self.problems)} problems"
        )
        return "\n".join([head, *(f"  {problem.clip}: {problem.reason}" for problem in self.problems)])


def read_array(path: Path, shape: tuple[int | None, ...]) -> NDArray[np.float64] | NDArray[np.float32]:
    """Read a `.npy` file of finite floating-point numbers, never unpickling anything.

    `shape`: the wanted shape, None where any length but zero will do. Raises DataError that names the file
    and, for a number that is not finite, its place.
    """
    wanted = "(" + ", ".join("n" if size is None else str(size) for size in shape) + ")"
    try:
        with path.open("rb") as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected an array of shape {wanted}") from None
    except (OSError, ValueError, EOFError, MemoryError, SyntaxError, tokenize.TokenError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path}: not a readable .npy array ({reason}); copy the file again") from None
    fits = array.ndim == len(shape) and all(
        got > 0 if size is None else got == size for got, size in zip(array.shape, shape, strict=True)
    )
    if not fits or array.dtype.kind != "f":
        raise DataError(
            f"{path}: holds {array.dtype} {array.shape}; expected floating point of shape {wanted}"
        )
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        place = tuple(int(index) for index in bad[0])
        raise DataError(
            f"{path}: {len(bad)} numbers are not finite, the first is {array[place]} at {list(place)}; "
            "make the file again from its source"
        )
    return np.asarray(array)


def read_statistics(
    mean: Path, std: Path, n_features: int = N_FEATURES
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read a pair of normalisation files: `Mean.npy`, `Std.npy` of the data set, or the evaluator's.

    Returns mean and standard deviation, (n_features,) float64 each. The two pairs are not interchangeable: four of
    the evaluator's groups are about 25 times smaller. Raises DataError (a spread that is not positive among
    them).
    """
    centre, spread = (read_array(path, (n_features,)).astype(np.float64) for path in (mean, std))
    if np.any(spread <= 0):
        index = int(np.argmin(spread))
        raise DataError(
            f"{std}: feature {index} has a standard deviation of {spread[index]:g}; it must be positive"
        )
    return centre, spread


def parse_caption(line: str, where: str) -> Caption:
    """Parse `caption#tokens#start#end`; times are seconds, `nan` stands for 0.

    `where` opens the message of the DataError that a missing field, a token without its tag or a time that is
    no number gives.
    """
    form = "expected caption#word/POS word/POS ...#start#end"
    fields = line.split("#")
    if len(fields) != 4:
        raise DataError(f"{where}: {len(fields)} fields; {form}")
    text, tokens = fields[0].strip(), tuple(fields[1].split())
    for token in tokens:
        word, _, tag = token.partition("/")
        if not word or not tag or "/" in tag:
            raise DataError(f"{where}: token '{token}' is not word/POS; {form}")
    if not text or not tokens:
        raise DataError(f"{where}: the {'caption' if not text else 'token list'} is empty; {form}")
    times = []
    for name, value in zip(("start", "end"), fields[2:], strict=True):
        try:
            seconds = float(value)
        except ValueError:
            raise DataError(f"{where}: {name} '{value.strip()}' is not a number of seconds; {form}") from None
        if math.isinf(seconds) or seconds < 0:
            raise DataError(f"{where}: {name} is {seconds:g} s; it must be 0 or more and finite")
        times.append(0.0 if math.isnan(seconds) else seconds)
    return Caption(text, tokens, *times)


def read_captions(path: Path, problems: list[str] | None = None) -> list[tuple[int, Caption]]:
    """Read a caption file: (line number, caption) for each line that is not blank.

    With a list `problems`, a broken line is described there and left out; without one it raises. A missing
    file, text that is not UTF-8 and a file without any caption always raise DataError.
    """
    try:
        lines = path.read_bytes().decode("utf-8").split("\n")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected one caption#tokens#start#end a line") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: byte {error.start} is not UTF-8 text; save the file as UTF-8") from None
    captions = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            captions.append((number, parse_caption(line, f"{path}:{number}")))
        except DataError as error:
            if problems is None:
                raise
            problems.append(str(error))
    if not captions and not problems:
        raise DataError(f"{path}: holds no caption; expected one caption#tokens#start#end a line")
    return captions


def read_split_list(root: Path, split: str) -> list[str]:
    """Read the clip ids of `<root>/<split>.txt`, one a line; raises DataError for an empty list or a strange
    id."""
    path = root / f"{split}.txt"
    try:
        lines = path.read_bytes().decode("utf-8").split("\n")
    except FileNotFoundError:
        raise DataError(f"{path}: no such split list; the data set has {', '.join(SPLITS)}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: byte {error.start} is not UTF-8 text; save the file as UTF-8") from None
    clips: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        clip = line.strip()
        if not clip:
            continue
        if not _CLIP_ID.fullmatch(clip):
            raise DataError(
                f"{path}:{number}: '{clip[:40]}' is no clip id; expected six digits, M in front if mirrored"
            )
        if clip in clips:
            raise DataError(
                f"{path}:{number}: clip {clip} is listed before, in line {clips[clip]}; list it once"
            )
        clips[clip] = number
    if not clips:
        raise DataError(f"{path}: the split is empty; expected one clip id a line")
    return list(clips)


def read_humanml(root: Path | str, split: str = "test", *, strict: bool = False) -> HumanML:
    """Read one split with the evaluation's filters; the features of all its clips are held in memory.

    A clip counts when it has 40 to 199 frames. A caption with a time range makes an item of its own, with the
    same length filter; the entire clip is an item when at least one caption describes all of it. Items are
    sorted by length. Files and lines that cannot be used are in `.problems`; with `strict` the first of them
    raises DataError. A split of which nothing is left raises DataError as well.
    """
    root = Path(root)
    clips = read_split_list(root, split)
    items: list[Item] = []
    problems: list[Problem] = []
    outside: list[str] = []
    for clip in clips:
        try:
            features = read_array(root / "new_joint_vecs" / f"{clip}.npy", (None, N_FEATURES)).astype(
                np.float32
            )
            if not MIN_FRAMES <= len(features) <= MAX_FRAMES:
                outside.append(clip)
                continue
            broken: list[str] | None = None if strict else []
            captions = read_captions(root / "texts" / f"{clip}.txt", broken)
            problems += [Problem(clip, reason) for reason in broken or []]
        except DataError as error:
            if strict:
                raise
            problems.append(Problem(clip, str(error)))
            continue
        features.flags.writeable = False
        items += _items_of(clip, features, captions, outside)
    if not items:
        first = f"; the first problem: {problems[0].reason}" if problems else ""
        raise DataError(
            f"{root / split}.txt: none of {len(clips)} clips can be used ({len(problems)} problems, "
            f"{len(outside)} outside {MIN_FRAMES} to {MAX_FRAMES} frames){first}"
        )
    items.sort(key=lambda item: item.n_frames)  # stable: equal lengths keep the order of the list
    return HumanML(split, len(clips), tuple(items), tuple(problems), tuple(outside))


def _items_of(
    clip: str, features: NDArray[np.float32], captions: list[tuple[int, Caption]], outside: list[str]
) -> Iterator[Item]:
    """Yield the items of one clip, the parts first; parts of a wrong length are named in `outside`."""
    for number, caption in captions:
        if caption.whole_clip:
            continue
        first, last = int(caption.start_s * FPS), int(caption.end_s * FPS)
        part = features[first:last]
        # The reference names parts with a random letter; the caption's line number is unique and stays the
        # same.
        name = f"{clip}:{number}"
        if MIN_FRAMES <= len(part) <= MAX_FRAMES:
            yield Item(name, clip, first, part, (caption,))
        else:
            outside.append(name)
    whole = tuple(caption for _, caption in captions if caption.whole_clip)
    if whole:
        yield Item(clip, clip, 0, features, whole)


def crop_length(n_frames: int, *, double: bool) -> int:
    """Return the length of a crop: whole units of four frames, one unit fewer for the "double" draw."""
    return (n_frames // UNIT - (1 if double else 0)) * UNIT


def draw_sample(item: Item, rng: np.random.Generator) -> Sample:
    """Draw a random crop and one of the captions, as each access of the reference's test set does.

    With probability 1/3 the crop is one unit shorter than the clip allows; its start is uniform over all that
    fit. Returns features (n, 263) with n a multiple of four, at most 196, not normalised.
    """
    length = crop_length(item.n_frames, double=bool(rng.random() < 1 / 3))
    start = int(rng.integers(0, item.n_frames - length + 1))
    caption = item.captions[int(rng.integers(len(item.captions)))]
    return Sample(item.features[start : start + length], caption)
