"""Random CLIP text towers and DistilBERT encoders in the published layouts, of any size; and CLIP's own forward."""

import gzip
import json
import warnings
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

START, END = "<|startoftext|>", "<|endoftext|>"
SMALL = {"width": 64, "layers": 2, "vocabulary": 900, "projection": 32}
OFFICIAL = {"width": 512, "layers": 12, "vocabulary": 49408, "projection": 512}
TEXT = "a person walks forward then runs waves with left right hand and jumps turns slowly around"


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, width // 64)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = nn.Sequential()
        self.mlp.add_module("c_fc", nn.Linear(width, 4 * width))
        self.mlp.add_module("gelu", nn.Identity())
        self.mlp.add_module("c_proj", nn.Linear(4 * width, width))
        self.ln_2 = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        mask = torch.full((len(x), len(x)), float("-inf")).triu(1)
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False, attn_mask=mask)[0]
        y = self.mlp[0](self.ln_2(x))
        return x + self.mlp[2](y * torch.sigmoid(1.702 * y))


class _Transformer(nn.Module):
    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.resblocks = nn.Sequential(*(_Block(width) for _ in range(layers)))

    def forward(self, x: Tensor) -> Tensor:
        return self.resblocks(x)


class OpenAiClip(nn.Module):
    """A text tower under OpenAI's names, a piece of an image tower beside it; `forward` is the paper's."""

    def __init__(self, width: int, layers: int, vocabulary: int, projection: int) -> None:
        super().__init__()
        self.visual = nn.Linear(3, 5)
        self.transformer = _Transformer(width, layers)
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.positional_embedding = nn.Parameter(0.1 * torch.randn(77, width))
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(width**-0.5 * torch.randn(width, projection))
        self.logit_scale = nn.Parameter(torch.ones(()))
        for name, weight in self.named_parameters():  # what the official file keeps in half precision
            if weight.ndim == 2 and "embedding" not in name:
                weight.data = weight.data.half().float()
        for name, bias in self.named_parameters():
            if name.endswith("bias"):
                bias.data = (0.1 * torch.randn_like(bias)).half().float()

    def forward(self, ids: Tensor) -> Tensor:
        x = (self.token_embedding(ids) + self.positional_embedding).transpose(0, 1)
        x = self.ln_final(self.transformer(x).transpose(0, 1))
        return x[torch.arange(len(ids)), ids.argmax(dim=1)] @ self.text_projection


def make_tower(seed: int = 0, **sizes: int) -> OpenAiClip:
    torch.manual_seed(seed)
    return OpenAiClip(**sizes).eval().requires_grad_(False)


def write_archive(tower: OpenAiClip, folder: Path) -> Path:
    """A TorchScript archive as OpenAI publishes, most weights in half precision, and the merges beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "ViT-B-32.pt"
    originals = {}
    for name, weight in tower.named_parameters():
        if "ln_" not in name and "embedding" not in name:
            originals[name] = weight.data
            weight.data = weight.data.half()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(tower), path)
    for name, weight in tower.named_parameters():
        weight.data = originals.get(name, weight.data)
    write_merges(folder / "bpe_simple_vocab_16e6.txt.gz", tower.token_embedding.num_embeddings)
    return path


def write_merges(path: Path, vocabulary: int) -> list[tuple[str, str]]:
    """Merges that build the words of TEXT, then as many more as the vocabulary has room for, and some behind."""
    merges: list[tuple[str, str]] = []
    for word in TEXT.split():
        pieces = [*word[:-1], word[-1] + "</w>"]
        while len(pieces) > 1:
            merges.append((pieces[0], pieces[1]))
            pieces[:2] = ["".join(pieces[:2])]
    merges = list(dict.fromkeys(merges))
    # Like the published list, it is longer than what is used; and no two merges make the same piece.
    rare = (
        [chr(0xA1 + k) for k in range(12)]
        + [chr(0xAE + k) for k in range(82)]
        + [chr(256 + k) for k in range(68)]
    )
    filler = [(a, b + end) for a in rare for end in ("", "</w>") for b in rare]
    merges += filler[: vocabulary - 514 - len(merges) + 50]
    path.write_bytes(gzip.compress("\n".join(["#version", *map(" ".join, merges), ""]).encode()))
    return merges[: vocabulary - 514]


def write_folder(tower: OpenAiClip, folder: Path) -> Path:
    """The same tower as transformers lays it out, with the two tables of positions that old files have."""
    folder.mkdir(parents=True, exist_ok=True)
    state, out = dict(tower.state_dict()), {}
    renamed = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "attn.out_proj": "self_attn.out_proj",
               "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2"}  # fmt: skip
    for number in range(len(tower.transformer.resblocks)):
        old, new = f"transformer.resblocks.{number}", f"text_model.encoder.layers.{number}"
        for kind in ("weight", "bias"):
            for letter, piece in zip("qkv", state[f"{old}.attn.in_proj_{kind}"].chunk(3), strict=True):
                out[f"{new}.self_attn.{letter}_proj.{kind}"] = piece.clone()
            for a, b in renamed.items():
                out[f"{new}.{b}.{kind}"] = state[f"{old}.{a}.{kind}"]
    out["text_model.embeddings.token_embedding.weight"] = state["token_embedding.weight"]
    out["text_model.embeddings.position_embedding.weight"] = state["positional_embedding"]
    out["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    out["text_model.final_layer_norm.weight"] = state["ln_final.weight"]
    out["text_model.final_layer_norm.bias"] = state["ln_final.bias"]
    out["text_projection.weight"] = state["text_projection"].T.contiguous()
    out["vision_model.pre_layrnorm.weight"] = torch.ones(5)
    save_file(out, folder / "model.safetensors")
    vocabulary = tower.token_embedding.num_embeddings
    merges = write_merges(folder / "merges.gz", vocabulary)
    (folder / "merges.gz").unlink()
    letters = [chr(k) for k in (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))]
    letters += [chr(256 + k) for k in range(68)]
    pieces = [*letters, *(f"{k}</w>" for k in letters), *map("".join, merges), START, END]
    (folder / "vocab.json").write_text(json.dumps({piece: number for number, piece in enumerate(pieces)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *map(" ".join, merges), ""]))
    return folder


def write_distilbert(folder: Path, dim: int = 32, layers: int = 2) -> Path:
    """A random DistilBERT with the head that the published file has; needs transformers."""
    from transformers import DistilBertConfig, DistilBertModel

    folder.mkdir(parents=True, exist_ok=True)
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *dict.fromkeys(TEXT.split()),
        "##s",
        "##ing",
        "walk",
    ]
    config = DistilBertConfig(vocab_size=len(words), dim=dim, n_layers=layers, n_heads=4, hidden_dim=64)
    torch.manual_seed(0)
    state = {f"distilbert.{name}": weight for name, weight in DistilBertModel(config).state_dict().items()}
    save_file({**state, "vocab_projector.bias": torch.zeros(3)}, folder / "model.safetensors")
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    return folder
