"""DistilBERT's word features, as the released MDM decoder with words needs them (spec a.5): local files only."""

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from collage_motion.errors import ModelError, PlanError
from collage_motion.tensor_files import check_tensors, read_mapping
from collage_motion.text import Words, padded_words
from collage_motion.text.sources import DISTILBERT
from collage_motion.text.vocabulary import wordpiece_tokenizer

_SIZES: Final = ("vocab_size", "max_position_embeddings", "n_layers", "n_heads", "dim", "hidden_dim")
_HEADS: Final = ("vocab_transform.", "vocab_layer_norm.", "vocab_projector.")
"""What the published file holds besides the encoder: the head that guesses words."""


class DistilBertEncoder:
    """Last hidden states (768 a word piece) of distilbert-base-uncased, [CLS] and [SEP] among the words.

    `path`: a folder in the layout of transformers, or None for the usual places (`text.sources`). Each prompt
    is encoded alone and padded afterwards, so its company changes nothing. Features are cached.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        files = DISTILBERT.find(path)
        self._network = _build(files.weights)
        self.dimensions = int(self._network.config.dim)
        self._tokenizer = wordpiece_tokenizer(files.words, self._network.config.vocab_size)
        self._features = lru_cache(maxsize=4096)(self._encode_one)

    def _encode_one(self, prompt: str) -> NDArray[np.float32]:
        ids = self._tokenizer.encode(prompt).ids
        longest = self._network.config.max_position_embeddings
        if len(ids) <= 2:
            raise PlanError(f"prompt {prompt!r} has no word that can be read; write what should happen")
        if len(ids) > longest:
            raise PlanError(
                f"prompt {prompt[:40]!r}... has {len(ids)} word pieces; DistilBERT reads {longest}; split it "
                "into several segments"
            )
        with torch.inference_mode():
            states = self._network(input_ids=torch.tensor([ids])).last_hidden_state[0].float().numpy()
        states.setflags(write=False)
        return states

    def encode(self, prompts: Sequence[str]) -> Words:
        """Features (P, W, 768) and mask (P, W); raises PlanError for a prompt without words or too long."""
        return padded_words([self._features(prompt) for prompt in prompts], self.dimensions)


def _build(weights: Path) -> Any:
    """The encoder of transformers with the weights in this file, of the sizes in `config.json` beside it."""
    try:
        from transformers import DistilBertConfig, DistilBertModel
    except ImportError as error:
        raise ModelError(
            f"DistilBERT needs the library transformers ({error}); pip install 'collage-motion[clip]'"
        ) from None
    sizes: dict[str, Any] = dict(_sizes(weights.with_name("config.json")))
    network = DistilBertModel(DistilBertConfig(**sizes))
    network.eval().requires_grad_(False)
    content = {
        name.removeprefix("distilbert."): value
        for name, value in read_mapping(weights, "the weights of distilbert-base-uncased").items()
        if not name.startswith(_HEADS) and not name.endswith("position_ids")
    }
    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    tensors: dict[str, Tensor] = check_tensors(content, wanted, str(weights))
    network.load_state_dict(tensors)
    return network


def _sizes(path: Path) -> dict[str, int]:
    try:
        fields = json.loads(path.read_bytes())
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be read ({error.strerror}); it belongs beside the weights of DistilBERT"
        ) from None
    except ValueError as error:
        raise ModelError(f"{path}: not JSON ({error}); copy the file again") from None
    if not isinstance(fields, dict) or fields.get("model_type") != "distilbert":
        raise ModelError(f"{path}: describes no DistilBERT; take the folder of distilbert-base-uncased")
    sizes: dict[str, int] = {}
    for name in _SIZES:
        value = fields.get(name)
        if type(value) is not int or not 0 < value < 2**20:
            raise ModelError(f"{path}: {name} is {str(value)[:40]}; allowed: a whole number above 0")
        sizes[name] = value
    if sizes["dim"] % sizes["n_heads"]:
        raise ModelError(f"{path}: dim {sizes['dim']} is no multiple of n_heads {sizes['n_heads']}")
    return sizes
