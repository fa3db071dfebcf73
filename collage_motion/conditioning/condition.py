"""A measurement and its value, checked when it is made: what a conditioned denoiser is held to."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from collage_motion.conditioning.operators import Known, Operator, tensor
from collage_motion.errors import CollageError

SPREAD_S: Final = 0.4
"""Seconds of `spread` with which the default model moved most like real motion: 0.2 was a little worse, 0.8 alike."""

_TOLERANCE = 1e-4  # of the largest number; float32 measurements of float32 canvases stay well below


@dataclass(frozen=True, eq=False)
class Condition:
    """H u = y (DiffCollage appendix C.1): an operator and what it must measure, in the denoiser's own space.

    y: `operator.shape`, for all samples, or with a leading axis (S, ...), one each. Raises CollageError for
    another shape, a number that is not finite, and a y that no canvas has (H H+ y != y: two of its rows
    contradict one another).
    """

    operator: Operator
    y: Tensor

    def __post_init__(self) -> None:
        y = tensor(self.y)
        y = y if y.is_floating_point() else y.to(torch.float32)
        shape = self.operator.shape
        if tuple(y.shape) == shape:
            y = y[None]
        if tuple(y.shape[1:]) != shape or not len(y):
            raise CollageError(
                f"condition: got values of shape {tuple(y.shape)}; this operator measures {shape}, or "
                f"(samples, {', '.join(map(str, shape))})"
            )
        if not y.isfinite().all():
            raise CollageError(
                f"condition: {int((~y.isfinite()).sum())} of its values are not finite; give numbers"
            )
        exact = y.double()
        gap = (self.operator.measure(self.operator.lift(exact)) - exact).abs()
        if gap.max() > _TOLERANCE * max(1.0, float(exact.abs().max())):
            where = tuple(int(i) for i in np.unravel_index(int(gap.argmax()), gap.shape))[1:]
            raise CollageError(
                f"condition: its values contradict one another, at measurement {where} by {gap.max():.3g}; "
                "no motion has them all; remove one"
            )
        object.__setattr__(self, "y", y)

    def residual(self, x0: Tensor) -> Tensor:
        """H x0 - y of canvases (S, F, C); raises CollageError for a canvas of another shape."""
        self.check(x0)
        return self.operator.measure(x0) - self.y.to(x0)

    def replaced(self, x0: Tensor) -> Tensor:
        """H+ y + (I - H+ H) x0: the nearest canvas that has the measurement; a mask's entries exactly.

        Nearest by the operator's own measure: plain distance, or how likely known entries of a `spread` make it.
        """
        self.check(x0)
        return self.operator.lift(self.y.to(x0)) + (x0 - self.operator.lift(self.operator.measure(x0)))

    def check(self, x: Tensor) -> None:
        """Raise CollageError unless x (S, F, C) is a canvas that the operator measures."""
        frames, channels = self.operator.canvas
        if x.ndim != 3 or tuple(x.shape[1:]) != (frames, channels):
            raise CollageError(
                f"condition: got a canvas of shape {tuple(x.shape)}; its operator measures "
                f"(samples, {frames}, {channels})"
            )
        if len(self.y) not in (1, len(x)):
            raise CollageError(
                f"condition: got {len(self.y)} values for {len(x)} samples; give one, or one each"
            )


def known(values: Any, mask: Any, spread: float = 0.0) -> Condition:
    """The condition that entries of a canvas are known: `values` (F, C) or (S, F, C) where `mask` is true.

    mask: (F, C) booleans, or (F,) for whole frames. What `values` holds elsewhere does not matter. spread: frames
    around a known entry that follow it (`Known`, `SPREAD_S`); without, a motion jumps to single poses and back, and
    jerks where a stretch of known frames ends. Raises CollageError for shapes that do not fit, a spread below 0, and
    known values that are not finite.
    """
    mask, values = tensor(mask), tensor(values)
    if mask.ndim == 1 and values.ndim >= 2:
        mask = mask[:, None].expand(-1, values.shape[-1])
    operator = Known(mask, spread)
    if values.ndim not in (2, 3) or tuple(values.shape[-2:]) != operator.canvas:
        raise CollageError(
            f"condition: got values of shape {tuple(values.shape)} for a mask of {operator.canvas}; "
            "allowed: (frames, channels), or (samples, frames, channels)"
        )
    bad = ~values.isfinite() & operator.mask
    if bad.any():
        frame, channel = (int(i) for i in torch.nonzero(bad)[0][-2:])
        raise CollageError(f"condition: the known value at frame {frame}, channel {channel} is not finite")
    return Condition(operator, operator.measure(values))


def together(*conditions: Condition) -> Condition:
    """Several conditions on known entries as one; other operators can be nested, one wrapper in the other.

    The widest spread is that of all. Raises CollageError where two of them say different things of one entry, naming
    frame and channel.
    """
    if not conditions:
        raise CollageError("conditions: got none; give one or more")
    merged = conditions[0]
    for other in conditions[1:]:
        merged = _both(merged, other)
    return merged


def _both(one: Condition, other: Condition) -> Condition:
    a, b = one.operator, other.operator
    if not isinstance(a, Known) or not isinstance(b, Known):
        raise CollageError("conditions: only masks of known entries can be joined; nest the wrappers instead")
    if a.canvas != b.canvas:
        raise CollageError(
            f"conditions: one is of a canvas {a.canvas}, another of {b.canvas}; give them one size"
        )
    if len(one.y) != len(other.y) and 1 not in (len(one.y), len(other.y)):
        raise CollageError(f"conditions: one has {len(one.y)} samples, another {len(other.y)}")
    gap = torch.where(a.mask & b.mask, (one.y - other.y.to(one.y)).abs(), 0.0)
    if gap.max() > _TOLERANCE * max(1.0, float(one.y.abs().max())):
        frame, channel = (int(i) for i in np.unravel_index(int(gap.argmax()), gap.shape)[1:])
        raise CollageError(
            f"conditions: they contradict one another at frame {frame}, channel {channel}, by {gap.max():.3g}; "
            "remove one"
        )
    spread = max(a.spread, b.spread)
    return Condition(Known(a.mask | b.mask, spread), torch.where(a.mask, one.y, other.y.to(one.y)))
