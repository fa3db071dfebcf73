"""Linear measurements of a canvas, each with an inverse: known entries, filters along time, any matrix."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from collage_motion.errors import CollageError


class Operator(Protocol):
    """A linear operator H on canvases of `canvas` = (F, C) entries, whose measurements have the shape `shape`."""

    canvas: tuple[int, int]
    shape: tuple[int, ...]

    def measure(self, x: Tensor) -> Tensor:
        """H x: canvases (S, F, C) -> measurements (S, *shape)."""
        ...

    def lift(self, y: Tensor) -> Tensor:
        """H+ y: measurements (S, *shape) -> canvases (S, F, C) that have them; mostly by the pseudo-inverse of H."""
        ...


class Known:
    """The entries of a mask (F, C), the others zero; `conditioning.known` makes one.

    spread: frames over which a known entry moves the others of its channel, those before it and behind it: `lift` is
    their mean in a Gaussian process over time (Matern covariance of smoothness 3/2, that length; Rasmussen and
    Williams 2006, eq. 2.19 and 4.17). A network takes a single frame that differs from its neighbours for noise. 0:
    it moves none (the mask's own pseudo-inverse), as in DiffCollage. Only `replacement` moves frames so, and time is a
    line: on a loop nothing is carried over the wrap. Raises CollageError for a mask that is none, or
    names nothing, and for a spread below 0.
    """

    def __init__(self, mask: Any, spread: float = 0.0) -> None:
        self.mask, self.spread = tensor(mask), spread
        if self.mask.ndim != 2 or self.mask.dtype != torch.bool:
            raise CollageError(
                f"mask of known entries: got shape {tuple(self.mask.shape)} of {self.mask.dtype}; "
                "allowed: (frames, channels) of booleans"
            )
        if not self.mask.any():
            raise CollageError("mask of known entries: it names none; leave the condition away instead")
        if isinstance(spread, bool) or not isinstance(spread, int | float) or not 0 <= spread < float("inf"):
            raise CollageError(f"spread of known entries: got {spread!r}; allowed: frames, 0 or more")
        self.canvas = (self.mask.shape[0], self.mask.shape[1])
        self.shape: tuple[int, ...] = self.canvas
        self._spreads = list(_spreads(self.mask.numpy(), spread)) if spread else []

    def measure(self, x: Tensor) -> Tensor:
        """The known entries of (S, F, C), zero elsewhere."""
        return torch.where(self.mask.to(x.device), x, torch.zeros((), dtype=x.dtype, device=x.device))

    def lift(self, y: Tensor) -> Tensor:
        """The known entries as they are, those that they move by `spread`, and zero elsewhere."""
        out = self.measure(y)
        for channels, frames, matrix in self._spreads:
            moved = matrix.to(y) @ y[:, frames][..., channels]
            out[..., channels] = torch.where(self.mask[:, channels].to(y.device), out[..., channels], moved)
        return out


def _spreads(mask: NDArray[np.bool_], length: float) -> Iterator[tuple[NDArray[Any], NDArray[Any], Tensor]]:
    """Channels with the same known frames (some, not all), these frames, and the matrix (F, known) to all frames."""
    patterns, which = np.unique(mask, axis=1, return_inverse=True)
    which = which.reshape(-1)  # numpy 2.0 gave it another shape
    for number, known in enumerate(patterns.T):
        if not known.any() or known.all():
            continue
        frames = np.flatnonzero(known)
        away = np.sqrt(3.0) / length * np.abs(np.arange(len(known))[:, None] - frames)
        covariance = (1.0 + away) * np.exp(-away)
        own = covariance[frames]
        own.flat[:: len(own) + 1] += 1e-12  # where the length is large, neighbours are alike to rounding
        matrix = np.linalg.solve(own, covariance.T).T
        yield np.flatnonzero(which == number), frames, torch.from_numpy(matrix)


class OverTime:
    """A matrix (M, F) along time, the same for each of some channels (all by default).

    Measurements are (M, number of channels). Raises CollageError for a matrix of another shape, with a number
    that is not finite, or for channels that a canvas of `n_channels` has not.
    """

    def __init__(self, matrix: Any, n_channels: int, channels: Sequence[int] | None = None) -> None:
        self.matrix = _matrix(matrix, "matrix along time: got shape {}; allowed: (measurements, frames)")
        self.channels = list(range(n_channels) if channels is None else channels)
        outside = [c for c in self.channels if not _whole(c) or not 0 <= c < n_channels]
        if outside or not self.channels or len(set(self.channels)) != len(self.channels):
            raise CollageError(
                f"matrix along time: got channels {self.channels[:8]}; allowed: different ones from 0 to "
                f"{n_channels - 1}, at least one"
            )
        self.inverse = torch.linalg.pinv(self.matrix)
        self.canvas = (self.matrix.shape[1], n_channels)
        self.shape: tuple[int, ...] = (self.matrix.shape[0], len(self.channels))

    def measure(self, x: Tensor) -> Tensor:
        """(S, F, C) -> (S, M, channels)."""
        return self.matrix.to(x) @ x[..., self.channels]

    def lift(self, y: Tensor) -> Tensor:
        """(S, M, channels) -> (S, F, C), zero on the other channels."""
        out = y.new_zeros(len(y), *self.canvas)
        out[..., self.channels] = self.inverse.to(y) @ y
        return out


def low_pass(n_frames: int, n_channels: int, kept: int, channels: Sequence[int] | None = None) -> OverTime:
    """The `kept` slowest cosine components of each channel over time (DCT-II, orthonormal).

    At f frames per second that is all up to about kept * f / (2 * n_frames) Hz. Measurements are
    (kept, channels). Raises CollageError unless kept is 1 to `n_frames`.
    """
    if not _whole(kept) or not 1 <= kept <= n_frames:
        raise CollageError(
            f"low-pass: got {kept!r} components of {n_frames} frames; allowed: whole numbers from 1 to {n_frames}"
        )
    place = (np.arange(n_frames) + 0.5) * np.pi / n_frames
    rows = np.cos(np.arange(kept)[:, None] * place) * np.sqrt(2.0 / n_frames)
    rows[0] /= np.sqrt(2.0)
    return OverTime(rows, n_channels, channels)


class Dense:
    """Any matrix (M, F * C) on the canvas flattened row by row; measurements are (M,).

    Its pseudo-inverse is computed once; meant for few measurements. Raises CollageError for another shape.
    """

    def __init__(self, matrix: Any, n_frames: int, n_channels: int) -> None:
        self.matrix = _matrix(
            matrix, f"matrix: got shape {{}}; allowed: (measurements, {n_frames * n_channels})"
        )
        if self.matrix.shape[1] != n_frames * n_channels:
            raise CollageError(
                f"matrix: got shape {tuple(self.matrix.shape)}; allowed: (measurements, {n_frames} frames x "
                f"{n_channels} channels = {n_frames * n_channels})"
            )
        self.inverse = torch.linalg.pinv(self.matrix)
        self.canvas = (n_frames, n_channels)
        self.shape: tuple[int, ...] = (self.matrix.shape[0],)

    def measure(self, x: Tensor) -> Tensor:
        """(S, F, C) -> (S, M)."""
        return x.flatten(1) @ self.matrix.to(x).T

    def lift(self, y: Tensor) -> Tensor:
        """(S, M) -> (S, F, C)."""
        return (y @ self.inverse.to(y).T).unflatten(1, self.canvas)


def tensor(values: Any) -> Tensor:
    """Numbers of any kind as a tensor in main memory, in their own precision; CollageError for other things."""
    try:
        return torch.as_tensor(values if isinstance(values, Tensor) else np.asarray(values)).detach().cpu()
    except (TypeError, ValueError):
        raise CollageError(
            f"numbers: got {repr(values)[:40]}; allowed: arrays or nested lists of numbers"
        ) from None


def _whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _matrix(values: Any, message: str) -> Tensor:
    matrix = tensor(values).to(torch.float64)
    if matrix.ndim != 2 or not matrix.numel():
        raise CollageError(message.format(tuple(matrix.shape)))
    if not matrix.isfinite().all():
        raise CollageError(f"matrix: {int((~matrix.isfinite()).sum())} of its numbers are not finite")
    return matrix
