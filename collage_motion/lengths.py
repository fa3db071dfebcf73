"""How long what a prompt asks for usually lasts, and whether it travels: as a model's training clips showed it.

Small networks from the mean vector of a prompt's content words, kept in the model's card; read without torch. Text to
length is what Guo et al. (2022) put before their generator; theirs draws.
"""

import math
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collage_motion.card import ModelCard, WordNetwork
from collage_motion.errors import ModelError
from collage_motion.word_vectors import content_words, word_vectors

TRAVELS: Final = 0.6
"""Pace, m/s, from which on a motion counts as going somewhere: of training captions drawn anew 86 % or more of each way
to walk or run are told so fast, of gestures 17 % at most, of dances a third and of kicks half; a prompt without a word
that tells has 0.55."""


def usual_seconds(prompts: Iterable[str], card: ModelCard) -> dict[str, float]:
    """Seconds that what each prompt asks for usually lasts, within what the model's windows hold.

    In steps of 2^(1/4), for no estimate is finer, and motions with windows of one length can be made together. Nothing
    where the card does not tell. Raises ModelError for a card whose weights are not as wide as the word
    vectors.
    """
    if card.usual_length is None:
        return {}
    least, most = card.min_frames / card.fps, card.max_frames / card.fps
    found = {}
    for prompt in prompts:
        octaves = _told(card, "usual_length", prompt) / math.log(2)
        seconds = 2 ** (round(4 * max(-20.0, min(octaves, 20.0))) / 4)
        found[prompt] = min(max(seconds, least), most)
    return found


def travels(prompt: str, card: ModelCard) -> bool:
    """Whether what a prompt asks for goes somewhere, as walking does, so that it goes on as long as one likes.

    False where the card does not tell. Raises ModelError as `usual_seconds` does.
    """
    return card.usual_pace is not None and _told(card, "usual_pace", prompt) >= TRAVELS


def _told(card: ModelCard, name: str, prompt: str) -> float:
    known, mean = getattr(card, name), mean_word(prompt)
    if len(known.weights) != len(mean):
        raise ModelError(
            f"{card.folder}: '{name}.weights' of the card are {len(known.weights)}, the word vectors have "
            f"{len(mean)} numbers; correct the card or leave the field away"
        )
    return value_of(known, mean)


def value_of(known: WordNetwork, mean: NDArray[np.float64]) -> float:
    """What a card knows, of a mean word (D,)."""
    told = known.bias + float(np.dot(known.weights, mean))
    if known.units:
        heights, biases, *weights = np.array(known.units).T
        told += float(np.dot(heights, np.tanh(biases + mean @ np.array(weights))))
    return told


def mean_word(prompt: str) -> NDArray[np.float64]:
    """Mean (D,) of the unit vectors of a prompt's content words; zero for a prompt without any."""
    vectors = word_vectors(tuple(content_words(prompt)))
    return np.asarray(vectors.sum(axis=0) / max(len(vectors), 1), dtype=np.float64)
