"""Restarts: part of the way down is gone several times, with fresh noise before each."""

from collections.abc import Sequence
from math import sqrt
from typing import Final

from torch import Tensor

from collage_motion.denoiser import Denoiser
from collage_motion.errors import CollageError
from collage_motion.samplers.steps import Noise, Progress, Sampler, drawn

RESTART_FROM: Final = 3.0
"""Highest noise level to go back to: under more noise it is open what happens at all, and that is to stay."""
RESTART_BELOW: Final = 0.3
"""Level below which the way leads on: there a motion shows through its noise, and neighbours agree or never do."""


def restarted(
    sampler: Sampler, times: int, highest: float = RESTART_FROM, lowest: float = RESTART_BELOW
) -> Sampler:
    """A sampler that goes back up and down again so many times (Xu et al. 2023, Restart Sampling, Algorithm 1).

    The sum of the factors' scores is not the score of their noised product (Du et al. 2023), so one walk down leaves
    windows that do not quite agree; fresh noise and another walk bring them nearer to it. Goes back from the first
    level at or below `lowest` to the first at or below `highest`. Draws noise like a stochastic sampler, one stream a
    restart beside those of the steps. Its run raises CollageError where the levels are too few to repeat any.
    """
    if times == 0:
        return sampler

    def restarting(
        denoise: Denoiser,
        x: Tensor,
        sigmas: Sequence[float],
        noise: Noise | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        top = next((k for k, sigma in enumerate(sigmas) if sigma <= highest), 0)
        low = next((k for k, sigma in enumerate(sigmas) if sigma <= lowest), 0)
        if not top < low or sigmas[low] == 0.0:
            raise CollageError(
                f"restarts: got {times}, and no step between noise levels {highest:g} and {lowest:g} to go again among "
                f"{', '.join(f'{sigma:.2g}' for sigma in sigmas)}; take more steps, or no restarts"
            )
        lift = sqrt(sigmas[top] ** 2 - sigmas[low] ** 2)
        total = len(sigmas) - 1 + times * (low - top)
        used = done = 0
        for leg in range(times + 1):
            if leg:
                x = x + lift * drawn(noise, used, "restarted")
                used += 1
            levels = sigmas[top if leg else 0 : None if leg == times else low + 1]
            x = sampler(denoise, x, levels, later(noise, used), onward(progress, done, total))
            used, done = used + len(levels) - 1, done + len(levels) - 1
        return x

    return restarting


def later(noise: Noise | None, used: int) -> Noise | None:
    """The noise of a leg's steps, after as many streams as are used."""
    return None if noise is None else lambda k: noise(used + k)


def onward(progress: Progress | None, done: int, total: int) -> Progress | None:
    """The progress of a leg, after as many steps as are done of all."""
    return None if progress is None else lambda step, _: progress(done + step, total)
