"""Fits how long what captions ask for lasts and how fast it travels, for a model's card (`collage_motion.lengths`)."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from collage_motion.card import WordNetwork
from collage_motion.data.captions import ACTION_NAMES, sample_caption, sample_caption_cmu
from collage_motion.data.dataset import Clip
from collage_motion.errors import DataError
from collage_motion.lengths import mean_word, value_of
from collage_motion.skeleton import FPS
from collage_motion.word_vectors import content_words, word_vectors

CAPTIONS: Final = 6
"""Captions drawn for a clip."""
UNITS: Final = 24
"""Of the network: on test clips 24 explain 77 % of the variance of log seconds, 48 no more, a linear map 57 %."""
PASSES, BATCH, RATE, DECAY = 40, 256, 3e-3, 1e-2
DROPPED, NOISE = 0.05, 0.015
"""Share of words left away and noise of a word vector's numbers: they stand for words that users will write.
Half as much noise comes anew in every pass."""
SHORTER: Final = 0.5
"""Share of clips that last at most the usual length."""


class Told(NamedTuple):
    """A caption, what was measured of its clip, and the group whose members share their weight."""

    caption: str
    value: float
    kind: str


Measure = Callable[[Clip], float]


def log_seconds(clip: Clip) -> float:
    """The logarithm of how long a clip lasts."""
    return math.log(len(clip.joints) / FPS)


def pace(clip: Clip) -> float:
    """The way of the pelvis over the ground by the time, m/s."""
    way = np.linalg.norm(np.diff(clip.joints[:, 0, ::2], axis=0), axis=1).sum()
    return float(way) * FPS / len(clip.joints)


def fit_usual_length(clips: Sequence[Clip], seed: int = 0) -> WordNetwork:
    """A network of one hidden layer from the mean word of captions to log seconds, raised to the quantile `SHORTER`.

    Kinds of clips count with the root of their number. Raises DataError for fewer clips than would fix it.
    """
    return _fitted(clips, log_seconds, SHORTER, seed)


def fit_usual_pace(clips: Sequence[Clip], seed: int = 0) -> WordNetwork:
    """As `fit_usual_length`, to the `pace` of clips, in the mean."""
    return _fitted(clips, pace, None, seed)


def _fitted(clips: Sequence[Clip], measure: Measure, quantile: float | None, seed: int) -> WordNetwork:
    rng = np.random.default_rng(seed)
    told = list(_told(clips, measure, rng))
    if len(clips) < 100:
        raise DataError(
            f"usual lengths and paces: got {len(clips)} clips; 100 are needed at least; take a training split"
        )
    counts = Counter(row.kind for row in told)
    weights = np.array([counts[row.kind] ** -0.5 for row in told])
    wanted = np.array([row.value for row in told])
    means = np.array([_blurred(row.caption, rng) for row in told])
    found = _trained(means, wanted, weights / weights.mean(), seed)
    left = wanted - np.array([value_of(found, mean_word(row.caption)) for row in told])
    higher = 0.0 if quantile is None else float(np.quantile(left, quantile))
    return replace(found, bias=round(found.bias + higher, 5))


def _trained(
    means: NDArray[np.float64], wanted: NDArray[np.float64], weights: NDArray[np.float64], seed: int
) -> WordNetwork:
    """Least squares by AdamW on (N, D) mean words, (N,) values and weights; rounded as a card keeps it."""
    spread, middle, scale = means.std(), wanted.mean(), max(float(wanted.std()), 1e-6)
    x, y, w = (
        torch.from_numpy(values).float() for values in (means / spread, (wanted - middle) / scale, weights)
    )
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        hidden, out = nn.Linear(x.shape[1], UNITS), nn.Linear(UNITS, 1)
    optimiser = torch.optim.AdamW([*hidden.parameters(), *out.parameters()], lr=RATE, weight_decay=DECAY)
    for number in range(PASSES):
        optimiser.param_groups[0]["lr"] = RATE * (1 - number / PASSES)
        for batch in torch.randperm(len(x), generator=generator).split(BATCH):
            noise = torch.randn(len(batch), x.shape[1], generator=generator) * (NOISE / 2 / spread)
            made = out(torch.tanh(hidden(x[batch] + noise)))[:, 0]
            loss = (w[batch] * (made - y[batch]) ** 2).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    rows = torch.cat((out.weight.T * scale, hidden.bias[:, None], hidden.weight / spread), dim=1).tolist()
    units = tuple(tuple(round(number, 4) for number in row) for row in rows)
    return WordNetwork(float(middle + scale * out.bias.item()), (0.0,) * x.shape[1], units)


def explained(
    line: WordNetwork, clips: Iterable[Clip], seed: int = 0, measure: Measure = log_seconds
) -> tuple[float, float]:
    """Of clips with captions drawn anew: the share of the variance of what is measured, and of clips with no more."""
    told = list(_told(clips, measure, np.random.default_rng(seed)))
    wanted = np.array([row.value for row in told])
    made = np.array([value_of(line, mean_word(row.caption)) for row in told])
    left = wanted - made
    return float(1 - left.var() / wanted.var()), float((left <= 0).mean())


def _told(clips: Iterable[Clip], measure: Measure, rng: np.random.Generator) -> Iterator[Told]:
    for clip in clips:
        value = measure(clip)
        for number in range(CAPTIONS):
            if not clip.content:
                caption = sample_caption_cmu(clip.description, rng)
            elif number:
                caption = sample_caption(clip.content, clip.style, rng)
            else:  # as short as prompts often are
                caption = ACTION_NAMES.get(clip.content, clip.content)
            yield Told(caption, value, clip.content)


def _blurred(caption: str, rng: np.random.Generator) -> NDArray[np.float64]:
    vectors = word_vectors(tuple(content_words(caption))).astype(np.float64)
    kept = vectors[rng.random(len(vectors)) >= DROPPED]
    kept = kept if len(kept) else vectors
    mean = kept.sum(axis=0) / max(len(kept), 1)
    return mean + rng.normal(size=mean.shape) * NOISE / math.sqrt(max(len(kept), 1))
