"""Text encoders: prompts in, word or sentence features out; one interface for the default, CLIP and DistilBERT."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Words:
    """Encoded prompts, padded to the longest.

    `features` is (P, W, D) float32; `mask` is (P, W), true where a word stands. `pooled`: the one feature of a
    prompt stands for all of it, W is 1, and there is nothing to attend to.
    """

    features: NDArray[np.float32]
    mask: NDArray[np.bool_]
    pooled: bool = False


class PromptWarning(UserWarning):
    """A prompt of which a text encoder reads a part only."""


def padded_words(rows: Sequence[NDArray[np.float32]], dimensions: int) -> Words:
    """`Words` of one row (W, dimensions) a prompt, filled up with zeros to the longest."""
    width = max((len(row) for row in rows), default=1)
    features = np.zeros((len(rows), width, dimensions), np.float32)
    mask = np.zeros((len(rows), width), bool)
    for k, row in enumerate(rows):
        features[k, : len(row)] = row
        mask[k, : len(row)] = True
    return Words(features, mask)


class TextEncoder(Protocol):
    """What a model needs of a text encoder."""

    def encode(self, prompts: Sequence[str]) -> Words:
        """Encode prompts; raises `ModelError` when a prompt cannot be encoded."""
        ...
