"""`Motion`: a finished animation as read-only arrays."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collage_motion.errors import DataError
from collage_motion.skeleton import N_FEATURES, N_JOINTS

Floats = NDArray[np.float32]

MAX_METRES = 1e6
"""Farther from its beginning no motion goes that is read from a file: a day's run is 2e5 m."""


@dataclass(frozen=True, eq=False)
class Motion:
    """A motion of F frames; every array is a read-only copy.

    features (F, 263) as sampled, not normalised; joints (F, 22, 3) in metres, y up; rotations (F, 22, 4)
    local, wxyz, unit; offsets (22, 3) in metres: the T-pose. Forward kinematics of rotations, offsets and
    `root` are `joints`. fps: frames per second. prompts: what each frame shows. seams: frame numbers where
    a new segment begins (0 on a loop: the last frame meets the first). settings: what makes the motion again,
    as JSON values.

    Raises DataError when shapes, lengths or numbers do not fit together.
    """

    features: Floats
    joints: Floats
    rotations: Floats
    offsets: Floats
    fps: int
    prompts: tuple[str, ...]
    seams: tuple[int, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n_frames = len(self.joints)
        shapes = {
            "joints": (n_frames, N_JOINTS, 3),
            "features": (n_frames, N_FEATURES),
            "rotations": (n_frames, N_JOINTS, 4),
            "offsets": (N_JOINTS, 3),
        }
        for name, shape in shapes.items():
            object.__setattr__(self, name, _read_only(name, getattr(self, name), shape))
        if not n_frames:
            raise DataError("motion: has no frames, needs at least one")
        lengths = np.linalg.norm(self.rotations, axis=-1)
        if np.abs(lengths - 1).max() > 1e-3:
            raise DataError("motion: rotations must be unit quaternions; normalise them")
        if not _whole(self.fps) or self.fps < 1:
            raise DataError(f"motion: fps is {self.fps}, must be a whole number from 1")
        object.__setattr__(self, "fps", int(self.fps))
        object.__setattr__(self, "prompts", tuple(str(prompt) for prompt in self.prompts))
        odd = [seam for seam in self.seams if not _whole(seam)]
        if odd:
            raise DataError(f"motion: seam at frame {odd[0]}, must be a whole number")
        object.__setattr__(self, "seams", tuple(int(seam) for seam in self.seams))
        if len(self.prompts) != n_frames:
            raise DataError(f"motion: {len(self.prompts)} prompts for {n_frames} frames; give one per frame")
        outside = [seam for seam in self.seams if not 0 <= seam < n_frames]
        if outside:
            raise DataError(f"motion: seam at frame {outside[0]}, must lie in 0 to {n_frames - 1}")
        try:
            text = json.dumps(dict(self.settings), ensure_ascii=False)
        except (TypeError, ValueError) as error:
            raise DataError(f"motion: settings cannot be written as JSON ({error})") from error
        object.__setattr__(self, "settings", json.loads(text))

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.joints)

    @property
    def root(self) -> Floats:
        """Position of the pelvis (F, 3) in metres."""
        return self.joints[:, 0]

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.n_frames / self.fps

    @property
    def segments(self) -> tuple[tuple[int, int, str], ...]:
        """Runs of frames (first, one past the last, prompt) between seams and changes of prompt."""
        starts = [
            frame
            for frame in range(self.n_frames)
            if frame == 0 or frame in self.seams or self.prompts[frame] != self.prompts[frame - 1]
        ]
        ends = [*starts[1:], self.n_frames]
        return tuple((start, end, self.prompts[start]) for start, end in zip(starts, ends, strict=True))


def _whole(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and float(value).is_integer()


def _read_only(name: str, value: Any, shape: tuple[int, ...]) -> Floats:
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite then, and refused below
        array = np.array(value, dtype=np.float32, order="C", copy=True)
    if array.shape != shape:
        raise DataError(f"motion: {name} has shape {array.shape}, must be {shape}")
    if not np.isfinite(array).all():
        raise DataError(f"motion: {name} holds a number that is not finite")
    array.flags.writeable = False
    return array
