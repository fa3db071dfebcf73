"""What multistep samplers share: the slopes of past steps, and the integral of the curve through them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from collage_motion.errors import CollageError

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
        """How far the curve through all slopes leads beyond the newest slope alone, from start to stop."""
        if not self.gaps:
            return 0.0
        shares = lagrange_integrals(self.levels, start, stop)[1:]
        bends = [share * gap for share, gap in zip(shares.tolist(), self.gaps, strict=True)]
        return sum(bends[1:], start=bends[0])


def time_of(sigma: NDArray[np.float64]) -> NDArray[np.float64]:
    """The time in which slopes are interpolated: the angle whose tangent is sigma.

    It is the time of the cosine schedule up to a factor, the slopes of a Gaussian of unit variance are a sine
    of it, and it is regular where sigma is without bound and where its logarithm is, so the step to zero is a
    step like the others.
    """
    return np.arctan(sigma)


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
