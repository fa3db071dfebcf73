"""Replacement: every prediction is given the measurement it should have (DiffCollage Algorithm 4)."""

from torch import Tensor

from collage_motion.conditioning.condition import Condition
from collage_motion.denoiser import Denoiser


def replacement(denoise: Denoiser, condition: Condition) -> Denoiser:
    """The denoiser whose x0 is projected onto H x0 = y: H+ y + (I - H+ H) x0 (DiffCollage Algorithm 4).

    A run down to noise level zero ends with the measurement fulfilled, known entries exactly. No gradient.
    Raises CollageError for a canvas of another shape.
    """

    def conditioned(x: Tensor, sigma: float) -> Tensor:
        condition.check(x)
        return condition.replaced(denoise(x, sigma))

    return conditioned
