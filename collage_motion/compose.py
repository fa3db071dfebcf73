"""A graph and a denoiser of windows make a denoiser of the canvas: gather, one call, weighted scatter."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from collage_motion.denoiser import Denoiser, WindowDenoiser
from collage_motion.errors import GraphError
from collage_motion.graph import Graph


def compose(graph: Graph, denoiser: WindowDenoiser) -> Denoiser:
    """The posterior mean of the whole canvas by the Bethe sum of its regions (DiffCollage eq. 6, 7 and 10).

    Each region's prediction is counted with its counting number and written to its frames and channels; as
    these sum to one at every frame and channel, it is the same whether x0, noise or scores are summed. Works
    on (S, F, C): S samples of F canvas frames. The window denoiser is called exactly once, with S * regions
    rows, samples outermost. Differs from DiffCollage's released code, which averages the seam of a circle:
    here every overlap is subtracted once. Raises GraphError for a canvas of another shape.
    """
    every = np.arange(len(graph.regions))
    return _wired(
        graph, denoiser, every, np.broadcast_to(graph.index.counts[:, None], graph.index.frames.shape)
    )


def average(graph: Graph, denoiser: WindowDenoiser) -> Denoiser:
    """The mean, frame by frame, of the predictions of all windows there (the paper's averaging baseline).

    Windows are the regions that no other region strictly contains; all of them must write all channels. Call
    and shapes as in `compose`. Raises GraphError for a window with channels of its own.
    """
    sets = [frozenset(region.frames) for region in graph.regions]
    windows = [row for row, own in enumerate(sets) if not any(own < other for other in sets)]
    for row in windows:
        if graph.regions[row].channels is not None:
            raise GraphError(
                f"region {row} writes some channels only; averaging needs windows that write all"
            )
    rows = np.array(windows)
    cover = np.bincount(graph.index.frames[rows][graph.index.valid[rows]], minlength=graph.n_frames)
    return _wired(graph, denoiser, rows, 1.0 / cover[graph.index.frames[rows]])


def _wired(graph: Graph, denoiser: WindowDenoiser, rows: NDArray[Any], weights: NDArray[Any]) -> Denoiser:
    wiring = _Wiring.of(graph, rows, weights)

    def denoise(x: Tensor, sigma: float) -> Tensor:
        nonlocal wiring
        _check(graph, x)
        if wiring.index.device != x.device or wiring.weights.dtype != x.dtype:
            wiring = wiring.to(x)  # in the first step; all later ones find it in place
        samples = x.shape[0]
        windows = wiring.gather(x)
        predicted = denoiser(windows, sigma, wiring.prompts.repeat(samples), wiring.lengths.repeat(samples))
        return wiring.scatter(predicted.reshape(samples, len(rows), *predicted.shape[1:]))

    return denoise


def _check(graph: Graph, x: Tensor) -> None:
    if x.ndim != 3 or x.shape[1] != graph.n_frames:
        raise GraphError(
            f"canvas: got shape {tuple(x.shape)}; allowed: (samples, {graph.n_frames}, channels)"
        )
    if graph.n_channels is not None and x.shape[2] != graph.n_channels:
        raise GraphError(f"canvas: got {x.shape[2]} channels; this graph was made for {graph.n_channels}")


@dataclass(frozen=True)
class _Wiring:
    """Some regions of a graph as tensors: R regions padded to T frames on a canvas of F frames.

    index: (R, T) canvas frame of each place, F (one behind the last) at padding. weights: (R, T, 1 or C).
    prompts, lengths: (R,).
    """

    n_frames: int
    index: Tensor
    weights: Tensor
    prompts: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, graph: Graph, rows: NDArray[Any], weights: NDArray[Any]) -> "_Wiring":
        """Wiring of the regions `rows` (R,) with weights (R, T), none on channels a region does not write."""
        table, longest = graph.index, int(graph.index.lengths[rows].max())
        index = np.where(table.valid, table.frames, graph.n_frames)[rows, :longest]
        weights = np.asarray(weights, np.float64)[:, :longest, None]
        if any(region.channels is not None for region in graph.regions):
            writes = np.zeros((len(rows), 1, graph.n_channels or 0))
            for own, row in zip(writes, rows, strict=True):
                channels = graph.regions[row].channels
                own[:, slice(None) if channels is None else list(channels)] = 1.0
            weights = weights * writes
        return cls(
            graph.n_frames,
            torch.tensor(index),
            torch.tensor(weights),
            torch.tensor(table.prompts[rows]),
            torch.tensor(table.lengths[rows]),
        )

    def to(self, x: Tensor) -> "_Wiring":
        """The same wiring beside x and in its precision."""
        return _Wiring(
            self.n_frames,
            self.index.to(x.device),
            self.weights.to(x),
            self.prompts.to(x.device),
            self.lengths.to(x.device),
        )

    def gather(self, x: Tensor) -> Tensor:
        """Windows (S * R, T, C) of a canvas (S, F, C); padding reads a frame of zeros behind the canvas."""
        return pad(x, (0, 0, 0, 1))[:, self.index].flatten(0, 1)

    def scatter(self, predicted: Tensor) -> Tensor:
        """Canvas (S, F, C) of weighted predictions (S, R, T, C); padding goes to a frame nobody keeps."""
        samples, channels = predicted.shape[0], predicted.shape[-1]
        out = predicted.new_zeros(samples, self.n_frames + 1, channels)
        out.index_add_(1, self.index.flatten(), (predicted * self.weights).reshape(samples, -1, channels))
        return out[:, : self.n_frames]
