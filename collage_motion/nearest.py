"""Is a prompt near anything a model was trained on? Answered from word vectors, without the model."""

import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from collage_motion.card import ModelCard
from collage_motion.errors import ModelError

Floats = NDArray[np.float32]

# Calibrated on captions of the default model's training data and hand-written prompts (tests/test_nearest.py).
NEAR_ACTION: Final = 0.5
"""Cosine of a prompt's mean word to an action's, from which on the action is what is meant."""
NEAR_ACTION_ALONE: Final = 0.42
"""The same for a model whose card lists no vocabulary."""
NEAR_WORDS: Final = 0.63
"""Mean, over a prompt's words, of the cosine to the nearest word of the training captions."""

_FOLDER: Final = Path(__file__).parent / "assets" / "words"
_EMPTY: Final = {
    "a", "an", "the", "and", "or", "of", "to", "in", "on", "at", "with", "by", "for", "from", "into",
    "as", "up", "is", "are", "was", "be", "being", "then", "while", "that", "this", "it", "its", "he",
    "she", "they", "his", "her", "their", "them", "very", "human", "person", "people", "man", "men",
    "woman", "women", "someone", "somebody", "figure", "character", "individual", "who", "actor", "guy",
    "lady",
}  # fmt: skip


def far_from_known(prompt: str, card: ModelCard, most: int = 3) -> list[str]:
    """The `most` nearest actions of a model if `prompt` is far from all it was trained on, else nothing.

    Known is a prompt whose mean word vector is near that of one of `card.actions`, or whose words are, on average,
    near the words of the training captions (`card.training["vocabulary"]`, as `content_words` finds them; optional).
    A card without actions knows no nearest ones, so nothing is far from it. Raises ModelError if the package's word
    vectors are missing.
    """
    if not card.actions:
        return []
    near = _mean_vectors(card.actions) @ _mean_vectors((prompt,))[0]
    vocabulary = _vocabulary(card)
    if near.max() >= (NEAR_ACTION if vocabulary else NEAR_ACTION_ALONE):
        return []
    words = content_words(prompt)
    if vocabulary and words:
        best = (_word_vectors(vocabulary) @ _word_vectors(tuple(words)).T).max(axis=0)
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


def content_words(text: str) -> list[str]:
    """The words of `text` that say what is done and how, in order, in lower case: no articles, no "a person"."""
    return [word for word in re.findall(r"[^\W\d_]+", text.lower()) if word not in _EMPTY]


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


@lru_cache(maxsize=1)
def _assets() -> tuple[NDArray[np.float16], Any]:
    """Vectors of word pieces (pieces, D) and the tokenizer that numbers them."""
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(_FOLDER / "tokenizer.json"))
        return load_file(_FOLDER / "vectors.safetensors")["vectors"], tokenizer
    except Exception as error:  # tokenizers raises nothing more special
        raise ModelError(
            f"{_FOLDER}: the word vectors cannot be read: {error}; install the package again"
        ) from None


@lru_cache(maxsize=1024)
def _word_vectors(words: tuple[str, ...]) -> Floats:
    """Unit vectors (words, D), each the mean of a word's pieces; zero for a word the tokenizer cannot write."""
    vectors, tokenizer = _assets()
    unknown = tokenizer.token_to_id("[UNK]")
    rows = np.zeros((len(words), vectors.shape[1]), np.float32)
    for row, encoding in zip(
        rows, tokenizer.encode_batch(list(words), add_special_tokens=False), strict=True
    ):
        pieces = [number for number in encoding.ids if number != unknown]
        if pieces:
            row[:] = _unit(vectors[pieces].astype(np.float32).mean(axis=0))
    return rows


@lru_cache(maxsize=1024)
def _mean_vectors(texts: tuple[str, ...]) -> Floats:
    """Unit vectors (texts, D), each the mean over the content words; zero for a text without any."""
    return np.stack([_unit(_word_vectors(tuple(content_words(text))).sum(axis=0)) for text in texts])


def _unit(vector: Floats) -> Floats:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else vector
