"""The benchmark's own evaluator, shipped with the package, and the official one behind the same two methods.

Its networks are those of `evaluator` with smaller widths, trained by scripts/train_evaluator.py on the
training split of the prepared motion capture. Words are the package's own word-piece vectors (the released
evaluator's need a vocabulary file); word classes are those of the VIP lists, found by the word alone,
everything else being OTHER, so no tagger is needed.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save as to_bytes

from collage_motion.data.caption_words import normal_text
from collage_motion.errors import DataError, ModelError, OutputError
from collage_motion.export.atomic import replacing
from collage_motion.tensor_files import check_tensors, read_mapping
from collage_motion.text.wordpiece import WordPieceEncoder

from .evaluator import Evaluator, EvaluatorSizes
from .words import POS_CLASSES, CaptionVectors, WordVectoriser, tag_caption, word_class

FOLDER: Final = Path(__file__).parent / "own"
"""Weights and card of the shipped evaluator."""

WEIGHTS: Final = "evaluator.safetensors"
CARD: Final = "card.json"
FORMAT: Final = "collage-motion-evaluator 1"

MAX_PIECES: Final = 40
"""Word pieces of a caption that are read; the table's captions have at most 25."""

MIN_FRAMES: Final = 20
MAX_FRAMES: Final = 196
"""Lengths that the evaluator was trained with."""

Floats = NDArray[np.float32]


class MotionTextEvaluator(Protocol):
    """What a protocol needs of an evaluator: motions and captions in one space where distance means mismatch."""

    def embed_motions(self, features: Sequence[NDArray[Any]]) -> Floats:
        """Embed motions of raw (not normalised) feature rows (F, 263): (N, D), in input order."""
        ...

    def embed_captions(self, captions: Sequence[str]) -> Floats:
        """Embed captions: (N, D), in input order."""
        ...


class CaptionRows:
    """Captions as the own text encoder takes them: word-piece vectors and VIP classes of whole words."""

    def __init__(self, encoder: WordPieceEncoder | None = None) -> None:
        self.encoder = encoder or WordPieceEncoder()
        self._row = lru_cache(maxsize=65536)(self._encode_word)

    def _encode_word(self, word: str) -> tuple[Floats, int]:
        rows = self.encoder.encode([word]).features[0]
        return rows, _class_number(word)

    def __call__(self, captions: Sequence[str]) -> CaptionVectors:
        """Vectors of captions, filled up with zeros; raises DataError for an empty caption."""
        rows = []
        for number, caption in enumerate(captions):
            pieces = [self._row(word) for word in normal_text(caption).split()]
            if not pieces:
                raise DataError(f"caption {number} has no word; write what the person does")
            vectors = np.concatenate([vectors for vectors, _ in pieces])[:MAX_PIECES]
            classes = np.concatenate([np.full(len(v), k) for v, k in pieces])[:MAX_PIECES]
            rows.append((vectors, classes))
        if not rows:
            raise DataError("no caption to embed; pass at least one")
        lengths = np.array([len(vectors) for vectors, _ in rows], dtype=np.int64)
        words = np.zeros((len(rows), int(lengths.max()), self.encoder.dimensions), np.float32)
        pos = np.zeros((*words.shape[:2], len(POS_CLASSES)), np.float32)
        for k, (vectors, classes) in enumerate(rows):
            words[k, : len(vectors)] = vectors
            pos[k, np.arange(len(classes)), classes] = 1.0
        return CaptionVectors(words, pos, lengths, ())


def _class_number(word: str) -> int:
    """Class of a word by the VIP lists alone, its plain endings taken off where that helps."""
    stems = (word, word.removesuffix("s"), word.removesuffix("es"), word.removesuffix("ing"))
    found = [name for name in (word_class(stem, "OTHER") for stem in stems) if name != "OTHER"]
    return POS_CLASSES.index(found[0] if found else "OTHER")


class OwnEvaluator:
    """The shipped evaluator (or another trained by the script): raw features and plain captions in.

    Feature rows are those of the default model: heading flip mended, rotation block free of the heading, the
    first row of a recording left out (`data.batches.to_recordings`). `card`: what training said about it.
    """

    def __init__(self, networks: Evaluator, card: dict[str, Any], rows: CaptionRows | None = None) -> None:
        self.networks, self.card = networks, card
        self._rows = rows or CaptionRows()

    @property
    def dimensions(self) -> int:
        """Width of an embedding."""
        return self.networks.sizes.embedding

    def embed_motions(self, features: Sequence[NDArray[Any]]) -> Floats:
        """Embed motions of raw feature rows (F, 263), 4 to 196 frames: (N, D).

        Trained with 20 to 196 frames. Longer ones are a DataError: take crops.
        """
        return self.networks.embed_motion(*self.networks.normalise(features), behind_end="zero")

    def embed_captions(self, captions: Sequence[str]) -> Floats:
        """Embed captions: (N, D); raises DataError for an empty one."""
        return self.networks.embed_captions(self._rows(captions))


class OfficialEvaluator:
    """HumanML3D's evaluator (`checkpoint.load_evaluator`) behind the methods of `MotionTextEvaluator`.

    Captions are tagged with spaCy unless `tokens` (caption -> word/POS tokens) knows them; a released caption
    must bring its own tokens. Motions are padded with zeros behind their end.
    """

    def __init__(
        self,
        networks: Evaluator,
        vectoriser: WordVectoriser,
        tokens: dict[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.networks, self.vectoriser = networks, vectoriser
        self._tokens = dict(tokens or {})
        self._tagger: Any = None

    def embed_motions(self, features: Sequence[NDArray[Any]]) -> Floats:
        """Embed motions of raw feature rows (F, 263) of HumanML3D: (N, 512)."""
        return self.networks.embed_motion(*self.networks.normalise(features), behind_end="zero")

    def embed_captions(self, captions: Sequence[str]) -> Floats:
        """Embed captions: (N, 512); raises ModelError when one must be tagged and spaCy is missing."""
        return self.networks.embed_captions(
            self.vectoriser.captions([self._tagged(text) for text in captions])
        )

    def _tagged(self, caption: str) -> tuple[str, ...]:
        if caption not in self._tokens:
            if self._tagger is None:
                from .words import load_tagger

                self._tagger = load_tagger()
            self._tokens[caption] = tag_caption(caption, self._tagger)
        return self._tokens[caption]


def write_own_evaluator(evaluator: Evaluator, card: dict[str, Any], folder: Path | str) -> Path:
    """Write the weights in half precision and the card, each atomically; older files are replaced.

    `card` gets the format, the sizes and the statistics added. Returns the path of the weights; raises
    OutputError when a file cannot be written.
    """
    folder = Path(folder)
    tensors = {
        f"{name}.{key}": value.detach().to(torch.float16).contiguous()
        for name, network in evaluator.networks.items()
        for key, value in network.state_dict().items()
    }
    statistics = {"mean": np.float32(evaluator.mean).tolist(), "std": np.float32(evaluator.std).tolist()}
    full = {"format": FORMAT, "sizes": asdict(evaluator.sizes), **card, **statistics}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror or error})") from None
    with replacing(folder / WEIGHTS, overwrite=True) as part:
        part.write_bytes(to_bytes(tensors))
    with replacing(folder / CARD, overwrite=True) as part:
        part.write_text(json.dumps(full, indent=1) + "\n", encoding="utf-8")
    return folder / WEIGHTS


def rewrite_quality(quality: dict[str, Any], folder: Path | str) -> Path:
    """Write what was measured of an evaluator into its card, atomically; the rest stays. Returns the card's path."""
    path = Path(folder) / CARD
    card = json.loads(path.read_text(encoding="utf-8")) | {"quality": quality}
    with replacing(path, overwrite=True) as part:
        part.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return path


def load_own_evaluator(folder: Path | str = FOLDER, *, device: str | torch.device = "cpu") -> OwnEvaluator:
    """Load the shipped evaluator, or one that scripts/train_evaluator.py wrote into a folder.

    Raises:
        ModelError: a file is missing, broken or does not fit the other.
    """
    folder = Path(folder)
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        if card["format"] != FORMAT:
            raise ModelError(f"{folder / CARD}: format '{card['format']}'; expected '{FORMAT}'")
        sizes = EvaluatorSizes(**card["sizes"])
        networks = Evaluator(sizes, card["mean"], card["std"], device=device)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{folder / CARD}: no card of an evaluator ({error}); make it with scripts/train_evaluator.py"
        ) from None
    shapes = {
        f"{name}.{key}": tuple(value.shape)
        for name, network in networks.networks.items()
        for key, value in network.state_dict().items()
    }
    path = folder / WEIGHTS
    tensors = check_tensors(read_mapping(path, "the weights of an evaluator"), shapes, str(path))
    for name, network in networks.networks.items():
        network.load_state_dict(
            {
                key.removeprefix(f"{name}."): value
                for key, value in tensors.items()
                if key.startswith(f"{name}.")
            }
        )
    return OwnEvaluator(networks, card)
