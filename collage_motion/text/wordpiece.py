"""The default text encoder: static word-piece vectors that ship with the package and need no network."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from collage_motion.errors import ModelError, PlanError
from collage_motion.text import Words, padded_words

WORDS_FOLDER = Path(__file__).parent.parent / "assets" / "words"
MAX_PIECES = 64


class WordPieceEncoder:
    """Word-piece vectors distilled from all-MiniLM-L6-v2 (see `scripts/distil_words.py`).

    The vectors know no context; the model's own `WordMixer` adds positions and attention. Encodings are cached.
    """

    def __init__(self, folder: Path = WORDS_FOLDER) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self._vectors = load_file(folder / "vectors.safetensors")["vectors"]
        except Exception as error:  # tokenizers raises nothing more special than Exception
            raise ModelError(
                f"{folder}: word vectors cannot be read ({error}); reinstall the package"
            ) from error
        if self._tokenizer.get_vocab_size() != len(self._vectors):
            raise ModelError(
                f"{folder}: {len(self._vectors)} vectors for {self._tokenizer.get_vocab_size()} word pieces; "
                "the two files belong to different versions, reinstall the package"
            )
        self._pieces = lru_cache(maxsize=65536)(self._encode_one)

    @property
    def dimensions(self) -> int:
        """Length of a word vector."""
        return int(self._vectors.shape[1])

    def _encode_one(self, prompt: str) -> NDArray[np.float32]:
        ids = self._tokenizer.encode(prompt, add_special_tokens=False).ids
        if not ids:
            raise PlanError(f"prompt {prompt!r} has no word that can be read; write what should happen")
        if len(ids) > MAX_PIECES:
            raise PlanError(
                f"prompt {prompt[:40]!r}... has {len(ids)} word pieces; the text encoder reads {MAX_PIECES}; "
                "split it into several segments"
            )
        vectors = self._vectors[ids].astype(np.float32)
        vectors.setflags(write=False)
        return vectors

    def encode(self, prompts: Sequence[str]) -> Words:
        """Vectors (P, W, D) and mask (P, W) of the prompts; raises `PlanError` for an empty or too long one."""
        return padded_words([self._pieces(prompt) for prompt in prompts], self.dimensions)
