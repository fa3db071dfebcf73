"""Files of tensors that others made: read without executing anything, every name and shape checked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from collage_motion.errors import ModelError

Shapes = Mapping[str, tuple[int, ...]]
_SAFETENSORS: Final = ".safetensors"
_BEGINNINGS: Final = (b"PK", b"\x80\x02")
"""Of what `torch.save` writes: a zip archive, or before 2020 a row of pickles."""


def read_mapping(path: Path, what: str) -> dict[str, Any]:
    """The mapping in a safetensors file or in one that `torch.save` wrote; `what` was expected there.

    Pickles go through torch's restricted reader, which builds tensors and plain containers and nothing else.
    Raises ModelError for a file that is missing, truncated, holds code or foreign objects, or no mapping.
    """
    if not path.is_file():
        raise ModelError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}; expected {what}")
    if path.suffix == _SAFETENSORS:
        return dict(_read_safetensors(path, what))
    try:
        with path.open("rb") as file:
            begin = file.read(2)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from None
    if begin not in _BEGINNINGS:
        raise ModelError(f"{path}: truncated or no checkpoint (it begins with {begin!r}); expected {what}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a dozen kinds, all meaning that the file is no such checkpoint
        raise ModelError(f"{path}: {_reason(str(error), type(error).__name__)}; expected {what}") from None
    if not isinstance(content, Mapping):
        raise ModelError(f"{path}: holds a {type(content).__name__}; expected {what}")
    return {str(key): value for key, value in content.items()}


def _read_safetensors(path: Path, what: str) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: truncated or no safetensors file ({error}); expected {what}") from None


def _reason(message: str, kind: str) -> str:
    # torch's own words advise to switch the protection off, which nobody must be told.
    words = message.lower()
    if "torchscript" in words:
        return "a TorchScript archive, which holds code; refused unread"
    if "weights_only" in words or "unsupported" in words:
        return "holds more than weights (code or foreign objects); refused, nothing in it was run"
    return f"truncated or no checkpoint ({kind}); copy the file again"


def check_tensors(
    tensors: Mapping[str, Any], wanted: Shapes, where: str, *, any_precision: bool = True
) -> dict[str, Tensor]:
    """The tensors as contiguous float32, if their names and shapes are the wanted.

    any_precision: take half and double precision as well; else they are refused, as somebody's copy that has lost
    digits of the original, or never was one. Raises ModelError that names every one that is missing, unexpected,
    of another shape, no floating point tensor or not finite.
    """
    good = {name: value for name, value in tensors.items() if isinstance(value, Tensor)}
    if not good.keys() & wanted.keys():
        found = ", ".join(sorted(tensors)[:3]) or "nothing"
        raise ModelError(
            f"{where}: none of the {len(wanted)} expected weights is there; it holds {found[:120]}"
        )
    faults = {
        "missing": sorted(wanted.keys() - tensors.keys()),
        "unexpected": sorted(tensors.keys() - wanted.keys()),
        "of wrong shape": [
            f"{name} {tuple(good[name].shape)} instead of {shape}"
            for name, shape in wanted.items()
            if name in good and tuple(good[name].shape) != shape
        ],
        "not floating point": [
            name for name in wanted if name in tensors and not (name in good and _is_plain_float(good[name]))
        ],
    }
    if not any_precision:
        faults["not float32"] = _of_other_precision(good, wanted)
    if not any(faults.values()):
        faults["not finite"] = [name for name in wanted if not good[name].isfinite().all()]
    if any(faults.values()):
        listed = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in faults.items() if names)
        raise ModelError(f"{where}: weights do not fit: {listed}")
    return {name: good[name].detach().to(torch.float32).contiguous() for name in wanted}


def _of_other_precision(tensors: Mapping[str, Tensor], wanted: Shapes) -> list[str]:
    """Names and kinds of the floating point tensors that are not float32; one entry where that is all of them."""
    kinds = {
        name: str(tensors[name].dtype).removeprefix("torch.")
        for name in wanted
        if name in tensors and tensors[name].is_floating_point() and tensors[name].dtype != torch.float32
    }
    if len(kinds) == len(wanted):
        return [f"all {len(wanted)} are {' or '.join(sorted(set(kinds.values())))}; take the original file"]
    return [f"{name} ({kind})" for name, kind in kinds.items()]


def _is_plain_float(tensor: Tensor) -> bool:
    return (
        tensor.layout == torch.strided
        and tensor.is_floating_point()
        and not tensor.is_quantized
        and tensor.device.type == "cpu"
    )
