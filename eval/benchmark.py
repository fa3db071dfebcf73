"""The benchmark on real data: the test split of the prepared motion capture as features, captions and
meanings.

Batches hold 32 different meanings and yet every clip is drawn as often as any other, as long as no meaning
has more than a thirty-second of the clips: a batch is a systematic sample of the clips laid out meaning by
meaning.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from collage_motion.data.batches import Recording, to_recordings
from collage_motion.data.captions import sample_caption, sample_caption_cmu
from collage_motion.data.dataset import Clip, Split, load_dataset
from collage_motion.errors import DataError
from collage_motion.features import features_to_joints

from .meaning import meaning_of
from .metrics import BATCH

MIN_FRAMES: Final = 20
"""Shorter clips are no items; the evaluator has not learnt them."""

MIRRORED: Final = "~mirrored"
"""Behind the names of mirror images (`data.dataset.mirror_clip`)."""

Track = Callable[[Iterable[Clip]], Iterable[Clip]]


class Meant(Protocol):
    """What has a meaning: an item of the benchmark, or what is asked for."""

    @property
    def meaning(self) -> str: ...


@dataclass(frozen=True)
class BenchmarkItem:
    """One clip of the benchmark with one caption.

    `features` (F, 263): raw rows as the default model makes them. `name` is the clip's; a mirror image has
    its original's with `~mirrored` behind it. `content` and `style` are empty for clips that have a
    description only. `recording`: what the clip is a piece or the mirror image of; two sets are disjoint when
    they share none.
    """

    features: NDArray[np.float32]
    caption: str
    meaning: str
    content: str
    style: str
    name: str
    recording: str

    @property
    def length(self) -> int:
        """Frames."""
        return len(self.features)

    @property
    def mirrored(self) -> bool:
        """Whether it is the mirror image of another item."""
        return self.name.endswith(MIRRORED)

    @cached_property
    def joints(self) -> NDArray[np.float32]:
        """Joints (F, 22, 3) in metres of these features, y up, floor at 0."""
        return np.asarray(features_to_joints(self.features), dtype=np.float32)


class Benchmark:
    """The clips of one split with a caption each, and batches of them; everything depends on seeds alone."""

    def __init__(self, items: Sequence[BenchmarkItem], recordings: Sequence[Recording]) -> None:
        """`recordings` are those of the items, in their order; captions are drawn from them."""
        if not items or len(items) != len(recordings):
            raise DataError(f"a benchmark of {len(items)} items; it needs at least one clip of 20 frames")
        self.items = tuple(items)
        self._recordings = tuple(recordings)
        self._groups: dict[str, list[int]] = defaultdict(list)
        for index, item in enumerate(items):
            self._groups[item.meaning].append(index)

    @property
    def meanings(self) -> tuple[str, ...]:
        """The different meanings, in alphabetical order."""
        return tuple(sorted(self._groups))

    def __len__(self) -> int:
        return len(self.items)

    def part(self, places: Sequence[int]) -> "Benchmark":
        """A benchmark of these items only, by their places; raises DataError where that is none."""
        return Benchmark([self.items[k] for k in places], [self._recordings[k] for k in places])

    def batches(self, count: int, seed: int = 0, size: int = BATCH) -> list[list[BenchmarkItem]]:
        """`count` batches of `size` clips of different meanings, each with a newly drawn caption.

        A batch is a systematic sample (Madow 1949): clips laid out meaning by meaning in random order, one
        taken every N / size. So every clip has the same chance, and no meaning comes twice in a batch unless
        it has more than N / size clips. Batches are independent: clips come again in others.

        Raises:
            DataError: there are fewer clips than a batch holds.
        """
        if len(self.items) < size:
            raise DataError(
                f"a benchmark of {len(self.items)} clips has no batch of {size}; take a larger split"
            )
        rng = np.random.default_rng((seed, 32))
        return [self._batch(rng, size) for _ in range(count)]

    def _batch(self, rng: np.random.Generator, size: int) -> list[BenchmarkItem]:
        groups = list(self._groups.values())
        order = [index for k in rng.permutation(len(groups)) for index in rng.permutation(groups[k])]
        step = len(order) / size
        places = ((rng.random() + np.arange(size)) * step).astype(int).clip(max=len(order) - 1)
        chosen = [order[place] for place in rng.permutation(places)]
        return [replace(self.items[i], caption=draw_caption(self._recordings[i], rng)) for i in chosen]

    def draw(self, count: int, seed: int = 0) -> list[BenchmarkItem]:
        """The first `count` items of batches; each stretch of 32 is a batch of R-precision."""
        batches = self.batches(-(-count // BATCH), seed)
        return [item for batch in batches for item in batch][:count]

    def once(self, count: int, seed: int = 0) -> list[BenchmarkItem]:
        """`count` different items, or all where there are fewer: one systematic sample, so that meanings have the
        shares that they have in `draw`.
        """
        return self._batch(np.random.default_rng((seed, 33)), min(count, len(self)))

    def halves(self, seed: int = 0) -> tuple["Benchmark", "Benchmark"]:
        """Two parts of the benchmark that share no recording: FID between them is its floor.

        A recording is dealt as a whole, all its pieces and their mirror images, whatever these mean. Recordings
        of one meaning (that of their first item) are dealt out alternately, so that both parts have the same
        meanings as far as there are two recordings of each.
        """
        rng = np.random.default_rng((seed, 2))
        meaning = {item.recording: item.meaning for item in reversed(self.items)}
        names = sorted(meaning)
        order = sorted((names[k] for k in rng.permutation(len(names))), key=meaning.__getitem__)
        first = int(rng.integers(2))
        side = {name: (place + first) % 2 for place, name in enumerate(order)}
        parts = [[i for i, item in enumerate(self.items) if side[item.recording] == half] for half in (0, 1)]
        return self.part(parts[0]), self.part(parts[1])


def load_benchmark(
    path: str | Path | None = None, split: Split = "test", seed: int = 0, track: Track = iter
) -> Benchmark:
    """The benchmark of a split of the prepared file (COLLAGE_DATA when None), mirror images included.

    `seed` draws the captions of `items`; `track` may wrap the clips to show progress. Raises DataError when
    the file is missing or broken.
    """
    return make_benchmark(load_dataset(path).clips(split), seed, track)


def make_benchmark(clips: Sequence[Clip], seed: int = 0, track: Track = iter) -> Benchmark:
    """The benchmark of some clips; those shorter than `MIN_FRAMES` rows are left out."""
    kept = [clip for clip in clips if len(clip.joints) >= MIN_FRAMES + 2]  # two frames make no row
    recordings = to_recordings(kept, track)
    rng = np.random.default_rng((seed, 1))
    items = [
        BenchmarkItem(
            recording.features,
            draw_caption(recording, rng),
            meaning_of(recording),
            recording.content,
            recording.style,
            clip.name,
            clip.recording or clip.name.removesuffix(MIRRORED),
        )
        for clip, recording in zip(kept, recordings, strict=True)
    ]
    return Benchmark(items, recordings)


def draw_caption(recording: Recording, rng: np.random.Generator) -> str:
    """A caption that says a clip's whole meaning: always the style, never a side that the label leaves open."""
    if recording.content:
        return sample_caption(recording.content, recording.style, rng, plain=0.0)
    return sample_caption_cmu(recording.description, rng)


def distinct_meanings(items: Sequence[Meant], batch: int = BATCH) -> float:
    """Mean number of different meanings in the batches of 32 that a list of items is cut into."""
    rows = [items[start : start + batch] for start in range(0, len(items) - batch + 1, batch)]
    if not rows:
        raise DataError(f"{len(items)} items have no batch of {batch}; draw at least one batch")
    return float(np.mean([len({item.meaning for item in row}) for row in rows]))


def most_common_share(benchmark: Benchmark) -> float:
    """Share of the clips that have the commonest meaning; up to 1/32 batches are of different meanings only."""
    return max(Counter(item.meaning for item in benchmark.items).values()) / len(benchmark)
