"""Reconstruction: a gradient step through the denoiser towards the measurement (DiffCollage Algorithm 5)."""

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

from collage_motion.conditioning.condition import Condition
from collage_motion.denoiser import Denoiser
from collage_motion.errors import CollageError

Scaling = Literal["flat", "line", "gaussian", "constant"]
SCALINGS = get_args(Scaling)


def reconstruction(
    denoise: Denoiser,
    condition: Condition,
    weight: float = 1.0,
    scaling: Scaling | Callable[[float], float] = "flat",
    *,
    deviation: float = 1.0,
    measurement_noise: float = 0.0,
    limit: float = 2.0,
) -> Denoiser:
    """The denoiser whose score is moved by -lambda * grad ||H x0(u) - y||^2 (DiffCollage Algorithm 5).

    In terms of x0 a shift of -sigma^2 lambda times the gradient with respect to u, through the network (the
    paper prints the sign the other way round, which climbs). Costs a forward and a backward pass, and the
    memory of all activations of a step. What lambda is, with w = `weight` (0 leaves the denoiser as it is):

    - "flat": w / (2 sigma^2), the reconstruction guidance of Ho et al. 2022 in these coordinates; w below 2. It
      asks little at high noise levels, where the gradient of a trained network is mostly wrong.
    - "line": for each sample w times the step along the gradient after which the shifted x0 fits y best. It needs
      no other number, and is the posterior of a Gaussian with one measurement, or a white one with any mask.
    - "gaussian": w / (2 (v + measurement_noise^2)), v = sigma^2 d^2 / (sigma^2 + d^2), the variance of x0 given
      u in data of standard deviation d = `deviation`; with w = 1 the posterior of white Gaussian data. It relies
      on a gradient that is right at all noise levels.
    - "constant": w, the plain lambda; a function of sigma: w times what it returns.

    In each sample the shift is at most `limit` times the largest number that is missing, H+ (y - H x0).

    Raises CollageError for a weight below zero, an unknown scaling, a canvas of another shape, and a denoiser
    that lets no gradient through.
    """
    if not 0.0 <= weight < float("inf"):
        raise CollageError(f"reconstruction weight: got {weight:g}; allowed: 0 or more, usually 1")
    if not callable(scaling) and scaling not in SCALINGS:
        raise CollageError(
            f"reconstruction scaling: got {scaling!r}; allowed: {', '.join(SCALINGS)}, or a function of sigma"
        )

    def level(sigma: float) -> float:
        """sigma^2 lambda, for all scalings but "line"."""
        if callable(scaling):
            return sigma**2 * scaling(sigma)
        if scaling == "flat":
            return 0.5
        if scaling == "constant":
            return sigma**2
        ratio = sigma**2 / (sigma**2 + deviation**2)
        return 0.5 * sigma**2 / (ratio * deviation**2 + measurement_noise**2)

    def conditioned(x: Tensor, sigma: float) -> Tensor:
        condition.check(x)
        if weight == 0.0:
            return denoise(x, sigma)
        x0, error, gradient = _with_gradient(denoise, condition, x, sigma)
        if scaling == "line":
            gradient, step = _line(condition, error, gradient)
        else:
            step = level(sigma) * torch.ones_like(x0[:, :1, :1])
        size = gradient.abs().amax(dim=(1, 2), keepdim=True)
        most = limit * condition.operator.lift(error).abs().amax(dim=(1, 2), keepdim=True)
        bound = most / torch.where(size > 0, size, torch.ones_like(size))
        return x0 - torch.minimum(weight * step, bound) * gradient

    return conditioned


def _with_gradient(
    denoise: Denoiser, condition: Condition, x: Tensor, sigma: float
) -> tuple[Tensor, Tensor, Tensor]:
    """x0 (S, F, C), H x0 - y, and the gradient of its squared length with respect to x (S, F, C)."""
    if torch.is_inference_mode_enabled():
        raise CollageError("reconstruction needs gradients; call it under torch.no_grad, not inference_mode")
    with torch.enable_grad():
        u = x.detach().clone().requires_grad_()
        x0 = denoise(u, sigma)
        if not x0.requires_grad:
            raise CollageError(
                "reconstruction: the denoiser lets no gradient through; it must not detach its input"
            )
        error = condition.residual(x0)
        (gradient,) = torch.autograd.grad(error.square().sum(), u)
    return x0.detach(), error.detach(), gradient


def _line(condition: Condition, error: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """A direction (S, F, C) along the gradient and the step (S, 1, 1) whose measurement is nearest to `error`."""
    size = gradient.abs().amax(dim=(1, 2), keepdim=True)
    direction = gradient / torch.where(size > 0, size, torch.ones_like(size))  # gradients may be tiny numbers
    seen = condition.operator.measure(direction).flatten(1)
    length = seen.square().sum(1)
    best = (error.flatten(1) * seen).sum(1) / torch.where(length > 0, length, torch.ones_like(length))
    return direction, best.clamp(min=0.0)[:, None, None]
