"""The sampler MDM was published with: draw from the posterior of each step."""

from collections.abc import Sequence
from math import sqrt

from torch import Tensor

from collage_motion.denoiser import Denoiser
from collage_motion.samplers.steps import Noise, Progress, drawn, steps


def ancestral(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Sequence[float],
    noise: Noise | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """DDPM's ancestral sampler with the posterior variance (Ho et al. 2020, eq. 6 and 7; mdm-compat b.2).

    Every step draws x(lower) given x(sigma) and the predicted x0; needs `noise`, and uses none in a step to
    zero.
    """
    for k, sigma, lower in steps(sigmas, progress):
        weight, deviation = posterior(sigma, lower)
        x = (1.0 - weight) * denoise(x, sigma) + weight * x
        if deviation > 0.0:
            x = x + deviation * drawn(noise, k, "ancestral")
    return x


def posterior(sigma: float, lower: float) -> tuple[float, float]:
    """Weight of x (that of x0 is the rest) and standard deviation of x(lower) given x(sigma) and x0.

    Two Gaussian observations of x(lower), from x0 with variance lower^2 and from x(sigma) with sigma^2 -
    lower^2.
    """
    weight = (lower / sigma) ** 2
    return weight, lower * sqrt((1.0 - lower / sigma) * (1.0 + lower / sigma))
