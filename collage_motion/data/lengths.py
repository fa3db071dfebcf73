"""Fits how long what captions ask for lasts, for the card of a model (`collage_motion.lengths`)."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from collage_motion.card import UsualLength
from collage_motion.data.captions import ACTION_NAMES, sample_caption, sample_caption_cmu
from collage_motion.data.dataset import Clip
from collage_motion.errors import DataError
from collage_motion.lengths import mean_word
from collage_motion.skeleton import FPS
from collage_motion.word_vectors import content_words, word_vectors

CAPTIONS: Final = 6
"""Captions drawn for a clip."""
DROPPED, NOISE, RIDGE = 0.05, 0.015, 0.3
"""Share of words left away, noise of a word vector's numbers, ridge: they stand for words that users will write."""
SHORTER: Final = 0.5
"""Share of clips that last at most the usual length."""


class Told(NamedTuple):
    """A caption, the seconds of its clip, and the group whose members share their weight."""

    caption: str
    seconds: float
    kind: str


def fit_usual_length(clips: Sequence[Clip], seed: int = 0) -> UsualLength:
    """Ridge regression of log seconds on the mean word of captions, raised to the quantile `SHORTER`.

    Kinds of clips count with the root of their number. Raises DataError for fewer clips than would fix it.
    """
    rng = np.random.default_rng(seed)
    told = list(_told(clips, rng))
    if len(clips) < 100:
        raise DataError(
            f"usual lengths: got {len(clips)} clips; 100 are needed at least; take a training split"
        )
    counts = Counter(row.kind for row in told)
    weights = np.array([counts[row.kind] ** -0.5 for row in told])
    weights /= weights.mean()
    design = np.array([[*_blurred(row.caption, rng), 1.0] for row in told])
    wanted = np.log([row.seconds for row in told])
    weighted = design * weights[:, None]
    found = np.linalg.solve(weighted.T @ design + RIDGE * np.eye(design.shape[1]), weighted.T @ wanted)
    left = wanted - np.array([[*mean_word(row.caption), 1.0] for row in told]) @ found
    bias = float(found[-1] + np.quantile(left, SHORTER))
    return UsualLength(round(bias, 5), tuple(round(float(weight), 5) for weight in found[:-1]))


def explained(line: UsualLength, clips: Iterable[Clip], seed: int = 0) -> tuple[float, float]:
    """Of clips with captions drawn anew: the share of the variance of log seconds, and of clips no longer than told."""
    told = list(_told(clips, np.random.default_rng(seed)))
    wanted = np.log([row.seconds for row in told])
    made = np.array([line.bias + np.dot(line.weights, mean_word(row.caption)) for row in told])
    left = wanted - made
    return float(1 - left.var() / wanted.var()), float((left <= 0).mean())


def _told(clips: Iterable[Clip], rng: np.random.Generator) -> Iterator[Told]:
    for clip in clips:
        seconds = len(clip.joints) / FPS
        for number in range(CAPTIONS):
            if not clip.content:
                caption = sample_caption_cmu(clip.description, rng)
            elif number:
                caption = sample_caption(clip.content, clip.style, rng)
            else:  # as short as prompts often are
                caption = ACTION_NAMES.get(clip.content, clip.content)
            yield Told(caption, seconds, clip.content)


def _blurred(caption: str, rng: np.random.Generator) -> NDArray[np.float64]:
    vectors = word_vectors(tuple(content_words(caption))).astype(np.float64)
    kept = vectors[rng.random(len(vectors)) >= DROPPED]
    kept = kept if len(kept) else vectors
    mean = kept.sum(axis=0) / max(len(kept), 1)
    return mean + rng.normal(size=mean.shape) * NOISE / math.sqrt(max(len(kept), 1))
