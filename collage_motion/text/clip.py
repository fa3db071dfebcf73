"""CLIP ViT-B/32's text features, as released MDM checkpoints need them (spec a.8): local files, no network."""

import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from collage_motion.errors import ModelError, PlanError
from collage_motion.tensor_files import check_tensors, read_mapping
from collage_motion.text import PromptWarning, Words
from collage_motion.text.sources import CLIP
from collage_motion.text.torchscript import is_torchscript, read_torchscript
from collage_motion.text.vocabulary import clean_text, clip_tokenizer

TOKENS: Final = 20
"""Word pieces that MDM shows CLIP: 22 of its 77 positions, less the start and the end mark."""
_HEAD_WIDTH: Final = 64
_LAYER_NAMES: Final = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_OTHER_NAMES: Final = {
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
}


class ClipEncoder:
    """One feature (512) a prompt: CLIP's text tower at the end mark, projected, not normalised.

    `path`: OpenAI's archive ViT-B-32.pt with its list of merges beside it, a folder in the layout of
    transformers, or None for the usual places (`text.sources`). The tower runs in float32; the reference runs
    it in half precision and its features differ by about 1e-3 of their size (spec a.8). A prompt of more than
    20 word pieces is cut there, as MDM does, with a `PromptWarning`. Features are cached.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        files = CLIP.find(path)
        self._tower = _build(read_text_tower(files.weights), files.weights)
        self.dimensions = int(self._tower.config.projection_dim)
        self._tokenizer = clip_tokenizer(files.words, self._tower.config.vocab_size)
        self._start, self._end = self._tower.config.bos_token_id, self._tower.config.eos_token_id
        self._feature = lru_cache(maxsize=65536)(self._encode_one)

    def token_ids(self, prompt: str) -> list[int]:
        """Numbers of the word pieces between start and end mark, both included; 22 at most.

        Raises PlanError for a prompt without any; warns of one that is cut, saying where.
        """
        text = clean_text(prompt)
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        ids = list(encoding.ids)
        if not ids:
            raise PlanError(f"prompt {prompt!r} has no word that can be read; write what should happen")
        if len(ids) > TOKENS:
            place = encoding.offsets[TOKENS][0]
            warnings.warn(
                f"prompt {prompt[:40]!r}... has {len(ids)} word pieces; this model reads {TOKENS}: it was cut "
                f"behind {' '.join(text[:place].split()[-4:])!r}, without {text[place:].strip()[:60]!r}; split it into "
                "several segments",
                PromptWarning,
                stacklevel=2,
            )
        return [self._start, *ids[:TOKENS], self._end]

    def _encode_one(self, prompt: str) -> NDArray[np.float32]:
        # One prompt at a time, so that no feature depends on its company. Behind the end mark nothing counts.
        ids = torch.tensor([self.token_ids(prompt)])
        with torch.inference_mode():
            feature = self._tower(input_ids=ids).text_embeds[0].float().numpy()
        feature.setflags(write=False)
        return feature

    def encode(self, prompts: Sequence[str]) -> Words:
        """Features (P, 1, 512), pooled; raises PlanError for a prompt without words."""
        features = np.zeros((len(prompts), 1, self.dimensions), np.float32)
        for row, prompt in zip(features, prompts, strict=True):
            row[0] = self._feature(prompt)
        return Words(features, np.ones((len(prompts), 1), bool), pooled=True)


def read_text_tower(path: Path) -> dict[str, Tensor]:
    """The weights of a CLIP text tower under the names of transformers, from either kind of file.

    Image weights and tables of positions are left out. Raises ModelError; nothing in the file is executed.
    """
    if path.suffix != ".safetensors" and is_torchscript(path):
        return _renamed(read_torchscript(path, _is_text))
    content = read_mapping(path, "the weights of CLIP ViT-B/32")
    if "positional_embedding" in content:
        return _renamed({name: value for name, value in content.items() if _is_text(name)})
    return {
        name: value
        for name, value in content.items()
        if name.startswith(("text_model.", "text_projection.")) and not name.endswith("position_ids")
    }


def _is_text(name: str) -> bool:
    return (
        name.startswith("transformer.resblocks.") or name in _OTHER_NAMES or name == "text_projection"
    ) and not name.endswith("attn_mask")


def _renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """OpenAI's names as those of transformers; query, key and value taken apart, the projection transposed."""
    out: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name == "text_projection":
            out["text_projection.weight"] = tensor.T
        elif name in _OTHER_NAMES:
            out[_OTHER_NAMES[name]] = tensor
        else:
            number, _, part = name.removeprefix("transformer.resblocks.").partition(".")
            layer = f"text_model.encoder.layers.{number}"
            kind, _, end = part.rpartition(".")
            if part in ("attn.in_proj_weight", "attn.in_proj_bias"):
                end = part.rpartition("_")[2]
                for letter, piece in zip("qkv", tensor.chunk(3), strict=False):
                    out[f"{layer}.self_attn.{letter}_proj.{end}"] = piece
            else:
                out[f"{layer}.{_LAYER_NAMES.get(kind, kind)}.{end}"] = tensor
    return out


def _build(tensors: dict[str, Tensor], path: Path) -> Any:
    """The text tower of transformers with these weights, of the sizes that they have (spec a.8)."""
    try:
        from transformers import CLIPTextConfig, CLIPTextModelWithProjection
    except ImportError as error:
        raise ModelError(
            f"CLIP needs the library transformers ({error}); pip install 'collage-motion[clip]'"
        ) from None

    def size(name: str, axis: int) -> int:
        tensor = tensors.get(name)
        if not isinstance(tensor, Tensor) or tensor.ndim != 2 or 0 in tensor.shape:
            raise ModelError(
                f"{path}: '{name}' is not there or of wrong shape; expected the weights of CLIP ViT-B/32"
            )
        return int(tensor.shape[axis])

    words, layers = "text_model.embeddings.token_embedding.weight", "text_model.encoder.layers."
    width, vocabulary = size(words, 1), size(words, 0)
    if width % _HEAD_WIDTH:
        raise ModelError(f"{path}: {width} features a word; CLIP's are a multiple of {_HEAD_WIDTH}")
    config = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=size(f"{layers}0.mlp.fc1.weight", 0),
        num_hidden_layers=len({name.split(".")[3] for name in tensors if name.startswith(layers)}),
        num_attention_heads=width // _HEAD_WIDTH,
        max_position_embeddings=size("text_model.embeddings.position_embedding.weight", 0),
        projection_dim=size("text_projection.weight", 0),
        hidden_act="quick_gelu",
        bos_token_id=vocabulary - 2,
        eos_token_id=vocabulary - 1,  # the first of it is read out
        pad_token_id=vocabulary - 1,
    )
    tower = CLIPTextModelWithProjection(config).eval().requires_grad_(False)
    wanted = {name: tuple(value.shape) for name, value in tower.state_dict().items()}
    tower.load_state_dict(check_tensors(tensors, wanted, str(path)))
    return tower
