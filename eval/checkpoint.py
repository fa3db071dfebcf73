"""Reading the evaluator's released weights without executing anything in the file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from collage_motion.data.humanml import read_statistics
from collage_motion.errors import ModelError

from .evaluator import N_CONTACTS, Evaluator, EvaluatorSizes


def load_evaluator(
    checkpoint: Path | str, mean: Path | str, std: Path | str, *, device: str | torch.device = "cpu"
) -> Evaluator:
    """Load a checkpoint laid out like `finest.tar` with the evaluator's `mean` and `std` (.npy, (263,)).

    Sizes are taken from the checkpoint, optimiser states in it are ignored. Nothing in the file is executed.
    Raises ModelError naming each missing, unexpected or wrongly shaped key; DataError for broken statistics.
    """
    path = Path(checkpoint)
    content = _read_checkpoint(path)
    states: dict[str, Mapping[str, Tensor]] = {}
    for name in ("movement_encoder", "text_encoder", "motion_encoder"):
        state = content.get(name)
        if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
            found = ", ".join(sorted(str(key) for key in content)) or "nothing"
            raise ModelError(
                f"{path}: no weights under '{name}', it holds {found[:120]}; expected a finest.tar"
            )
        states[name] = state
    sizes = _sizes_of(states, path)
    statistics = read_statistics(Path(mean), Path(std), sizes.movement_in + N_CONTACTS)
    evaluator = Evaluator(sizes, *statistics, device=device)
    for name, network in evaluator.networks.items():
        _check_state(states[name], network.state_dict(), f"{path}: {name}")
        network.load_state_dict(dict(states[name]))
    return evaluator


def _read_checkpoint(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise ModelError(f"{path}: no such file; expected the evaluator's text_mot_match/model/finest.tar")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (
        Exception
    ) as error:  # torch.load raises a dozen kinds for broken files; each of them means the same here
        # torch's own words advise to switch the protection off, which a user must not be told.
        if "weights_only" in str(error).lower() or "unsupported" in str(error).lower():
            raise ModelError(
                f"{path}: holds more than weights (code or foreign objects); refused unread"
            ) from None
        raise ModelError(
            f"{path}: not a readable checkpoint ({type(error).__name__}); copy the file again"
        ) from None
    if not isinstance(content, Mapping):
        raise ModelError(f"{path}: holds a {type(content).__name__}; expected a mapping of three networks")
    return content


def _sizes_of(states: Mapping[str, Mapping[str, Tensor]], path: Path) -> EvaluatorSizes:
    """Read every width from one key each; whether the other keys agree is checked afterwards."""

    def size(network: str, key: str, axes: int, axis: int) -> int:
        weight = states[network].get(key)
        if weight is None:
            raise ModelError(
                f"{path}: {network}: key '{key}' is missing; expected the evaluator's finest.tar"
            )
        if weight.ndim != axes or 0 in weight.shape:
            raise ModelError(
                f"{path}: {network}: '{key}' has shape {tuple(weight.shape)}; expected {axes} axes"
            )
        return int(weight.shape[axis])

    return EvaluatorSizes(
        movement_in=size("movement_encoder", "main.0.weight", 3, 1),
        movement_hidden=size("movement_encoder", "main.0.weight", 3, 0),
        movement=size("movement_encoder", "out_net.weight", 2, 0),
        motion_hidden=size("motion_encoder", "hidden", 3, 2),
        word=size("text_encoder", "pos_emb.weight", 2, 0),
        pos=size("text_encoder", "pos_emb.weight", 2, 1),
        text_hidden=size("text_encoder", "hidden", 3, 2),
        embedding=size("text_encoder", "output_net.3.weight", 2, 0),
    )


def _check_state(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: str) -> None:
    """Raise a ModelError that names every key that is missing, unexpected, wrongly shaped or not usable."""
    faults = [f"'{key}' is missing" for key in expected if key not in state]
    faults += [f"'{key}' is unexpected" for key in state if key not in expected]
    for key in (key for key in expected if key in state):
        got, wanted = state[key], expected[key]
        if got.shape != wanted.shape:
            faults.append(f"'{key}' has shape {tuple(got.shape)} instead of {tuple(wanted.shape)}")
        elif got.dtype != wanted.dtype:
            faults.append(f"'{key}' is {str(got.dtype).removeprefix('torch.')} instead of float32")
        elif not bool(torch.isfinite(got).all()):
            faults.append(f"'{key}' holds numbers that are not finite")
    if faults:
        raise ModelError(f"{where}: {'; '.join(faults)}")
