"""The `args.json` beside an MDM checkpoint: which network it is and how it was trained (spec a.4). No torch."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from collage_motion.errors import ModelError

ARGUMENTS_FILE: Final = "args.json"
TRAINING_FRAMES: Final = 196
"""What training always presented; shorter clips were padded with zeros (spec a.7)."""

_MAX_BYTES: Final = 2**20
_ENCODERS: Final = {"clip": "clip", "bert": "distilbert", "distilbert": "distilbert"}
_TEXT_DIMENSIONS: Final = {"clip": 512, "distilbert": 768}
_DEFAULTS: Final[dict[str, Any]] = {
    "dataset": "humanml",
    "arch": "trans_enc",
    "layers": 8,
    "latent_dim": 512,
    "cond_mask_prob": 0.1,
    "emb_trans_dec": False,
    "noise_schedule": "cosine",
    "text_encoder_type": "clip",
    "mask_frames": False,
    "use_ema": False,
    "pred_len": 0,
    "context_len": 0,
    "emb_policy": "add",
    "unconstrained": False,
    "cond_mode": "text",
    "multi_target_cond": False,
    "lambda_target_loc": 0,
}
"""Values of fields that an old file lacks; `diffusion_steps` has none, since guessing it ruins every sample."""


@dataclass(frozen=True)
class Arguments:
    """The fields of `args.json` that decide what a checkpoint is; all others are ignored.

    token_text: the token that `emb_trans_dec` prepends carries time and text (all released files) and not time
    alone (code since February 2025, which also writes `pred_len`) (spec a.5).
    """

    arch: str
    layers: int
    latent_dim: int
    emb_trans_dec: bool
    token_text: bool
    noise_schedule: str
    diffusion_steps: int
    encoder: str
    mask_frames: bool
    use_ema: bool
    null_prompt: bool

    @property
    def text_dim(self) -> int:
        """Width of the text features: 512 for CLIP ViT-B/32, 768 for DistilBERT."""
        return _TEXT_DIMENSIONS[self.encoder]


def find_arguments(checkpoint: Path, given: Path | None) -> Path:
    """The `args.json` that was given, or the one beside the checkpoint; raises ModelError when there is none."""
    path = given or checkpoint.parent / ARGUMENTS_FILE
    if not path.is_file():
        why = "" if given else f"; {ARGUMENTS_FILE} is not beside the checkpoint"
        raise ModelError(
            f"{path}: no such file{why}; it says how many diffusion steps the network was trained with and is "
            "published in the same archive as the checkpoint: give its path"
        )
    return path


def read_arguments(path: Path) -> Arguments:
    """Read `args.json`, with MDM's defaults for what old files lack; raises ModelError naming the field."""
    fields = _DEFAULTS | (own := _read_object(path))
    _refuse_other_models(fields, path)
    if _integer(fields, "latent_dim", 4, 16384, path) % 4:
        raise ModelError(f"{path}: latent_dim is {fields['latent_dim']}; allowed: multiples of its 4 heads")
    return Arguments(
        arch=_choice(fields, "arch", ("trans_enc", "trans_dec"), path),
        layers=_integer(fields, "layers", 1, 256, path),
        latent_dim=fields["latent_dim"],
        emb_trans_dec=_flag(fields, "emb_trans_dec", path),
        token_text="pred_len" not in own,
        noise_schedule=_choice(fields, "noise_schedule", ("cosine", "linear"), path),
        diffusion_steps=_integer(fields, "diffusion_steps", 1, 5000, path),
        encoder=_ENCODERS[_choice(fields, "text_encoder_type", tuple(_ENCODERS), path)],
        mask_frames=_flag(fields, "mask_frames", path),
        use_ema=_flag(fields, "use_ema", path),
        null_prompt=_number(fields, "cond_mask_prob", path) > 0,
    )


def _read_object(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ModelError(f"{path}: larger than {_MAX_BYTES} bytes; this is no {ARGUMENTS_FILE}")
        value = json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: not JSON ({error}); copy the file again") from None
    if not isinstance(value, dict):
        raise ModelError(f"{path}: holds a {type(value).__name__}; expected an object with fields")
    return value


def _refuse_other_models(fields: dict[str, Any], path: Path) -> None:
    """Raise for models that read or make something else than motions of HumanML3D from texts."""
    if fields["dataset"] == "kit":
        raise ModelError(
            f"{path}: a model of KIT-ML, whose motions have 251 features of 21 joints; this program makes the 263 "
            "features of HumanML3D; take a model with dataset 'humanml'"
        )
    wrong = (
        (fields["dataset"] != "humanml", "dataset", "humanml"),
        (_flag(fields, "unconstrained", path), "unconstrained", "false, a model that reads texts"),
        (fields["cond_mode"] != "text", "cond_mode", "text"),
        (_number(fields, "pred_len", path) > 0, "pred_len", "0, whole motions and no continuations"),
        (_number(fields, "context_len", path) > 0, "context_len", "0, whole motions and no continuations"),
        (fields["emb_policy"] != "add", "emb_policy", "add"),
        (_flag(fields, "multi_target_cond", path), "multi_target_cond", "false"),
        (_number(fields, "lambda_target_loc", path) > 0, "lambda_target_loc", "0"),
    )
    for is_wrong, name, allowed in wrong:
        if is_wrong:
            raise ModelError(f"{path}: {name} is {_shown(fields[name])}; supported: {allowed}")


def _choice(fields: dict[str, Any], name: str, allowed: tuple[str, ...], path: Path) -> str:
    if not isinstance(fields[name], str) or fields[name] not in allowed:
        raise ModelError(f"{path}: {name} is {_shown(fields[name])}; supported: {', '.join(allowed)}")
    return str(fields[name])


def _flag(fields: dict[str, Any], name: str, path: Path) -> bool:
    if not isinstance(fields[name], bool):
        raise ModelError(f"{path}: {name} is {_shown(fields[name])}; allowed: true or false")
    return bool(fields[name])


def _number(fields: dict[str, Any], name: str, path: Path) -> float:
    value = fields[name]
    if not isinstance(value, int | float) or isinstance(value, bool) or not value >= 0:
        raise ModelError(f"{path}: {name} is {_shown(value)}; allowed: a number from 0 on")
    return float(value)


def _integer(fields: dict[str, Any], name: str, low: int, high: int, path: Path) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        got = f"is {_shown(value)}" if name in fields else "is missing"
        raise ModelError(f"{path}: {name} {got}; allowed: whole numbers from {low} to {high}")
    return value


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
