"""Models: a card, the weights beside it, and the window denoiser they make."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from collage_motion.card import ModelCard, load_card
from collage_motion.errors import ModelError

if TYPE_CHECKING:
    import torch

    from collage_motion.denoiser import WindowDenoiser
    from collage_motion.features import Normaliser
    from collage_motion.models.mdm import MDM
    from collage_motion.models.prompts import PromptTable
    from collage_motion.schedule import DiscreteSchedule
    from collage_motion.text import TextEncoder

WEIGHTS_FILE = "model.safetensors"


@dataclass(frozen=True, eq=False)
class Model:
    """A loaded model: network, text encoder, noise schedule and the statistics of its features."""

    card: ModelCard
    network: "MDM"
    encoder: "TextEncoder"
    schedule: "DiscreteSchedule"
    normaliser: "Normaliser"
    device: "torch.device"

    def bind(self, prompts: "Sequence[str] | PromptTable") -> "WindowDenoiser":
        """A denoiser of windows whose rows name these prompts by index; raises `PlanError` for a bad prompt.

        prompts: texts, or a table that `encode` made, perhaps with rows between prompts (`PromptTable.between`).
        """
        from collage_motion.models.adapter import MdmDenoiser
        from collage_motion.models.prompts import PromptTable

        table = prompts if isinstance(prompts, PromptTable) else self.encode(prompts)
        return MdmDenoiser(self.network, self.schedule, table.features, table.mask, self.card.mask_frames)

    def encode(self, prompts: Sequence[str]) -> "PromptTable":
        """The prompts as this model's network reads them; raises `PlanError` for a bad prompt."""
        import torch

        from collage_motion.models.prompts import PromptTable

        words = self.encoder.encode(list(prompts))
        text = torch.from_numpy(words.features).to(self.device)
        if words.pooled:
            return PromptTable(text[:, 0], None)
        mask = torch.from_numpy(words.mask).to(self.device)
        if not len(prompts):
            return PromptTable(torch.zeros(0, 1, self.network.config.text_dim, device=self.device), mask)
        with torch.no_grad():
            return PromptTable(self.network.encode_words(text, mask), mask)


def load_model(
    name_or_folder: str | Path = "default",
    device: "str | torch.device" = "cpu",
    text_path: str | Path | None = None,
) -> Model:
    """Load a model by its name or from its folder; raises `ModelError` when card and weights do not fit.

    text_path: the files of its text encoder, if that is not part of the package; by default those that the card
    names, or what `text.sources` finds.
    """
    import torch

    from collage_motion.features import Normaliser
    from collage_motion.models.mdm import MDM
    from collage_motion.schedule import DiscreteSchedule

    card = load_card(str(name_or_folder))
    config = network_config(card)
    encoder = text_encoder(card, text_path)
    width = getattr(encoder, "dimensions", None)
    if width not in (None, config.word_dim or config.text_dim):
        raise ModelError(
            f"{card.folder}: its text encoder makes features of {width} numbers; the network was trained on "
            f"{config.word_dim or config.text_dim}; give the files of the right {card.text.get('encoder')} model"
        )
    with torch.device("meta"):
        network = MDM(config)
    weights = read_weights(card.folder / WEIGHTS_FILE, network)
    network = MDM(config).eval().requires_grad_(False)
    network.load_state_dict(weights)
    place = torch.device(device)
    return Model(
        card,
        network.to(place),
        encoder,
        DiscreteSchedule.from_config(card.schedule),
        Normaliser(np.asarray(card.mean, np.float32), np.asarray(card.std, np.float32)),
        place,
    )


def text_encoder(card: ModelCard, path: str | Path | None = None) -> "TextEncoder":
    """The text encoder that a card names, from `path` or where the card or the usual places have its files.

    Raises ModelError for an unknown one or files that are not there, saying which to get from where.
    """
    name = card.text.get("encoder")
    place = path or card.text.get("path")
    if place is not None and not isinstance(place, str | Path):
        raise ModelError(f"{card.folder}: field 'text.path' of the card is {place!r}; it must be a path")
    if name == "wordpiece":
        from collage_motion.text.wordpiece import WordPieceEncoder

        return WordPieceEncoder()
    if name == "clip":
        from collage_motion.text.clip import ClipEncoder

        return ClipEncoder(place)
    if name == "distilbert":
        from collage_motion.text.distilbert import DistilBertEncoder

        return DistilBertEncoder(place)
    raise ModelError(
        f"{card.folder}: text encoder {name!r} is unknown; known: wordpiece, clip, distilbert; correct the card"
    )


def network_config(card: ModelCard) -> Any:
    """The `MdmConfig` that a card describes; raises `ModelError` for a field that is unknown or of another type."""
    from collage_motion.models.mdm import MdmConfig

    known = {field.name: type(field.default) for field in fields(MdmConfig)}
    for name, value in card.architecture.items():
        if name not in known:
            raise ModelError(
                f"{card.folder}: architecture field {name!r} is unknown; known: {', '.join(known)}"
            )
        if not isinstance(value, known[name]) and not (known[name] is float and isinstance(value, int)):
            raise ModelError(
                f"{card.folder}: architecture field {name!r} is {value!r}; it must be {known[name].__name__}"
            )
    return MdmConfig(**card.architecture)


def read_weights(path: Path, network: "MDM") -> "dict[str, torch.Tensor]":
    """Read safetensors as float32 and check every name and shape against the network; raises `ModelError`."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights = load_file(path)
    except FileNotFoundError:
        raise ModelError(f"{path}: no weights beside the card; install the model again") from None
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"{path}: weights cannot be read ({error}); the file is truncated or no safetensors"
        ) from None
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    problems = [f"missing {name}" for name in sorted(wanted.keys() - weights.keys())]
    problems += [f"unexpected {name}" for name in sorted(weights.keys() - wanted.keys())]
    problems += [
        f"{name} is {tuple(weights[name].shape)}, not {shape}"
        for name, shape in wanted.items()
        if name in weights and tuple(weights[name].shape) != shape
    ]
    problems += [
        f"{name} has values that are not finite" for name, w in weights.items() if not w.isfinite().all()
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise ModelError(f"{path}: weights do not fit the card: {'; '.join(problems[:3])}{more}")
    return {name: tensor.to(torch.float32) for name, tensor in weights.items()}
