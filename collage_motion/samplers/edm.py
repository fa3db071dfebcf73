"""Heun's method with churn, the stochastic sampler of Karras et al."""

from collections.abc import Callable, Sequence
from math import atan, cos, sin, sqrt, tan
from typing import Final

from torch import Tensor

from collage_motion.denoiser import Denoiser
from collage_motion.samplers.steps import Noise, Progress, drawn, steps

MAX_WEIGHT: Final = 2.0
"""The most that a correction counts: what the network changes its mind by is part signal, part error, and in a
step to a small fraction of the level (of five steps the last goes from 0.3 to 0.02) the error would win."""


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
    weigh: Callable[[float, float], float] | None = None,
) -> Tensor:
    """Second-order sampler (Karras et al. 2022, Algorithm 2); two evaluations a step, one in a step to zero.

    Differs in how much the second evaluation counts, see `weight`; in short steps there is no difference. weigh:
    another rule for that; `slopes_weight` is Algorithm 2 to the letter.

    churn: how much noise is added anew over the run, spread over the steps at levels from `churn_from` to
    `churn_to` and drawn `noise_scale` times as strong; 0 is deterministic and needs no `noise`.
    """
    weigh = weigh or weight
    for k, sigma, lower in steps(sigmas, progress):
        gamma = min(churn / (len(sigmas) - 1), sqrt(2.0) - 1.0) if churn_from <= sigma <= churn_to else 0.0
        higher = sigma * (1.0 + gamma)
        if gamma > 0.0:
            x = x + sqrt(higher**2 - sigma**2) * noise_scale * drawn(noise, k, "edm")
        kept = lower / higher
        x0 = denoise(x, higher)
        guess = (1.0 - kept) * x0 + kept * x
        if lower > 0.0:
            # As a difference of predictions, so that x, 20,000 times larger than x0, does not cancel.
            guess = guess + weigh(higher, lower) * (denoise(guess, lower) - x0)
        x = guess
    return x


def slopes_weight(higher: float, lower: float) -> float:
    """What the change of x0 counts by the mean of both slopes (Karras et al. 2022, Algorithm 2)."""
    return 0.5 * (higher / lower - 1.0)


def weight(higher: float, lower: float) -> float:
    """What the change of x0 over a step counts in its correction, for levels sigma above zero.

    Algorithm 2 takes the mean of both slopes, which is `slopes_weight`: 1,700 in a first step
    from level 20,000 to 6, where x0 hardly changes and the way is nearly straight. This one makes every step exact
    for normal data of unit variance, as features are: with levels as angles, sigma = tan(a), it is
    tan((a - b) / 2) / (sin(b) cos(b)), about one half from far above and the same as theirs, to second order, in
    short steps. At most `MAX_WEIGHT`.
    """
    a, b = atan(higher), atan(lower)
    return min(tan((a - b) / 2.0) / (sin(b) * cos(b)), MAX_WEIGHT)
