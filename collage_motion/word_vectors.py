"""Word vectors of the package, read without torch: what the planner knows of what prompts mean."""

import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from collage_motion.errors import ModelError

Floats = NDArray[np.float32]

_FOLDER: Final = Path(__file__).parent / "assets" / "words"
_EMPTY: Final = {
    "a", "an", "the", "and", "or", "of", "to", "in", "on", "at", "with", "by", "for", "from", "into",
    "as", "up", "is", "are", "was", "be", "being", "then", "while", "that", "this", "it", "its", "he",
    "she", "they", "his", "her", "their", "them", "very", "human", "person", "people", "man", "men",
    "woman", "women", "someone", "somebody", "figure", "character", "individual", "who", "actor", "guy",
    "lady",
}  # fmt: skip


def content_words(text: str) -> list[str]:
    """The words of `text` that say what is done and how, in order, in lower case: no articles, no "a person"."""
    return [word for word in re.findall(r"[^\W\d_]+", text.lower()) if word not in _EMPTY]


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
def word_vectors(words: tuple[str, ...]) -> Floats:
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
def mean_vectors(texts: tuple[str, ...]) -> Floats:
    """Unit vectors (texts, D), each the mean over the content words; zero for a text without any."""
    return np.stack([_unit(word_vectors(tuple(content_words(text))).sum(axis=0)) for text in texts])


def _unit(vector: Floats) -> Floats:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else vector
