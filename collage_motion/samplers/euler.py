"""Euler's method on the probability-flow equation."""

from collections.abc import Sequence

from torch import Tensor

from collage_motion.denoiser import Denoiser
from collage_motion.samplers.steps import Noise, Progress, steps


def euler(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Sequence[float],
    noise: Noise | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """Deterministic first-order sampler (DiffCollage Algorithm 3); `noise` is not used.

    The step x + (lower - sigma) * (x - x0) / sigma is written as a weighted mean of x0 and x, which loses
    nothing to cancellation between noise levels of 20,000 and 30.
    """
    for _, sigma, lower in steps(sigmas, progress):
        kept = lower / sigma
        x = (1.0 - kept) * denoise(x, sigma) + kept * x
    return x
