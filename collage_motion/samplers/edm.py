"""Heun's method with churn, the stochastic sampler of Karras et al."""

from collections.abc import Sequence
from math import sqrt

from torch import Tensor

from collage_motion.denoiser import Denoiser
from collage_motion.samplers.steps import Noise, Progress, drawn, steps


def edm(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Sequence[float],
    noise: Noise | None = None,
    progress: Progress | None = None,
    *,
    churn: float = 0.0,
    churn_from: float = 0.05,
    churn_to: float = 50.0,
    noise_scale: float = 1.003,
) -> Tensor:
    """Second-order sampler (Karras et al. 2022, Algorithm 2); two evaluations a step, one in a step to zero.

    churn: how much noise is added anew over the run, spread over the steps at levels from `churn_from` to
    `churn_to` and drawn `noise_scale` times as strong; 0 is deterministic and needs no `noise`.
    """
    for k, sigma, lower in steps(sigmas, progress):
        gamma = min(churn / (len(sigmas) - 1), sqrt(2.0) - 1.0) if churn_from <= sigma <= churn_to else 0.0
        higher = sigma * (1.0 + gamma)
        if gamma > 0.0:
            x = x + sqrt(higher**2 - sigma**2) * noise_scale * drawn(noise, k, "edm")
        kept = lower / higher
        x0 = denoise(x, higher)
        guess = (1.0 - kept) * x0 + kept * x
        if lower > 0.0:
            # The mean of both slopes, written so that x, 20,000 times larger than x0, does not cancel.
            guess = guess + 0.5 * (higher / lower - 1.0) * (denoise(guess, lower) - x0)
        x = guess
    return x
