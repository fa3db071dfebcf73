"""A graph and a denoiser of windows make a denoiser of the canvas: gather, one call, weighted scatter."""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from collage_motion.denoiser import Denoiser, WindowDenoiser
from collage_motion.errors import GraphError
from collage_motion.graph import Graph
from collage_motion.padding import Padding
from collage_motion.weights import check_whole, mean_weights, tapered_weights


@dataclass(frozen=True)
class Guidance:
    """Classifier-free guidance (Ho and Salimans 2022; mdm-compat b.5) as weights: null + scale * (cond - null).

    A region with a prompt is evaluated with it and without, and the two predictions are weighed by scale and
    1 - scale; scale 1 needs the first only, scale 0 the second. share: where windows with different prompts
    overlap and nothing takes one of them away (a null variable), two guided predictions would pull twice as hard
    as inside a segment, each its own way. With `share` the scale there is divided among them, so that the prompts'
    predictions weigh `scale` together at every frame, but never one of them less than 1: k prompts weigh max(scale, k)
    together. Without it DiffCollage's equations are taken as they stand.
    above: the noise level below which no scale above 1 is used (Kynkaanniemi et al. 2024, guidance in an
    interval): what is shown is decided by then, and a step there costs half.
    """

    scale: float = 1.0
    share: bool = True
    above: float = 0.0


PLAIN: Final = Guidance()


def compose(
    graph: Graph,
    denoiser: WindowDenoiser,
    padding: Padding | None = None,
    guidance: Guidance = PLAIN,
    taper: int = 0,
) -> Denoiser:
    """The posterior mean of the whole canvas by the Bethe sum of its regions (DiffCollage eq. 6, 7 and 10).

    Each region's prediction is counted with its counting number and written to its frames and channels; as
    these sum to one at every frame and channel, it is the same whether x0, noise or scores are summed. Works
    on (S, F, C): S samples of F canvas frames. The window denoiser is called exactly once, with a row for every
    sample and region and one more for each that is guided, samples outermost. Differs from DiffCollage's released
    code, which averages the seam of a circle: here every overlap is subtracted once. With `padding` the window
    denoiser is shown windows of that many frames, all of them to be read; what it predicts behind a window counts
    nowhere. taper: frames over which a window's part sets in at the ends of overlaps (`weights.tapered_weights`), 0 as
    in the equations, and on grids. Raises GraphError for a canvas of another shape.
    """
    weights = tapered_weights(graph, taper)
    rows = np.flatnonzero(np.any(weights != 0.0, axis=(1, 2)))
    return _wired(graph, denoiser, rows, weights[rows], padding, guidance)


def average(
    graph: Graph, denoiser: WindowDenoiser, padding: Padding | None = None, guidance: Guidance = PLAIN
) -> Denoiser:
    """The mean, frame by frame, of the predictions of all windows there (the paper's averaging baseline).

    All windows (see `Graph.windows`) must write all channels. Call and shapes as in `compose`. Raises GraphError
    for a window with channels of its own.
    """
    return weighted(graph, denoiser, mean_weights(graph), padding, guidance)


def weighted(
    graph: Graph,
    denoiser: WindowDenoiser,
    weights: NDArray[Any],
    padding: Padding | None = None,
    guidance: Guidance = PLAIN,
) -> Denoiser:
    """As `compose` with other weights (R, T) for the frames of the regions; at each frame they sum to one.

    T is the length of the longest region. Regions with no weight at all are not evaluated. Raises GraphError
    for weights of another shape or sum, and for a region with channels of its own.
    """
    table = graph.index
    if np.shape(weights) != table.frames.shape:
        raise GraphError(f"weights: got shape {np.shape(weights)}; this graph needs {table.frames.shape}")
    weights = np.where(table.valid, weights, 0.0)
    rows = np.flatnonzero(np.any(weights != 0.0, axis=1))
    check_whole(graph, rows)
    sums = np.bincount(table.frames.ravel(), weights.ravel(), minlength=graph.n_frames)
    if not np.allclose(sums, 1.0, rtol=0.0, atol=1e-9):
        at = int(np.abs(sums - 1.0).argmax())
        raise GraphError(f"weights: at frame {at} they sum to {sums[at]:g}, which must be 1")
    return _wired(graph, denoiser, rows, weights[rows, :, None], padding, guidance)


def _wired(
    graph: Graph,
    denoiser: WindowDenoiser,
    rows: NDArray[Any],
    weights: NDArray[Any],
    padding: Padding | None,
    guidance: Guidance,
) -> Denoiser:
    guided = _Wiring.of(graph, rows, weights, padding, guidance)
    wirings = {True: guided, False: guided}
    if guidance.above > 0 and guidance.scale > 1:  # a scale below 1 is a choice of how little prompts say
        wirings[False] = _Wiring.of(graph, rows, weights, padding, PLAIN)

    def denoise(x: Tensor, sigma: float) -> Tensor:
        _check(graph, x, padding)
        kind = sigma >= guidance.above
        wiring = wirings[kind]
        if padding is not None and (wiring.noise is None or wiring.noise.shape[2] != x.shape[2]):
            wiring = replace(wiring, noise=torch.from_numpy(padding.noise(graph.n_frames, x.shape[2]))).to(x)
        if wiring.index.device != x.device or wiring.weights.dtype != x.dtype:
            wiring = wiring.to(x)
        wirings[kind] = wiring  # in the first step; all later ones find it in place
        samples = x.shape[0]
        windows = wiring.gather(x, sigma)
        predicted = denoiser(windows, sigma, wiring.prompts.repeat(samples), wiring.lengths.repeat(samples))
        return wiring.scatter(predicted.reshape(samples, len(wiring.lengths), *predicted.shape[1:]))

    return denoise


def _guide(
    prompts: NDArray[np.int64], weights: NDArray[Any], index: NDArray[np.int64], guidance: Guidance
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]:
    """Which of R rows to evaluate, under which prompts, with which weights (R', T, 1 or C)."""
    every, told = np.arange(len(prompts)), np.flatnonzero(prompts >= 0)
    if guidance.scale == 1.0 or not len(told):
        return every, prompts, weights
    total = np.zeros((index.max() + 1, weights.shape[2]))
    np.add.at(total, index[told], weights[told])
    scale = np.full_like(total, guidance.scale)
    if guidance.share and guidance.scale > 1.0:
        # Not below 1, where prompts would be left half unheard.
        scale = np.maximum(guidance.scale / np.maximum(total, 1.0), 1.0)
    own = scale[index[told]]
    with_prompt = weights.copy()
    with_prompt[told] *= own
    rows = np.concatenate((every, told))
    prompts = np.concatenate((prompts, np.full_like(told, -1)))
    weights = np.concatenate((with_prompt, weights[told] * (1.0 - own)))
    counts = np.any(weights != 0.0, axis=(1, 2))
    return rows[counts], prompts[counts], weights[counts]


def _check(graph: Graph, x: Tensor, padding: Padding | None) -> None:
    if x.ndim != 3 or x.shape[1] != graph.n_frames:
        raise GraphError(
            f"canvas: got shape {tuple(x.shape)}; allowed: (samples, {graph.n_frames}, channels)"
        )
    if graph.n_channels is not None and x.shape[2] != graph.n_channels:
        raise GraphError(f"canvas: got {x.shape[2]} channels; this graph was made for {graph.n_channels}")
    if padding is not None and x.shape[0] != len(padding.seeds):
        raise GraphError(f"canvas: got {x.shape[0]} samples; the padding has {len(padding.seeds)} seeds")


@dataclass(frozen=True)
class _Wiring:
    """What one call evaluates: R rows, regions of a graph padded to T frames, on a canvas of F frames.

    index: (R, T) canvas frame of each place, F (one behind the last) at padding. weights: (R, T, 1 or C).
    prompts, lengths: (R,). source: (R, T) what to read instead of `index`: from F on rows of `noise`, which is
    (S, rows, C) of unit variance; both None without a `Padding`.
    """

    n_frames: int
    index: Tensor
    weights: Tensor
    prompts: Tensor
    lengths: Tensor
    source: Tensor | None = None
    noise: Tensor | None = None

    @classmethod
    def of(
        cls,
        graph: Graph,
        rows: NDArray[Any],
        weights: NDArray[Any],
        padding: Padding | None,
        guidance: Guidance,
    ) -> "_Wiring":
        """Wiring of the regions `rows` (R,) with weights (R, T, 1 or C)."""
        table, longest = graph.index, int(graph.index.lengths[rows].max())
        index = np.where(table.valid, table.frames, graph.n_frames)[:, :longest]
        chosen, prompts, weights = _guide(table.prompts[rows], weights[:, :longest], index[rows], guidance)
        rows = rows[chosen]
        index, lengths, source = index[rows], table.lengths[rows], None
        if padding is not None:
            source = torch.tensor(padding.index(table.frames[rows, :longest], lengths, graph.following))
            lengths = np.full_like(lengths, padding.frames)
            behind = (0, padding.frames - longest)
            index = np.pad(index, ((0, 0), behind), constant_values=graph.n_frames)
            weights = np.pad(weights, ((0, 0), behind, (0, 0)))
        return cls(
            graph.n_frames,
            torch.tensor(index),
            torch.tensor(weights),
            torch.tensor(prompts),
            torch.tensor(lengths),
            source,
        )

    def to(self, x: Tensor) -> "_Wiring":
        """The same wiring beside x and in its precision."""
        return _Wiring(
            self.n_frames,
            self.index.to(x.device),
            self.weights.to(x),
            self.prompts.to(x.device),
            self.lengths.to(x.device),
            None if self.source is None else self.source.to(x.device),
            None if self.noise is None else self.noise.to(x),
        )

    def gather(self, x: Tensor, sigma: float) -> Tensor:
        """Windows (S * R, T, C) of a canvas (S, F, C); padding reads a frame of zeros behind the canvas."""
        if self.source is not None and self.noise is not None:
            return torch.cat((x, sigma * self.noise), dim=1)[:, self.source].flatten(0, 1)
        return pad(x, (0, 0, 0, 1))[:, self.index].flatten(0, 1)

    def scatter(self, predicted: Tensor) -> Tensor:
        """Canvas (S, F, C) of weighted predictions (S, R, T, C); padding goes to a frame nobody keeps."""
        samples, channels = predicted.shape[0], predicted.shape[-1]
        out = predicted.new_zeros(samples, self.n_frames + 1, channels)
        out.index_add_(1, self.index.flatten(), (predicted * self.weights).reshape(samples, -1, channels))
        return out[:, : self.n_frames]
