"""What stands behind a window for a network that always sees the same number of frames (spec a.7)."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from collage_motion.errors import CollageError, GraphError
from collage_motion.noise import canvas_noise

PaddingKind = Literal["zeros", "canvas"]
NOISE_STREAM: Final = 2**64 - 1
"""The stream of `noise.frame_noise` that no step of a sampler reaches."""


def check_kind(kind: str) -> None:
    """Raise CollageError unless it is the name of a kind of padding."""
    if kind not in get_args(PaddingKind):
        raise CollageError(f"padding: got {kind!r}; allowed: {', '.join(get_args(PaddingKind))}")


@dataclass(frozen=True)
class Padding:
    """Windows of fewer than `frames` frames are filled up to that number.

    MDM's first networks know no mask and were trained on 196 frames, short clips filled up with zeros (of
    normalised space) that were noised like the rest. kind "zeros" shows them just that: zeros and sigma times
    noise, which belongs to the sample's seed and to the frame of the canvas that would stand there, so that
    neither batches nor other windows change it. kind "canvas" shows the frames of the canvas that follow, on a
    cycle around the seam, and behind an end (see `Graph.following`) zeros and noise as above.
    """

    frames: int
    seeds: tuple[int, ...]
    kind: PaddingKind = "zeros"

    def __post_init__(self) -> None:
        check_kind(self.kind)

    def index(
        self, windows: NDArray[np.int64], lengths: NDArray[np.int64], following: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Places (R, `frames`) to read for windows (R, T) of these lengths (R,) on a canvas of F frames.

        following: (F,) the frame behind each, -1 at an end. A place below F is a frame of the canvas; place F +
        k is row k of `noise`. Raises GraphError for a window longer than `frames`.
        """
        if (longest := int(lengths.max())) > self.frames:
            raise GraphError(
                f"a window holds {longest} frames; this model's network sees {self.frames}; make shorter windows"
            )
        places = np.zeros((len(windows), self.frames), np.int64)
        places[:, : windows.shape[1]] = windows[:, : self.frames]
        last = np.take_along_axis(windows, lengths[:, None] - 1, axis=1)
        inside = np.arange(self.frames) < lengths[:, None]
        filled = len(following) + last + np.arange(self.frames) - lengths[:, None] + 1
        if self.kind == "canvas":
            before = last[:, 0]
            for place in range(int(lengths.min()), self.frames):
                behind = place >= lengths
                before = np.where(behind & (before >= 0), following[before], before)
                filled[:, place] = np.where(behind & (before >= 0), before, filled[:, place])
        return np.where(inside, places, filled)

    def noise(self, n_frames: int, n_features: int) -> NDArray[np.float32]:
        """Standard normal noise (S, `n_frames` + `frames`, C), one row for each frame on and behind the canvas."""
        return canvas_noise(self.seeds, n_frames + self.frames, n_features, NOISE_STREAM)
