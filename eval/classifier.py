"""A network that names the action of a motion, trained on real clips only: the judge of generated ones.

It sees joints at 20 fps, freed of place and heading, for as long as the motion lasts: a stack of temporal
convolutions, pooled over the frames (mean and maximum), and one linear layer.
"""

import contextlib
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from collage_motion.errors import DataError, ModelError, OutputError
from collage_motion.skeleton import FPS, N_JOINTS

from .quality import across_heading, to_heading

N_INPUTS: Final = 2 * N_JOINTS * 3 + 1
"""Local positions, local velocities, turning speed."""

MIN_FRAMES: Final = 4

FAMILIES: Final = (
    frozenset({"bye", "wave-left-hand", "wave-right-hand"}),
    frozenset({"byebye", "wave-both-hands"}),
    frozenset({"dash", "run"}),
)
"""Contents that differ in purpose or degree, not in what the body does: goodbye or hello, run or run fast.

The network keeps them apart; figures are given both ways. A left hand never passes for a right hand.
"""

Floats = NDArray[np.floating]

DEFAULT_PATH: Final = Path("~/.cache/collage-motion/classifier.safetensors")
_CURE: Final = "make it with scripts/train_classifier.py"


def classifier_inputs(joints: Floats) -> NDArray[np.float32]:
    """What the network sees of joints (T, 22, 3), metres at 20 fps: (T, 133), free of place and heading.

    Positions relative to the floor point below the pelvis, velocities in m/s and the turning speed in rad/s,
    all in the frame of the heading; heights are above the lowest point of the motion.

    Raises:
        DataError: the shape is another one, or a value is not finite.
    """
    joints = np.asarray(joints, dtype=np.float64)
    if joints.ndim != 3 or joints.shape[1:] != (N_JOINTS, 3) or len(joints) < MIN_FRAMES:
        raise DataError(
            f"joints {joints.shape}; a motion is (frames, 22, 3) with at least {MIN_FRAMES} frames"
        )
    if not np.isfinite(joints).all():
        raise DataError("joints are not finite numbers; the motion cannot be recognised")
    heading = across_heading(joints)
    local = joints - joints[:, :1] * np.array([1, 0, 1])
    local[..., 1] -= joints[..., 1].min()
    steps = np.diff(joints, axis=0, prepend=joints[:1] * 2 - joints[1:2]) * FPS
    turning = np.gradient(heading) * FPS
    parts = (to_heading(local, heading), to_heading(steps, heading))
    rows = [part.reshape(len(joints), -1) for part in parts]
    return np.concatenate([*rows, turning[:, None]], axis=1).astype(np.float32)


def same_family(content: str, answer: str) -> bool:
    """Whether an answer names the content or one that is the same movement."""
    if content == answer:
        return True
    sides = [[side for side in ("left", "right") if side in name] for name in (content, answer)]
    crossed = all(sides) and sides[0] != sides[1]
    return not crossed and any({content, answer} <= family for family in FAMILIES)


class ContentNet(nn.Module):
    """Logits (B, K) from inputs (B, T, 133) and lengths (B,); frames at or behind a length do not count."""

    mean: Tensor
    std: Tensor

    def __init__(self, n_contents: int, width: int = 96, layers: int = 4) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(N_INPUTS))
        self.register_buffer("std", torch.ones(N_INPUTS))
        self.enter = nn.Conv1d(N_INPUTS, width, 5, padding=2)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(width, width, 5, padding=2 * 2**layer, dilation=2**layer) for layer in range(layers)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(2 * width, n_contents)

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        inside = (torch.arange(inputs.shape[1], device=inputs.device) < lengths[:, None])[..., None]
        h = self._convolve(self.enter, (inputs - self.mean) / self.std * inside)
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            h = h + self._convolve(convolution, torch.relu(norm(h)) * inside)
        h = torch.relu(h)
        mean = (h * inside).sum(1) / lengths[:, None]
        peak = h.masked_fill(~inside, 0).amax(1)  # after the rectifier nothing is below zero
        return self.head(self.dropout(torch.cat([mean, peak], dim=1)))

    @staticmethod
    def _convolve(layer: nn.Module, rows: Tensor) -> Tensor:
        return layer(rows.transpose(1, 2)).transpose(1, 2)


def pad_inputs(rows: Sequence[NDArray[np.float32]]) -> tuple[Tensor, Tensor]:
    """Inputs of several motions as one batch (B, T, 133), filled up with zeros, and their lengths (B,)."""
    lengths = torch.tensor([len(row) for row in rows])
    batch = torch.zeros(len(rows), int(lengths.max()), N_INPUTS)
    for place, row in zip(batch, rows, strict=True):
        place[: len(row)] = torch.from_numpy(row)
    return batch, lengths


class ContentClassifier:
    """A trained network with the contents it knows and what its training said about it."""

    def __init__(self, net: ContentNet, contents: Sequence[str], report: dict[str, object]) -> None:
        self.net = net.eval()
        self.contents = tuple(contents)
        self.report = report

    @torch.no_grad()
    def probabilities(self, motions: Sequence[Floats], batch: int = 32) -> NDArray[np.float32]:
        """Probability of every content (N, K) for motions of joints (T, 22, 3) each."""
        rows = [classifier_inputs(joints) for joints in motions]
        out = np.empty((len(rows), len(self.contents)), dtype=np.float32)
        for start in range(0, len(rows), batch):
            logits = self.net(*pad_inputs(rows[start : start + batch]))
            out[start : start + batch] = torch.softmax(logits, dim=1).numpy()
        return out

    def classify(self, motions: Sequence[Floats]) -> list[str]:
        """The likeliest content of each motion."""
        return [self.contents[k] for k in self.probabilities(motions).argmax(1)]

    def save(self, path: str | Path) -> Path:
        """Write weights, contents and report as safetensors, atomically; an older file is replaced."""
        path = Path(path).expanduser()
        words = {"contents": json.dumps(self.contents), "report": json.dumps(self.report)}
        data = to_bytes({key: value.contiguous() for key, value in self.net.state_dict().items()}, words)
        temporary = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.replace(temporary, path)
        except OSError as error:
            if temporary is not None:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
            raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from None
        return path


def load_classifier(path: str | Path = DEFAULT_PATH) -> ContentClassifier:
    """Read a trained classifier.

    Raises:
        ModelError: the file is missing, broken or of another form.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise ModelError(f"{path}: no classifier here; {_CURE}")
    try:
        with safe_open(path, framework="pt") as file:
            words = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (not a mapping)
        contents = json.loads(words["contents"])
        net = ContentNet(len(contents), state["head.weight"].shape[1] // 2, _count_layers(state))
        net.load_state_dict(state)
        return ContentClassifier(net, contents, json.loads(words["report"]))
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{path}: not a classifier ({reason}); {_CURE}") from None


def _count_layers(state: dict[str, Tensor]) -> int:
    return sum(key.startswith("convolutions.") and key.endswith(".weight") for key in state)
