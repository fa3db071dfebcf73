"""Released MDM checkpoints become installed models: read, checked, stored as safetensors with a card."""

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from collage_motion.card import CARD_FILE, find_models, models_home, read_card
from collage_motion.data.humanml import read_statistics
from collage_motion.errors import ModelError, OutputError
from collage_motion.models import WEIGHTS_FILE
from collage_motion.models.arguments import TRAINING_FRAMES, Arguments, find_arguments, read_arguments
from collage_motion.models.download import shown
from collage_motion.models.mdm import MDM, MdmConfig
from collage_motion.skeleton import FPS, N_FEATURES
from collage_motion.tensor_files import check_tensors, read_mapping
from collage_motion.text.sources import SOURCES

MIN_FRAMES: Final = 40
"""HumanML3D holds no shorter clips."""
_WHAT: Final = "an MDM checkpoint (modelNNNNNNNNN.pt)"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FEED_FORWARD: Final = 1024
_LICENCE: Final = (
    "that of the checkpoint's source; the motions it learnt from (HumanML3D, AMASS) are for research only"
)


def import_checkpoint(
    path: Path,
    args_path: Path | None = None,
    *,
    name: str,
    stats: Path | None,
    overwrite: bool = False,
    text_path: Path | None = None,
    source: str | None = None,
) -> Path:
    """Install a released MDM checkpoint (spec a.3, a.4) as a user's model; returns its folder.

    args_path: its `args.json`, by default the one beside it. stats: the folder with HumanML3D's Mean.npy and
    Std.npy. text_path: the text encoder's files, by default found by `text.sources` whenever the model is
    loaded. source: the address it was downloaded from, for the card. The folder appears whole or not at all. Raises
    ModelError, DataError or OutputError; nothing in the checkpoint is executed.
    """
    check_import(path, args_path, name=name, stats=stats, overwrite=overwrite, text_path=text_path)
    target = _target(name, overwrite)
    mean, std = read_normalisation(stats)
    arguments = read_arguments(find_arguments(path, args_path))
    weights, config = read_checkpoint(path, arguments)
    card = {
        "name": name,
        "fps": FPS,
        "min_frames": MIN_FRAMES,
        "max_frames": TRAINING_FRAMES,
        "mask_frames": arguments.mask_frames,
        **({} if arguments.mask_frames else {"padding": TRAINING_FRAMES}),
        "architecture": config.as_dict(),
        "schedule": {"name": arguments.noise_schedule, "steps": arguments.diffusion_steps},
        "text": {
            "encoder": arguments.encoder,
            "dimensions": arguments.text_dim,
            "null_prompt": arguments.null_prompt,
            **({} if text_path is None else {"path": str(text_path.expanduser().resolve())}),
        },
        "actions": [],
        "licence": _LICENCE,
        "training": {
            "data": "HumanML3D",
            **_steps_of(path),
            "checkpoint": path.name,
            **({} if source is None else {"source": shown(source)}),
            "sha256": _sha256(path),
        },
        "mean": mean.tolist(),
        "std": std.tolist(),
    }
    _install(target, card, weights)
    return target


def check_import(
    path: Path,
    args_path: Path | None,
    *,
    name: str,
    stats: Path | None,
    overwrite: bool = False,
    text_path: Path | None = None,
) -> None:
    """Raise what `import_checkpoint` would for anything but the checkpoint, which need not be there yet."""
    _target(name, overwrite)
    read_normalisation(stats)
    arguments = read_arguments(find_arguments(path, args_path))
    if text_path is not None:
        SOURCES[arguments.encoder].find(text_path)


def read_normalisation(folder: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (263,) each, of HumanML3D's Mean.npy and Std.npy in a folder.

    Raises ModelError when they are not there, saying which project has them; DataError when they are broken.
    """
    names = ("Mean.npy", "Std.npy")
    missing = [name for name in names if folder is None or not (folder / name).is_file()]
    if folder is None or missing:
        where = (
            "no folder of statistics was named"
            if folder is None
            else f"{folder}: no {' and no '.join(missing)}"
        )
        raise ModelError(
            f"{where}; checkpoints hold no statistics: get Mean.npy and Std.npy from the folder HumanML3D of the "
            "project EricGuo5513/HumanML3D on GitHub and name their folder with --stats"
        )
    arrays = [folder / name for name in names]
    mean, std = read_statistics(arrays[0], arrays[1], N_FEATURES)
    return mean, std


def read_checkpoint(path: Path, arguments: Arguments) -> tuple[dict[str, Tensor], MdmConfig]:
    """The float32 weights under the names of `MDM.state_dict()`, and the configuration they fit.

    The averaged weights are taken when the arguments say so and the file has them; text encoder weights and the
    positional tables in the file are left out (spec a.3). Raises ModelError naming every key that is wrong.
    """
    state = {
        key: value
        for key, value in _chosen(read_mapping(path, _WHAT), arguments.use_ema, path).items()
        if not key.startswith("clip_model.") and not key.endswith("sequence_pos_encoder.pe")
    }
    _refuse_other_features(state, path)
    config = MdmConfig(
        arch=arguments.arch,
        latent_dim=arguments.latent_dim,
        ff_size=_feed_forward(state, arguments.arch),
        num_layers=arguments.layers,
        text_dim=arguments.text_dim,
        emb_trans_dec=arguments.emb_trans_dec,
        emb_token_text=arguments.token_text,
    )
    with torch.device("meta"):
        wanted = {key: tuple(value.shape) for key, value in MDM(config).state_dict().items()}
    return check_tensors(state, wanted, str(path), any_precision=False), config


def _chosen(content: Mapping[str, Any], averaged: bool, path: Path) -> dict[str, Any]:
    if {"state", "param_groups"} <= content.keys():
        raise ModelError(f"{path}: an optimiser's state (optNNNNNNNNN.pt); expected its neighbour, {_WHAT}")
    key = "model_avg" if averaged and "model_avg" in content else "model" if "model" in content else None
    state = content if key is None else content[key]
    if not isinstance(state, Mapping):
        raise ModelError(f"{path}: '{key}' is a {type(state).__name__}; expected {_WHAT}")
    return {str(name): value for name, value in state.items()}


def _refuse_other_features(state: Mapping[str, Any], path: Path) -> None:
    weight = state.get("input_process.poseEmbedding.weight")
    if isinstance(weight, Tensor) and weight.ndim == 2 and weight.shape[1] == 251:
        raise ModelError(
            f"{path}: a model of KIT-ML with 251 features; this program makes the {N_FEATURES} features of "
            "HumanML3D; take a checkpoint whose name begins with humanml"
        )


def _feed_forward(state: Mapping[str, Any], arch: str) -> int:
    """The width that no field of args.json holds: that of the first layer, as the others must have it."""
    stack = "seqTransEncoder" if arch == "trans_enc" else "seqTransDecoder"
    bias = state.get(f"{stack}.layers.0.linear1.bias")
    return len(bias) if isinstance(bias, Tensor) and bias.ndim == 1 and len(bias) else _FEED_FORWARD


def _steps_of(path: Path) -> dict[str, int]:
    number = re.fullmatch(r"model(\d{6,12})", path.stem)
    return {"steps": int(number[1])} if number else {}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _target(name: str, overwrite: bool) -> Path:
    """The folder a model of that name gets; raises ModelError or OutputError when it cannot be."""
    if not _NAME.fullmatch(name):
        raise ModelError(
            f"name {name[:80]!r}; allowed: up to 64 letters, digits, '.', '_' and '-', a letter or digit first"
        )
    target = models_home() / name
    there = find_models().get(name)
    if there is not None and there != target:
        raise ModelError(f"name {name!r} is that of a built-in model; choose another")
    if target.exists() or target.is_symlink():
        if not overwrite:
            raise OutputError(f"{target}: exists already; add --overwrite or choose another name")
        others = {entry.name for entry in target.iterdir()} if target.is_dir() else {"no folder"}
        if target.is_symlink() or others - {CARD_FILE, WEIGHTS_FILE}:
            raise OutputError(
                f"{target}: holds more than an imported model; move it away or choose another name"
            )
    return target


def _install(target: Path, card: dict[str, Any], weights: dict[str, Tensor]) -> None:
    """Put card and weights into a folder that appears whole; raises OutputError when it cannot be written."""
    from safetensors.torch import save_file

    # One level deeper than models are looked for, so that nobody sees a folder that is not finished.
    workshop = target.parent / f".{secrets.token_hex(6)}.part"
    new, old = workshop / "new", workshop / "old"
    try:
        new.mkdir(parents=True)
        save_file(weights, new / WEIGHTS_FILE)
        (new / CARD_FILE).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
        read_card(new)
        if target.exists():
            os.rename(target, old)
        try:
            os.rename(new, target)
        except OSError:
            if old.exists():
                os.rename(old, target)
            raise
    except OSError as error:
        raise OutputError(
            f"{target}: cannot be written: {error.strerror or error}; nothing was changed"
        ) from None
    finally:
        with suppress(OSError):
            shutil.rmtree(workshop)
