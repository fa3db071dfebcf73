"""HumanML3D with its released evaluator as a test bed: the published protocol, file by file.

Filters, crops, words and the 32-batches are those of MDM's evaluation (Tevet et al. 2023, after Guo et al. 2022):
see `data.humanml`, `words` and `metrics`. Generated short motions are sampled on 196 frames whatever their length, and
what lies behind a length stays, as there; real clips have zeros behind them.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from collage_motion.data.humanml import WINDOW_FRAMES, HumanML, Item, draw_sample, read_humanml
from collage_motion.errors import DataError, ModelError
from collage_motion.features import features_to_joints

from .classifier import ContentClassifier
from .evaluator import Evaluator
from .jerk import mean_jerk
from .metrics import BATCH, r_precision
from .own_evaluator import MotionTextEvaluator, OfficialEvaluator
from .testbed import EMBEDDED, Asked, Drawn, InBatches, Rows, crop, digest
from .vocabulary import load_vocabulary
from .words import WordVectoriser

CHECKPOINTS: Final = ("t2m/text_mot_match/model/finest.tar", "text_mot_match/model/finest.tar")
STATISTICS: Final = ("t2m/Comp_v6_KLD01/meta", "Comp_v6_KLD01/meta")
WORDS: Final = ("glove", "../glove")

Floats = NDArray[np.float64]


class HumanMLTestbed:
    """The test split of HumanML3D, read by the released evaluator.

    FID compares with the whole split, drawn and embedded anew in every replication, and so does the row of real
    clips, as published; what is asked for is part of that split, so this FID has no floor between disjoint sets and no
    figure above it. Transitions have both: windows come from the clips that share no recording with what was asked.
    legacy: the caption length of evaluations before 2024 for generated motions (`words`).
    """

    canvas = True
    published = True
    most_frames = WINDOW_FRAMES

    def __init__(
        self, data: HumanML, networks: Evaluator, vectoriser: WordVectoriser, *, legacy: bool = False
    ) -> None:
        self.data, self.networks, self.vectoriser, self.legacy = data, networks, vectoriser, legacy
        tokens = {caption.text: caption.tokens for item in data.items for caption in item.captions}
        self.evaluator: MotionTextEvaluator = InBatches(OfficialEvaluator(networks, vectoriser, tokens))
        self.classifier: ContentClassifier | None = None
        self.record = {
            "name": "HumanML3D",
            "split": data.split,
            "items": len(data.items),
            "digest": digest([(item.name, item.n_frames) for item in data.items]),
        }
        self.judge = {
            "evaluator": "released",
            "legacy_caption_length": legacy,
            "behind_a_clip": "generated frames of generated motions, zeros of real ones",
        }

    @cached_property
    def j_avg(self) -> float:
        """See `Testbed`."""
        rows = [item.features.astype(np.float64) for item in self.data.items]
        return mean_jerk([np.asarray(features_to_joints(features)) for features in rows])

    def draw(self, seed: int, count: int, least: int, most: int) -> Drawn:
        """See `Testbed`; items in random order, those of a range of lengths only, from the top again when used up."""
        items = [item for item in self.data.items if item.n_frames // 4 * 4 >= least]
        if len(items) < BATCH:
            raise DataError(
                f"{len(items)} items of the data set have {least} frames; at least {BATCH} are needed"
            )
        order = np.random.default_rng((seed, 0)).permutation(len(items))
        rng = np.random.default_rng((seed, 1))
        asked = tuple(_asked(items[order[k % len(order)]], rng, most) for k in range(count))
        again = np.random.default_rng((seed, 2))
        reference = tuple(_asked(item, again, most) for item in items)
        third = np.random.default_rng((seed, 3))
        real = tuple(_asked(items[k], third, most) for k in third.permutation(len(items)))
        used = {row.recording for row in asked}
        apart = tuple(row.features for row in reference if row.recording not in used)
        different = tuple(row.features for row in asked[: len(items)])
        return Drawn(asked, real, tuple(row.features for row in reference), apart, different)

    def embed_motions(
        self, features: Sequence[Rows], lengths: Sequence[int] | None = None, made: bool = False
    ) -> NDArray[np.float32]:
        """See `Testbed`: frames behind the length of generated motions are read as far as they are there."""
        parts = []
        for start in range(0, len(features), EMBEDDED):
            rows = slice(start, start + EMBEDDED)
            motions, counts = self.networks.normalise(
                features[rows], None if lengths is None else lengths[rows]
            )
            parts.append(self.networks.embed_motion(motions, counts, behind_end="keep" if made else "zero"))
        return np.concatenate(parts)

    def embed_captions(self, asked: Sequence[Asked], made: bool = False) -> NDArray[np.float32]:
        """See `Testbed`: stored tokens, with the legacy length only where generated motions are judged."""
        tokens = [row.tokens for row in asked]
        vectors = self.vectoriser.captions(tokens, legacy_caption_length=self.legacy and made)
        return self.networks.embed_captions(vectors)

    def r_precision(self, text: Floats, motion: Floats, asked: Sequence[Asked], batch: int = BATCH) -> Floats:
        """As published: one right motion a caption, captions that say the same included."""
        return r_precision(text, motion, 3, batch)


def _asked(item: Item, rng: np.random.Generator, most: int) -> Asked:
    sample = draw_sample(item, rng)
    features = sample.features if len(sample.features) <= most else crop(sample.features, most, rng)
    caption = sample.caption
    return Asked(caption.text, features, caption.text, item.clip.removeprefix("M"), caption.tokens)


def load_official(
    dataset: Path | str, evaluator: Path | str, *, legacy: bool = False, device: Any = "cpu"
) -> HumanMLTestbed:
    """Read the test split and the evaluator's files; raises DataError or ModelError naming what is missing.

    dataset: the folder with `new_joint_vecs`, `texts` and `test.txt`. evaluator: the folder with `t2m` (and `glove` in
    it or beside it) as the releases unpack.
    """
    from .checkpoint import load_evaluator

    root = Path(evaluator)
    if not root.is_dir():
        raise ModelError(
            f"{root}: no such folder; it holds t2m and glove, as the evaluator's releases unpack"
        )
    checkpoint = _first(root, CHECKPOINTS, "the networks")
    meta = _first(root, STATISTICS, "the statistics")
    vocabulary = load_vocabulary(_first(root, WORDS, "the word vectors"))
    networks = load_evaluator(checkpoint, meta / "mean.npy", meta / "std.npy", device=device)
    return HumanMLTestbed(read_humanml(dataset), networks, WordVectoriser(vocabulary), legacy=legacy)


def _first(root: Path, places: Sequence[str], what: str) -> Path:
    for place in places:
        if (root / place).exists():
            return root / place
    raise ModelError(f"{root}: {what} of the evaluator are in none of {', '.join(places)}; copy them there")
