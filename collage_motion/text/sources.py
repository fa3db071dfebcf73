"""Where the files of CLIP and DistilBERT are looked for, and what to get when they are nowhere. No torch."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from collage_motion.card import models_home
from collage_motion.errors import ModelError

BPE_FILE: Final = "bpe_simple_vocab_16e6.txt.gz"


@dataclass(frozen=True)
class TextFiles:
    """The weights of a text encoder, and the file with its words: the tokenizer or the vocabulary."""

    weights: Path
    words: Path


@dataclass(frozen=True)
class TextSource:
    """A text encoder that does not come with the package.

    folder: its name in the program's own folder. weights, words: file names by which a folder is recognised, the
    first that is there is taken. hub: its name on Hugging Face. cached: other programs' files. cure: what to get.
    """

    title: str
    folder: str
    weights: tuple[str, ...]
    words: tuple[str, ...]
    hub: str
    cached: tuple[str, ...]
    cure: str

    @property
    def home(self) -> Path:
        """The folder to put the files into."""
        return models_home().parent / self.folder

    def places(self) -> list[Path]:
        """Where the files are looked for, in this order: the program's folder, then the caches of libraries."""
        return [self.home, *(Path(place).expanduser() for place in self.cached), *_snapshots(self.hub)]

    def find(self, path: str | Path | None = None) -> TextFiles:
        """The files in a folder, beside a file of weights, or without a path in the usual places.

        Nothing is ever fetched from a network. Raises ModelError saying what is missing, from which project to
        get it and where to put it.
        """
        places = self.places() if path is None else [Path(path).expanduser()]
        weights = next((found for place in places if (found := _first(place, self.weights))), None)
        if weights is None:
            looked = ", ".join(map(str, places))
            raise ModelError(f"{self.title}: no weights; looked in {looked}; {self.cure} into {self.home}")
        words = next(
            (found for folder in (weights.parent, self.home) if (found := _first(folder, self.words))), None
        )
        if words is None:
            raise ModelError(
                f"{self.title}: weights without a vocabulary: {weights} has none of {', '.join(self.words)} "
                f"beside it; {self.cure} into one folder"
            )
        return TextFiles(weights, words)


CLIP: Final = TextSource(
    title="CLIP ViT-B/32",
    folder="clip",
    weights=("model.safetensors", "pytorch_model.bin", "ViT-B-32.pt"),
    words=("tokenizer.json", "vocab.json", BPE_FILE),
    hub="openai/clip-vit-base-patch32",
    cached=("~/.cache/clip",),
    cure=f"get ViT-B-32.pt and clip/{BPE_FILE} from the project openai/CLIP on GitHub, or model.safetensors and "
    "tokenizer.json from openai/clip-vit-base-patch32 on Hugging Face, and put them",
)
DISTILBERT: Final = TextSource(
    title="DistilBERT",
    folder="distilbert",
    weights=("model.safetensors", "pytorch_model.bin"),
    words=("tokenizer.json", "vocab.txt"),
    hub="distilbert-base-uncased",
    cached=(),
    cure="get config.json, model.safetensors and tokenizer.json from distilbert-base-uncased on Hugging Face and "
    "put them",
)
SOURCES: Final = {"clip": CLIP, "distilbert": DISTILBERT}


def _first(place: Path, names: Iterable[str]) -> Path | None:
    """`place` itself if it is a file, else the first of these files in that folder."""
    try:
        if place.is_file():
            return place
        return next((place / name for name in names if (place / name).is_file()), None)
    except OSError:
        return None


def _snapshots(name: str) -> list[Path]:
    """The folder of a model in the cache of Hugging Face's libraries, if there is one."""
    variables = os.environ
    if own := variables.get("HF_HUB_CACHE"):
        cache = Path(own).expanduser()
    else:
        base = Path(variables.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "huggingface"
        cache = Path(variables.get("HF_HOME") or base).expanduser() / "hub"
    found: list[Path] = []
    for owner in ("", "distilbert/") if "/" not in name else ("",):  # old and new name of the same model
        folder = cache / f"models--{(owner + name).replace('/', '--')}"
        try:
            found.append(folder / "snapshots" / (folder / "refs/main").read_text().strip())
        except (OSError, UnicodeDecodeError):
            continue
    return found
