"""gDDIM with several steps: predictor and corrector over the slopes of past steps."""

from collections.abc import Sequence
from typing import Final

from torch import Tensor

from collage_motion.denoiser import Denoiser
from collage_motion.samplers.slopes import Slopes
from collage_motion.samplers.steps import Noise, Progress, steps

MOST_GAIN: Final = 0.75
"""The most by which a correction may multiply errors of the predictions, see `slopes.gain`. It answers them with a
move of x to which the next prediction answers again, under guidance more strongly: from one on a few long steps lead
away from all motion."""


def gddim(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Sequence[float],
    noise: Noise | None = None,
    progress: Progress | None = None,
    *,
    order: int = 2,
    corrector: bool = True,
) -> Tensor:
    """Multistep predictor-corrector gDDIM (Zhang, Tao and Chen 2023), deterministic; `noise` is not used.

    On a process with equal noise in all directions, as here, the predictor alone is DEIS of that order, and
    order 1 is DDIM. The corrector, from order 2 on, repeats each step with the slope at its end as one of the
    `order` slopes of the polynomial; it is the slope that the next step evaluates anyway, so a step stays one
    evaluation. Steps so long that it would enlarge errors (`MOST_GAIN`) are not corrected. Raises
    CollageError for an order other than 1 to 3.
    """
    slopes = Slopes(order, "gddim")
    bend: Tensor | float = 0.0
    moved: Tensor | float = 0.0
    higher = 0.0
    for k, sigma, lower in steps(sigmas, progress):
        x0 = denoise(x, sigma)
        slopes.add(sigma, x0, moved)
        moved = 0.0
        # The first step leads down from pure noise: long, nearly straight, and worse when corrected.
        if corrector and order > 1 and k > 1 and slopes.gain(higher, sigma) <= MOST_GAIN:
            moved = (higher - sigma) * slopes.gaps[0] + slopes.bend(higher, sigma) - bend
        bend = slopes.bend(sigma, lower)
        moved = moved + bend
        kept = lower / sigma
        x = (1.0 - kept) * x0 + kept * x + moved
        higher = sigma
    return x
