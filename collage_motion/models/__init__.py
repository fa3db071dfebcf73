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

    def bind(self, prompts: Sequence[str]) -> "WindowDenoiser":
        """A denoiser of windows whose rows name these prompts by index; raises `PlanError` for a bad prompt."""
        import torch

        from collage_motion.models.adapter import MdmDenoiser

        words = self.encoder.encode(list(prompts))
        mask = torch.from_numpy(words.mask).to(self.device)
        with torch.inference_mode():
            if len(prompts):
                text = self.network.encode_words(torch.from_numpy(words.features).to(self.device), mask)
            else:
                text = torch.zeros(0, 1, self.network.config.text_dim, device=self.device)
        return MdmDenoiser(self.network, self.schedule, text, mask, self.card.mask_frames)


def load_model(name_or_folder: str | Path = "default", device: "str | torch.device" = "cpu") -> Model:
    """Load a model by its name or from its folder; raises `ModelError` when card and weights do not fit."""
    import torch

    from collage_motion.features import Normaliser
    from collage_motion.models.mdm import MDM
    from collage_motion.schedule import DiscreteSchedule
    from collage_motion.text.wordpiece import WordPieceEncoder

    card = load_card(str(name_or_folder))
    encoder = WordPieceEncoder()
    if card.text.get("encoder") != "wordpiece":
        raise ModelError(
            f"{card.folder}: text encoder {card.text.get('encoder')!r} is unknown; known: wordpiece"
        )
    with torch.device("meta"):
        network = MDM(network_config(card))
    weights = read_weights(card.folder / WEIGHTS_FILE, network)
    network = MDM(network_config(card)).eval().requires_grad_(False)
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
