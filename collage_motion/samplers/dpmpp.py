"""DPM-Solver++ (2M): second order from the last two predictions of x0."""

from collections.abc import Sequence
from math import log

from torch import Tensor

from collage_motion.denoiser import Denoiser
from collage_motion.samplers.steps import Noise, Progress, steps


def dpmpp(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Sequence[float],
    noise: Noise | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """DPM-Solver++ (2M) (Lu et al. 2022, Algorithm 2), deterministic; `noise` is not used.

    Between two levels x0 is taken to go on as it went over the step before, linearly in log sigma, and the
    value half-way stands for the step. The first step has no past and the step to zero no end in log sigma;
    both are of first order.
    """
    before: tuple[float, Tensor] | None = None
    for _, sigma, lower in steps(sigmas, progress):
        x0 = aim = denoise(x, sigma)
        if before is not None and lower > 0.0:
            higher, last = before
            aim = x0 + 0.5 * log(sigma / lower) / log(higher / sigma) * (x0 - last)
        kept = lower / sigma
        x = (1.0 - kept) * aim + kept * x
        before = sigma, x0
    return x
