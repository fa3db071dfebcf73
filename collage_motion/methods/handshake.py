"""The hand-shake with a refining second take: DoubleTake (Shafir et al. 2024, PriorMDM)."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from collage_motion.compose import compose, weighted
from collage_motion.conditioning import noised, remaining
from collage_motion.graph import Graph, Region
from collage_motion.methods.job import Job
from collage_motion.weights import depth_weights

STRENGTH = 0.9
"""Share of the steps that the second take runs through; PriorMDM leaves out 100 of 1,000."""
MARGIN = 40
"""Frames on each side of an overlap that the second take reads. PriorMDM's reads both neighbours whole; here 80
frames made seams no smoother than 40 and took a seventh longer."""
SOFT = 10
"""Frames on each side of an overlap over which the second take fades in and out: those of PriorMDM's own commands.
Its code falls back to 20, which made no difference here."""


@dataclass(frozen=True)
class Transition:
    """An overlap with its surroundings: canvas frames (T,), and how much of each is made anew (T,), 0 to 1."""

    frames: NDArray[np.int64]
    fresh: NDArray[np.float64]
    prompt: int | None


def handshake(job: Job) -> Tensor:
    """Two takes: windows that agree on their overlaps, then the overlaps again with what surrounds them.

    First take: in every step an overlap is the linear passage from one window's prediction to the next one's.
    Second take: each overlap with `MARGIN` frames on both sides goes back to noise by SDEdit and is made anew,
    under its variable's prompt, while its surroundings are held by a soft mask. Two rounds of the network for
    each step of the schedule, less what the second take leaves out. Differs from PriorMDM in the transition's
    prompt, which here is what the graph tells the overlap. Raises CollageError for a conditioned job.
    """
    job.refuse("handshake")
    transitions = [transition(job.graph, region, job.limits.max_frames) for region in job.graph.variables]
    steps = len(job.sigmas) - 1
    total = steps + (len(remaining(job.sigmas, STRENGTH)) - 1 if transitions else 0)
    take = job.sample(
        weighted(job.graph, job.windows(), depth_weights(job.graph), job.padding, job.guidance),
        partial(_told, job, 0, total),
    )
    return second_take(job, take, transitions, partial(_told, job, steps, total)) if transitions else take


def _told(job: Job, before: int, total: int, done: int, _: int) -> None:
    if job.progress is not None:
        job.progress(before + done, total)


def transition(graph: Graph, region: Region, most: int) -> Transition:
    """The surroundings of an overlap within the canvas and a window of `most` frames, with a soft mask."""
    first, length = region.frames[0], len(region.frames)
    room = max(0, min(most, graph.n_frames) - length)
    before = min(MARGIN, room // 2)
    after = min(MARGIN, room - room // 2)
    if not graph.cyclic:
        before, after = min(before, first), min(after, graph.n_frames - first - length)
    away = np.concatenate((np.arange(before, 0, -1), np.zeros(length), np.arange(1, after + 1)))
    frames = (first - before + np.arange(before + length + after)) % graph.n_frames
    return Transition(frames, np.clip(1.0 - away / (SOFT + 1), 0.0, 1.0), region.prompt)


def second_take(job: Job, take: Tensor, transitions: list[Transition], progress: partial[None]) -> Tensor:
    """The first take (S, F, C) with its transitions made anew, all of them in one batch."""
    frames = torch.tensor(np.concatenate([t.frames for t in transitions]), device=take.device)
    fresh = torch.tensor(np.concatenate([t.fresh for t in transitions]), device=take.device)[:, None].to(take)
    ends = np.cumsum([0, *(len(t.frames) for t in transitions)]).tolist()
    regions = tuple(
        Region(tuple(range(a, b)), t.prompt, 1) for a, b, t in zip(ends, ends[1:], transitions, strict=False)
    )
    # The transitions lie side by side on a canvas of their own: the sum of windows that share nothing.
    side = compose(Graph(ends[-1], regions, job.graph.prompts), job.windows(), job.padding, job.guidance)
    held = take[:, frames]

    def denoise(x: Tensor, sigma: float) -> Tensor:
        return held + fresh * (side(x, sigma) - held)

    stream = len(job.sigmas)  # noise that the first take did not use
    x, sigmas = noised(held, job.sigmas, STRENGTH, job.noise(stream)[:, frames])
    made = job.sampler(denoise, x, sigmas, lambda k: job.noise(stream + 1 + k)[:, frames], progress)
    # Where transitions meet, each changes its share.
    crowd = torch.zeros_like(take[0, :, :1]).index_add_(0, frames, fresh).clamp(min=1.0)
    return take.clone().index_add_(1, frames, (made - held) / crowd[frames])
