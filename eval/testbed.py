"""What protocols ask for and compare with: real clips, their captions, and an evaluator that judges both.

There are two test beds with the same few methods: the benchmark of this project (`OwnTestbed`) and HumanML3D with its
released evaluator (`official.HumanMLTestbed`).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from collage_motion.data.humanml import UNIT
from collage_motion.errors import DataError

from .benchmark import Benchmark
from .classifier import ContentClassifier
from .jerk import mean_jerk
from .metrics import BATCH
from .own_evaluator import MAX_FRAMES, MotionTextEvaluator
from .retrieval import r_precision_of_meanings

Rows = NDArray[np.float32]
Floats = NDArray[np.float64]

EMBEDDED: Final = 256
"""Motions that an evaluator is given at once: they take 100 MB."""


@dataclass(frozen=True, eq=False)
class Asked:
    """A caption with the crop of the real clip that it describes: features (n, 263), raw, n a multiple of four.

    meaning: captions that ask for the same motion have the same. recording: what a crop, its mirror image, and other
    pieces of what was recorded share.
    tokens: `word/POS` of released captions.
    """

    caption: str
    features: Rows
    meaning: str
    recording: str
    tokens: tuple[str, ...] = ()

    @property
    def n_frames(self) -> int:
        """Length of the crop."""
        return len(self.features)


@dataclass(frozen=True, eq=False)
class Drawn:
    """One replication's share of the real data.

    asked: what is generated; a clip may come twice. real: what the row of real clips is made of. reference: the
    clips that FID compares with. apart: those of the reference that share no recording with `asked`.
    different: real clips for the floor of FID, which stand for generated motions: as many as are asked for, but each
    once, for motions of one caption are different motions; fewer where there are not so many. reference_meanings,
    different_meanings: what these clips show, where that is known.
    """

    asked: tuple[Asked, ...]
    real: tuple[Asked, ...]
    reference: tuple[Rows, ...]
    apart: tuple[Rows, ...]
    different: tuple[Rows, ...]
    reference_meanings: tuple[str, ...] = ()
    different_meanings: tuple[str, ...] = ()


class Testbed(Protocol):
    """Real clips with captions and a judge of both."""

    record: dict[str, Any]
    """What it is, for JSON: the same on every machine with the same files."""
    judge: dict[str, Any]
    """The evaluator and its choices, for JSON; samples do not depend on them."""
    evaluator: MotionTextEvaluator
    """What embeds plain captions and whole features, for metrics that look at more than what was asked."""
    classifier: ContentClassifier | None
    """What names contents, where there is one."""
    most_frames: int
    """The longest clip that the judge reads."""
    canvas: bool
    """Whether short motions are sampled on canvases of the longest length, whatever theirs is."""
    published: bool
    """Whether figures that depend on chance are drawn as in published tables, not averaged over all draws."""

    @property
    def j_avg(self) -> float:
        """Mean jerk of all its clips."""
        ...

    def draw(self, seed: int, count: int, least: int, most: int) -> Drawn:
        """Draw for one replication: `count` captions of clips of `least` to `most` frames (longer are cropped).

        The first rows of a larger draw are those of a smaller one.
        """
        ...

    def embed_motions(
        self, features: Sequence[Rows], lengths: Sequence[int] | None = None, made: bool = False
    ) -> NDArray[np.float32]:
        """Embed clips, of which `lengths` frames count; `made`: they are generated. (N, D)."""
        ...

    def embed_captions(self, asked: Sequence[Asked], made: bool = False) -> NDArray[np.float32]:
        """Embed captions (N, D); `made`: they stand beside generated motions."""
        ...

    def r_precision(self, text: Floats, motion: Floats, asked: Sequence[Asked], batch: int = BATCH) -> Floats:
        """Top 1 to 3 (3,) in batches in the order given."""
        ...


def digest(items: Sequence[tuple[object, ...]]) -> str:
    """Sixteen letters that stand for a list of items."""
    return hashlib.sha256(repr(items).encode()).hexdigest()[:16]


def crop(features: Rows, most: int, rng: np.random.Generator) -> Rows:
    """A random stretch of whole units of four frames, as long as the clip and `most` allow."""
    length = min(len(features), most) // UNIT * UNIT
    start = int(rng.integers(0, len(features) - length + 1))
    return features[start : start + length]


class InBatches:
    """An evaluator that is given many motions a few at a time, for it fills each up to the longest length."""

    def __init__(self, evaluator: MotionTextEvaluator) -> None:
        self._evaluator = evaluator

    def embed_motions(self, features: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
        """See `MotionTextEvaluator`."""
        parts = [features[start : start + EMBEDDED] for start in range(0, len(features), EMBEDDED)]
        return np.concatenate([self._evaluator.embed_motions(part) for part in parts])

    def embed_captions(self, captions: Sequence[str]) -> NDArray[np.float32]:
        """See `MotionTextEvaluator`."""
        return self._evaluator.embed_captions(captions)


class OwnTestbed:
    """The test split of the prepared motion capture with an evaluator of its own.

    Each replication deals the clips out anew into two halves that share no recording: captions are drawn from
    one, FID compares with the other. Captions come in stretches of 32 different meanings (`Benchmark.batches`), so
    clips come again; those of the floor are drawn from the same half without repetition.
    """

    canvas = False
    published = False

    most_frames = MAX_FRAMES

    def __init__(
        self,
        benchmark: Benchmark,
        evaluator: MotionTextEvaluator,
        classifier: ContentClassifier | None = None,
    ) -> None:
        self.benchmark, self.classifier = benchmark, classifier
        self.evaluator: MotionTextEvaluator = InBatches(evaluator)
        self.record = {
            "name": "own",
            "clips": len(benchmark),
            "meanings": len(benchmark.meanings),
            "digest": digest([(i.name, i.recording, i.length, i.meaning) for i in benchmark.items]),
        }
        self.judge = {"evaluator": "own", **getattr(evaluator, "card", {}).get("quality", {})}

    @cached_property
    def j_avg(self) -> float:
        """See `Testbed`; mirror images, which shake alike, are left out."""
        return mean_jerk([item.joints for item in self.benchmark.items if not item.mirrored])

    def draw(self, seed: int, count: int, least: int, most: int) -> Drawn:
        """See `Testbed`; raises DataError where too few clips are long enough."""
        asking, other = _longer(self.benchmark, least).halves(seed)
        rng = np.random.default_rng((seed, 3))
        asked = []
        for item in asking.draw(count, seed):
            features = crop(item.features, most, rng)
            asked.append(Asked(item.caption, features, item.meaning, item.recording))
        apart = np.random.default_rng((seed, 4))
        reference = tuple(crop(item.features, most, apart) for item in other.items)
        once, chosen = np.random.default_rng((seed, 5)), asking.once(count, seed)
        different = tuple(crop(item.features, most, once) for item in chosen)
        meanings = (tuple(item.meaning for item in items) for items in (other.items, chosen))
        return Drawn(tuple(asked), tuple(asked), reference, reference, different, *meanings)

    def embed_motions(
        self, features: Sequence[Rows], lengths: Sequence[int] | None = None, made: bool = False
    ) -> NDArray[np.float32]:
        """See `Testbed`; frames behind a length are not read."""
        if lengths is not None:
            features = [rows[:length] for rows, length in zip(features, lengths, strict=True)]
        return self.evaluator.embed_motions(features)

    def embed_captions(self, asked: Sequence[Asked], made: bool = False) -> NDArray[np.float32]:
        """See `Testbed`."""
        return self.evaluator.embed_captions([row.caption for row in asked])

    def r_precision(self, text: Floats, motion: Floats, asked: Sequence[Asked], batch: int = BATCH) -> Floats:
        """Among meanings: motions asked for with captions of one meaning stand for each other."""
        return r_precision_of_meanings(text, motion, [row.meaning for row in asked], 3, batch)


def _longer(benchmark: Benchmark, least: int) -> Benchmark:
    """The clips of a benchmark of at least so many frames, whole units of four."""
    kept = [k for k, item in enumerate(benchmark.items) if item.length // UNIT * UNIT >= least]
    if len(kept) < 2 * BATCH:
        raise DataError(
            f"{len(kept)} clips of the benchmark have {least} frames; a draw needs {2 * BATCH}, half of them to "
            "compare with; prepare more clips (scripts/prepare_data.py)"
        )
    return benchmark.part(kept)
