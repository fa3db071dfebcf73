"""What all samplers share: the types of their arguments and the walk down the noise levels."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Protocol

from torch import Tensor

from collage_motion.denoiser import Denoiser
from collage_motion.errors import CollageError

Noise = Callable[[int], Tensor]
"""Standard normal noise of the k-th executed step (0 is the noisiest), shaped like x."""
Progress = Callable[[int, int], None]
"""Called after each step with (steps done, steps in all)."""


class Sampler(Protocol):
    """x at noise level sigmas[0] -> x at sigmas[-1], which is x0 when that is zero; shapes (S, F, C)."""

    def __call__(
        self,
        denoise: Denoiser,
        x: Tensor,
        sigmas: Sequence[float],
        noise: Noise | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """Run the sampler."""
        ...


def steps(sigmas: Sequence[float], progress: Progress | None) -> Iterator[tuple[int, float, float]]:
    """Number, noise level before and after of every step; raises CollageError unless the levels fall."""
    if len(sigmas) < 2 or sigmas[-1] < 0 or any(not low < high for high, low in pairwise(sigmas)):
        raise CollageError(
            f"noise levels: got {len(sigmas)} from {', '.join(f'{s:g}' for s in sigmas[:3])}...; "
            "allowed: two or more, strictly falling, none below zero"
        )
    for k, (sigma, lower) in enumerate(pairwise(sigmas)):
        yield k, sigma, lower
        if progress is not None:
            progress(k + 1, len(sigmas) - 1)


def drawn(noise: Noise | None, k: int, sampler: str) -> Tensor:
    """Noise of step k; raises CollageError when a stochastic sampler was given none."""
    if noise is None:
        raise CollageError(
            f"{sampler} sampler: got no source of noise, and this sampler draws some at every step"
        )
    return noise(k)
