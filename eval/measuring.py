"""What measurements that run for long share: what they were made with, and the settings given on a command line."""

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

import collage_motion
from collage_motion.card import CARD_FILE
from collage_motion.errors import CollageError, OutputError
from collage_motion.export.atomic import replacing
from collage_motion.models import WEIGHTS_FILE, Model
from collage_motion.settings import Settings
from collage_motion.yaml_tree import scalar


def settings_from(pairs: Sequence[str]) -> dict[str, Any]:
    """Texts `NAME=VALUE` as keyword arguments of `Settings`, values read as YAML.

    Raises:
        CollageError: a text of another form, or a name that `Settings` does not have.
    """
    known = [field.name for field in fields(Settings)]
    settings = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        if name not in known or not value:
            raise CollageError(f"--set {pair}: write NAME=VALUE with one of {', '.join(known)}")
        try:
            settings[name] = scalar(value)
        except ValueError:
            raise CollageError(f"--set {name}: got {value[:40]!r}; allowed: a number or a word") from None
    return settings


def identity(model: Model) -> dict[str, str]:
    """Name of a model and the beginnings of the checksums of its weights and its card."""
    weights, card = (
        hashlib.sha256((model.card.folder / name).read_bytes()).hexdigest()[:16]
        for name in (WEIGHTS_FILE, CARD_FILE)
    )
    return {"name": model.card.name, "weights": weights, "card": card}


def device_name(device: torch.device) -> str:
    """The device as figures of time must be told apart by: with the number of threads, or the accelerator's name."""
    if device.type == "cuda":
        return f"cuda {torch.cuda.get_device_name(device)}"
    if device.type == "cpu":
        count = torch.get_num_threads()
        return f"cpu {count} thread{'s' if count > 1 else ''}"
    return device.type


def versions() -> dict[str, str]:
    """Versions of everything that figures may depend on."""
    return {
        "collage_motion": collage_motion.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def output_folder(path: str | Path) -> Path:
    """The folder, made if need be; raises OutputError where there cannot be one."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror}); write elsewhere") from None
    return folder


def write_texts(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """Write files by name, each whole or not at all; those of an earlier report are replaced."""
    paths = []
    for name, text in texts.items():
        paths.append(folder / name)
        with replacing(paths[-1], overwrite=True) as part:
            part.write_text(text, encoding="utf-8")
    return paths
