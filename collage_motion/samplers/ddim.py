"""DDIM with any share of noise."""

from collections.abc import Sequence
from math import sqrt

from torch import Tensor

from collage_motion.denoiser import Denoiser
from collage_motion.errors import CollageError
from collage_motion.samplers.steps import Noise, Progress, drawn, steps


def ddim(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Sequence[float],
    noise: Noise | None = None,
    progress: Progress | None = None,
    *,
    eta: float = 0.0,
) -> Tensor:
    """DDIM (Song et al. 2021, eq. 12; mdm-compat b.4): eta 0 is Euler, eta 1 the ancestral sampler.

    In these coordinates a step keeps x0, shrinks the noise in x to the level sqrt(lower^2 - fresh^2), and
    adds fresh noise of standard deviation fresh = eta * lower * sqrt(1 - lower^2 / sigma^2). `noise` is
    needed when eta > 0. Raises CollageError for an eta below 0, or so large that fresh exceeds lower.
    """
    for k, sigma, lower in steps(sigmas, progress):
        kept, fresh = coefficients(sigma, lower, eta)
        x = (1.0 - kept) * denoise(x, sigma) + kept * x
        if fresh > 0.0:
            x = x + fresh * drawn(noise, k, "ddim")
    return x


def coefficients(sigma: float, lower: float, eta: float) -> tuple[float, float]:
    """Weight of x (that of x0 is the rest) and standard deviation of the fresh noise in a step."""
    ratio = lower / sigma
    most = sqrt((1.0 - ratio) * (1.0 + ratio))
    share = eta * most
    if not 0.0 <= share <= 1.0:
        raise CollageError(
            f"ddim sampler: got eta {eta:g}; allowed in a step from noise level {sigma:g} to {lower:g}: "
            f"0 (no noise) to {1.0 / most:g}; 1 is the ancestral sampler"
        )
    return ratio * sqrt((1.0 - share) * (1.0 + share)), lower * share
