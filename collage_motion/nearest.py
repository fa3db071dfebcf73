"""Is a prompt near anything a model was trained on? Answered from word vectors, without the model."""

from collections.abc import Iterable
from typing import Final

import numpy as np

from collage_motion.card import ModelCard
from collage_motion.errors import ModelError
from collage_motion.word_vectors import content_words, mean_vectors, word_vectors

# Calibrated on captions of the default model's training data and hand-written prompts (tests/test_nearest.py).
NEAR_ACTION: Final = 0.5
"""Cosine of a prompt's mean word to an action's, from which on the action is what is meant."""
NEAR_ACTION_ALONE: Final = 0.42
"""The same for a model whose card lists no vocabulary."""
NEAR_WORDS: Final = 0.63
"""Mean, over a prompt's words, of the cosine to the nearest word of the training captions."""


def far_from_known(prompt: str, card: ModelCard, most: int = 3) -> list[str]:
    """The `most` nearest actions of a model if `prompt` is far from all it was trained on, else nothing.

    Known is a prompt whose mean word vector is near that of one of `card.actions`, or whose words are, on average,
    near the words of the training captions (`card.training["vocabulary"]`, as `content_words` finds them; optional).
    A card without actions knows no nearest ones, so nothing is far from it. Raises ModelError if the package's word
    vectors are missing.
    """
    if not card.actions:
        return []
    near = mean_vectors(card.actions) @ mean_vectors((prompt,))[0]
    vocabulary = _vocabulary(card)
    if near.max() >= (NEAR_ACTION if vocabulary else NEAR_ACTION_ALONE):
        return []
    words = content_words(prompt)
    if vocabulary and words:
        best = (word_vectors(vocabulary) @ word_vectors(tuple(words)).T).max(axis=0)
        if best.mean() >= NEAR_WORDS:
            return []
    return [card.actions[i] for i in np.argsort(-near, kind="stable")[:most]]


def warning_of(prompt: str, card: ModelCard) -> str | None:
    """One line for a prompt that is far from all the model knows; None for the others."""
    actions = far_from_known(prompt, card)
    if not actions:
        return None
    return (
        f"prompt {prompt!r} is far from everything model '{card.name}' was trained on; "
        f"the nearest actions it knows: {', '.join(actions)}"
    )


def vocabulary_of(captions: Iterable[str]) -> list[str]:
    """The content words of many captions, sorted: what a card keeps as `training["vocabulary"]`."""
    return sorted({word for caption in captions for word in content_words(caption)})


def _vocabulary(card: ModelCard) -> tuple[str, ...]:
    words = card.training.get("vocabulary") or []
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ModelError(
            f"{card.folder}: 'training.vocabulary' of the card is no list of words; leave it out or correct it"
        )
    return tuple(words)
