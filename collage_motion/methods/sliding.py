"""Sliding windows, each continuing what is known of it: what both autoregressive baselines share."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby, pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from collage_motion.card import Limits
from collage_motion.compose import compose
from collage_motion.conditioning import Condition, known
from collage_motion.denoiser import Denoiser
from collage_motion.graph import Graph, Region
from collage_motion.methods.job import Job
from collage_motion.samplers.steps import Progress
from collage_motion.weights import depth_weights


@dataclass(frozen=True)
class Stretch:
    """A window of the canvas frames `start` to `stop` under one prompt; those before `fresh` are known."""

    start: int
    fresh: int
    stop: int
    prompt: int | None


def slide(job: Job, wrap: Callable[[Denoiser, Condition], Denoiser], spread: float = 0.0) -> Tensor:
    """Make the canvas window by window, each with the last frames of those before it as known frames.

    As DiffCollage appendix C.3: 50 % of the sliding window is known. `wrap` conditions the plain denoiser of one
    window; spread: frames of `conditioning.known`. Windows wait for one another, so rounds grow with the length.
    """
    stretches = list(stretches_of(job.graph, job.limits))
    windows = job.windows()
    noise = job.noise(0)
    canvas = torch.zeros_like(noise)
    for number, stretch in enumerate(stretches):
        length, past = stretch.stop - stretch.start, stretch.fresh - stretch.start
        region = Region(tuple(range(length)), stretch.prompt, 1)
        denoise = compose(Graph(length, (region,), job.graph.prompts), windows, job.padding, job.guidance)
        if past:
            denoise = wrap(
                denoise, known(canvas[:, stretch.start : stretch.stop], np.arange(length) < past, spread)
            )
        made = job.sampler(
            denoise,
            noise[:, stretch.start : stretch.stop] * job.sigmas[0],
            job.sigmas,
            partial(_noise, job, stretch.start, length),
            _part(job.progress, number, len(stretches)),
        )
        canvas[:, stretch.fresh : stretch.stop] = made[:, past:]
    return canvas


def stretches_of(graph: Graph, limits: Limits) -> Iterator[Stretch]:
    """The windows that a canvas takes: new frames, under their prompt, behind as many known ones.

    The first holds all of the first prompt if one window does. Windows are as long as the model's longest, or as those
    into which the graph has split the prompt. One that would be shorter than the model's shortest takes more known
    frames.
    """
    runs = [(prompt, len(list(frames))) for prompt, frames in groupby(frame_prompts(graph).tolist())]
    done = 0
    for prompt, length in runs:
        told = None if prompt < 0 else prompt
        longest = _longest(graph, told, range(done, done + length)) or limits.max_frames
        half = longest // 2
        # The first window has nothing known to fill it up.
        first = [min(length, max(half, limits.min_frames))] if not done else []
        rest = _equal(length - sum(first), half) if length > sum(first) else []
        sizes = [length] if not done and length <= longest else [*first, *rest]
        for size in sizes:
            past = min(done, max(size, limits.min_frames - size))
            yield Stretch(done - past, done, done + size, told)
            done += size


def _longest(graph: Graph, prompt: int | None, run: range) -> int:
    """The longest of several windows with one prompt whose middles lie in a run of frames; 0 for one or none."""
    lengths = [
        len(window.frames)
        for window in graph.windows
        if window.prompt == prompt and window.frames[len(window.frames) // 2] in run
    ]
    return max(lengths) if len(lengths) > 1 else 0


def frame_prompts(graph: Graph) -> NDArray[np.int64]:
    """The prompt of each frame (F,), -1 for the null prompt: that of the window in which it lies deepest."""
    depths = depth_weights(graph)
    owner, deepest = np.zeros(graph.n_frames, np.int64), np.zeros(graph.n_frames)
    for row in np.flatnonzero(depths.any(axis=1)):
        frames = graph.index.frames[row, graph.index.valid[row]]
        deeper = depths[row, : len(frames)] >= deepest[frames] - 1e-12  # at equal depth the later window
        owner[frames[deeper]] = row
        deepest[frames[deeper]] = depths[row, : len(frames)][deeper]
    return graph.index.prompts[owner]


def _noise(job: Job, start: int, count: int, step: int) -> Tensor:
    return job.noise(step + 1, start, count)


def _equal(length: int, most: int) -> list[int]:
    """`length` as a sum of nearly equal parts of at most `most`."""
    parts = -(-length // most)
    bounds = [length * k // parts for k in range(parts + 1)]
    return [b - a for a, b in pairwise(bounds)]


def _part(progress: Progress | None, number: int, parts: int) -> Progress | None:
    if progress is None:
        return None
    return lambda done, total: progress(number * total + done, parts * total)
