"""What multistep samplers share: the slopes of past steps, and the integral of the curve through them."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from collage_motion.errors import CollageError

MOST_GAIN: Final = 3.0
"""The most that a polynomial of a step to come may multiply errors of the predictions by, see `gain`."""

_PLACES, _WEIGHTS = np.polynomial.legendre.leggauss(48)


class Slopes:
    """The slopes dx / dsigma = (x - x0) / sigma of the last `order` evaluations, the newest one first.

    Kept are differences from the newest slope, found without ever subtracting x0 from x, which may be 20,000
    times larger: in float32 a point mass then has no differences at all.
    """

    def __init__(self, order: int, sampler: str) -> None:
        if order not in (1, 2, 3):
            raise CollageError(f"{sampler} sampler: got order {order!r}; allowed: 1, 2 or 3")
        self.order = order
        self.levels: list[float] = []
        self.gaps: list[Tensor] = []  # slope at levels[1], levels[2] less that at levels[0]
        self._x0: Tensor | None = None

    def add(self, sigma: float, x0: Tensor, moved: Tensor | float) -> None:
        """Take in the evaluation x0 at level sigma.

        moved: by how much x differs there from where a first-order step from the last evaluation leads.
        """
        if self._x0 is not None:
            turn = (x0 - self._x0 - moved) / sigma
            self.gaps = [turn, *(gap + turn for gap in self.gaps)][: self.order - 1]
        self.levels = [sigma, *self.levels][: self.order]
        self._x0 = x0

    def bend(self, start: float, stop: float) -> Tensor | float:
        """How far the curve through the slopes leads beyond the newest slope alone, from start to stop.

        The curve goes through as many slopes as keep its `gain` at most `MOST_GAIN`: all, in short steps, and in a
        step to zero, whose errors no prediction answers any more.
        """
        for known in range(len(self.levels), 1, -1):
            shares = lagrange_integrals(self.levels[:known], start, stop)
            if stop == 0.0 or gain(self.levels[:known], shares) <= MOST_GAIN:
                bends = [share * gap for share, gap in zip(shares[1:].tolist(), self.gaps, strict=False)]
                return sum(bends[1:], start=bends[0])
        return 0.0

    def gain(self, start: float, stop: float) -> float:
        """The `gain` of the curve through all slopes, from start to stop."""
        return gain(self.levels, lagrange_integrals(self.levels, start, stop))


def time_of(sigma: NDArray[np.float64]) -> NDArray[np.float64]:
    """The time in which slopes are interpolated: the angle whose tangent is sigma.

    It is the time of the cosine schedule up to a factor, the slopes of a Gaussian of unit variance are a sine
    of it, and it is regular where sigma is without bound and where its logarithm is, so the step to zero is a
    step like the others.
    """
    return np.arctan(sigma)


def gain(levels: Sequence[float], shares: NDArray[np.float64]) -> float:
    """How much larger the error of a step can be than that of the predictions x0 which its slopes were made of.

    A slope is (x - x0) / sigma, so its share of the step counts divided by its level: to a step from high noise
    to little the slope at its low end, or a slope extrapolated far, brings many times its error. Below one for
    DDIM, in proportion to the step for all orders.
    """
    return float((np.abs(shares) / np.asarray(levels)).sum())


def lagrange_integrals(levels: Sequence[float], start: float, stop: float) -> NDArray[np.float64]:
    """Integrals over sigma, from start to stop, of the Lagrange polynomials in time through `levels` (n,)."""
    # By Gauss and Legendre in arsinh sigma, in which levels of 20,000 and of 0 are equally smooth.
    half = 0.5 * (np.arcsinh(stop) - np.arcsinh(start))
    places = np.arcsinh(start) + half * (1.0 + _PLACES)
    nodes, times = time_of(np.asarray(levels)), time_of(np.sinh(places))
    weights = half * _WEIGHTS * np.cosh(places)
    out = np.empty(len(nodes))
    for j, node in enumerate(nodes):
        others = np.delete(nodes, j)
        out[j] = weights @ np.prod((times[:, None] - others) / (node - others), axis=1)
    return out
