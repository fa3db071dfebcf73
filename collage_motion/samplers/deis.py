"""DEIS: the slopes of past steps, extrapolated in time, and the linear part solved exactly."""

from collections.abc import Sequence

from torch import Tensor

from collage_motion.denoiser import Denoiser
from collage_motion.samplers.slopes import Slopes
from collage_motion.samplers.steps import Noise, Progress, steps


def deis(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Sequence[float],
    noise: Noise | None = None,
    progress: Progress | None = None,
    *,
    order: int = 3,
) -> Tensor:
    """tAB-DEIS (Zhang and Chen 2023, eq. 14 and 15), deterministic; `noise` is not used.

    In these coordinates the exponential factor is one, and a step is the integral over sigma of the
    polynomial in time through the last `order` slopes (the paper's tAB0 to tAB2; 1 is DDIM). The first steps
    have fewer. Raises CollageError for an order other than 1 to 3.
    """
    slopes = Slopes(order, "deis")
    bend: Tensor | float = 0.0
    for _, sigma, lower in steps(sigmas, progress):
        x0 = denoise(x, sigma)
        slopes.add(sigma, x0, moved=bend)
        bend = slopes.bend(sigma, lower)
        kept = lower / sigma
        x = (1.0 - kept) * x0 + kept * x + bend
    return x
