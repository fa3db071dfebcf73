"""Multistep samplers: against their papers' formulas, order of convergence, few steps, errors."""

import re
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from test_samplers import COSINE, EVERY, gaussian_denoiser, gaussian_flow, start, variance_of, wavy
from torch import Tensor

from collage_motion.errors import CollageError
from collage_motion.samplers.ddim import ddim
from collage_motion.samplers.deis import deis
from collage_motion.samplers.dpmpp import dpmpp
from collage_motion.samplers.edm import edm
from collage_motion.samplers.euler import euler
from collage_motion.samplers.gddim import MOST_GAIN, gddim
from collage_motion.samplers.slopes import gain, lagrange_integrals
from collage_motion.schedule import karras_sigmas, spaced_sigmas, vp_scale

MULTISTEP = [
    dpmpp,
    *(partial(deis, order=order) for order in (1, 2, 3)),
    *(partial(gddim, order=order, corrector=on) for order in (1, 2, 3) for on in (False, True)),
]
TIGHT = {"rtol": 1e-9, "atol": 1e-9}


# --- the formulas of the papers, written out ---


def test_dpmpp_is_algorithm_2_in_the_coordinates_of_its_paper() -> None:
    sigmas = spaced_sigmas(COSINE, 12)
    x = start(sigmas[0]).double()
    # Variance-preserving: y = alpha * x with noise alpha * sigma, and lambda = log(1 / sigma).
    alpha = [vp_scale(sigma) for sigma in sigmas]
    lam = [-np.log(sigma) for sigma in sigmas[:-1]]
    y, last = alpha[0] * x, None
    for k, sigma in enumerate(sigmas[:-1]):
        x0 = aim = wavy(y / alpha[k], sigma)
        if k == len(sigmas) - 2:  # h is infinite: sigma_t is 0, alpha_t is 1, and what stays is x0
            y = x0
            break
        h = lam[k + 1] - lam[k]
        if last is not None:
            r = (lam[k] - lam[k - 1]) / h
            aim = (1 + 1 / (2 * r)) * x0 - 1 / (2 * r) * last
        y = alpha[k + 1] * sigmas[k + 1] / (alpha[k] * sigma) * y - alpha[k + 1] * (np.exp(-h) - 1) * aim
        last = x0
    torch.testing.assert_close(dpmpp(wavy, x, sigmas), y, **TIGHT)


def polynomial_step(levels: list[float], start: float, stop: float) -> list[float]:
    """The weights of DEIS by adaptive integration in time, sigma being its tangent."""
    times = np.arctan(levels)

    def weight(j: int) -> float:
        others = np.delete(times, j)
        basis = lambda t: np.prod((t - others) / (times[j] - others)) / np.cos(t) ** 2  # noqa: E731
        return quad(basis, np.arctan(start), np.arctan(stop), epsabs=1e-13, epsrel=1e-13, limit=200)[0]

    return [weight(j) for j in range(len(levels))]


@pytest.mark.parametrize(
    ("levels", "stop"),
    [([12.0, 25.0, 20000.0], 6.0), ([0.08, 0.16, 0.3], 0.0), ([641.0, 20291.0], 0.3), ([3.0], 1.0)],
)
def test_weights_of_slopes_are_the_integrals_of_their_polynomials(levels: list[float], stop: float) -> None:
    found = lagrange_integrals(levels, levels[0], stop)
    assert found == pytest.approx(polynomial_step(levels, levels[0], stop), rel=1e-8)
    assert found.sum() == pytest.approx(stop - levels[0], rel=1e-12)  # a constant slope is integrated exactly


@pytest.mark.parametrize("order", [1, 2, 3])
def test_deis_is_the_weighted_sum_of_past_slopes(order: int) -> None:
    sigmas = spaced_sigmas(COSINE, 12)
    x = begun = start(sigmas[0]).double()
    levels, slopes = [], []
    for sigma, lower in pairwise(sigmas):
        levels, slopes = [sigma, *levels][:order], [(x - wavy(x, sigma)) / sigma, *slopes][:order]
        weights = polynomial_step(levels, sigma, lower)
        x = x + sum(weight * slope for weight, slope in zip(weights, slopes, strict=True))
    torch.testing.assert_close(deis(wavy, begun, sigmas, order=order), x, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("order", [2, 3])
def test_gddim_repeats_each_step_with_the_slope_at_its_end(order: int) -> None:
    sigmas = spaced_sigmas(COSINE, 12)
    x = guess = begun = start(sigmas[0]).double()
    levels, slopes, corrected = [], [], []
    for k, (sigma, lower) in enumerate(pairwise(sigmas)):
        slope = (guess - wavy(guess, sigma)) / sigma
        levels, slopes = [sigma, *levels][:order], [slope, *slopes][:order]
        weights = polynomial_step(levels, levels[1], sigma) if k > 1 else []
        short = np.abs(np.divide(weights, levels[: len(weights)])).sum() <= MOST_GAIN
        corrected.append(k > 1 and short)
        # x is still at the level before; neither the first step nor long ones are corrected
        moves = (weight * slope for weight, slope in zip(weights, slopes, strict=False))
        x = x + sum(moves) if corrected[-1] else guess
        weights = polynomial_step(levels, sigma, lower)
        guess = x + sum(weight * slope for weight, slope in zip(weights, slopes, strict=True))
    assert any(corrected)
    torch.testing.assert_close(gddim(wavy, begun, sigmas, order=order), guess, rtol=1e-7, atol=1e-7)


# --- how they relate ---


@pytest.mark.parametrize("first", [gddim, partial(gddim, corrector=False), deis])
def test_the_first_order_form_is_ddim(first) -> None:
    sigmas = COSINE.sigmas(25)
    x = start(sigmas[0])
    assert torch.equal(first(wavy, x, sigmas, order=1), ddim(wavy, x, sigmas))


@pytest.mark.parametrize("order", [2, 3])
def test_gddim_without_corrector_is_deis(order: int) -> None:
    sigmas = COSINE.sigmas(25)
    x = start(sigmas[0])
    assert torch.equal(
        gddim(wavy, x, sigmas, order=order, corrector=False), deis(wavy, x, sigmas, order=order)
    )
    assert not torch.allclose(gddim(wavy, x, sigmas, order=order), deis(wavy, x, sigmas, order=order))


def test_two_steps_are_enough_to_differ_from_ddim_and_one_is_not() -> None:
    for sampler in (dpmpp, deis, gddim):
        for steps, same in ((1, True), (3, False)):
            sigmas = COSINE.sigmas(steps)
            x = start(sigmas[0])
            assert torch.equal(sampler(wavy, x, sigmas), ddim(wavy, x, sigmas)) == same


# --- exactness and accuracy ---


@pytest.mark.parametrize("sampler", MULTISTEP)
@pytest.mark.parametrize("steps", [1, 2, 3, 50])
def test_a_point_mass_is_hit_exactly_in_float32(sampler, steps: int) -> None:
    sigmas = COSINE.sigmas(steps)
    x = start(sigmas[0])
    point = torch.linspace(-2, 2, 5).expand_as(x)
    assert torch.equal(sampler(lambda x, sigma: point, x, sigmas), point)


@pytest.mark.parametrize("sampler", MULTISTEP)
def test_float32_keeps_up_with_float64_from_a_level_of_20000(sampler) -> None:
    sigmas = COSINE.sigmas(50)
    x = start(sigmas[0])
    gaussian = partial(gaussian_denoiser, mean=0.7, std=1.3)
    low, high = (sampler(gaussian, x.to(dtype), sigmas) for dtype in (torch.float32, torch.float64))
    torch.testing.assert_close(low.double(), high, atol=2e-5, rtol=1e-5)


def graded(count: int) -> list[float]:
    """`count` even steps in the angle of sigma from 10 down to 0, the first ones short and doubling.

    A multistep method is at most of second order in its first step, which must be short not to be all one
    sees: its error here is that of order 3.
    """
    top, step = np.arctan(10.0), np.arctan(10.0) / count
    angles, width = [top], step**1.5
    while width < step:
        angles.append(angles[-1] - width)
        width *= 2
    rest = np.linspace(angles[-1], 0.0, count)
    return [*np.tan([*angles, *rest[1:-1]]).tolist(), 0.0]


def order_of(sampler, counts: list[int], levels) -> float:
    x = start(10.0).double()
    expected = gaussian_flow(x, 10.0, mean=0.4, std=0.8)
    denoise = partial(gaussian_denoiser, mean=0.4, std=0.8)
    errors = [(sampler(denoise, x, levels(count)) - expected).abs().max().item() for count in counts]
    return -np.polyfit(np.log(counts), np.log(errors), 1)[0]


@pytest.mark.parametrize(
    ("sampler", "order"),
    [
        (dpmpp, 2),
        *((partial(deis, order=order), order) for order in (1, 2)),
        (partial(gddim, order=1), 1),
        (partial(gddim, order=2), 2),
        (partial(gddim, order=2, corrector=False), 2),
    ],
)
def test_error_falls_with_the_order_of_the_sampler(sampler, order: int) -> None:
    levels = lambda count: [*karras_sigmas(10.0, 1e-5, count, rho=3.0), 0.0]  # noqa: E731
    assert order_of(sampler, [64, 128, 256, 512], levels) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("sampler", [partial(deis, order=3), partial(gddim, order=3)])
def test_order_three_needs_a_short_first_step(sampler) -> None:
    assert order_of(sampler, [64, 128, 256, 512], graded) == pytest.approx(3, abs=0.25)


def guided(x: Tensor, sigma: float) -> Tensor:
    """What guidance makes of a wide Gaussian towards a narrow one: predictions that answer x twice over."""
    wide, narrow = gaussian_denoiser(x, sigma, 0.0, 1.0), gaussian_denoiser(x, sigma, 0.5, 0.5)
    return wide + 2.5 * (narrow - wide)


def bimodal(x: Tensor, sigma: float) -> Tensor:
    """Posterior mean under two narrow Gaussians at -1 and 1: what a network at a fork looks like."""
    variance = 0.15**2 + sigma**2
    mode = torch.tanh(x / variance)
    return mode + 0.15**2 / variance * (x - mode)


@pytest.mark.parametrize(
    ("denoise", "limits"),
    [
        (partial(gaussian_denoiser, mean=0.4, std=0.8), {dpmpp: 0.03, deis: 0.2, gddim: 0.05}),
        (bimodal, {dpmpp: 0.95, deis: 0.25, gddim: 0.25}),
    ],
)
def test_twenty_steps_from_20000_are_closer_than_those_of_euler(denoise, limits) -> None:
    sigmas = spaced_sigmas(COSINE, 20)
    x = start(sigmas[0], frames=60, features=20).double()
    truth = dpmpp(denoise, x, [*np.geomspace(sigmas[0], 1e-4, 2000).tolist(), 0.0])
    error = lambda sampler: (sampler(denoise, x, sigmas) - truth).square().mean().sqrt().item()  # noqa: E731
    for sampler, limit in limits.items():
        assert error(sampler) < limit * error(euler)


@pytest.mark.parametrize("denoise", [partial(gaussian_denoiser, mean=0.4, std=0.3), bimodal, guided])
@pytest.mark.parametrize("steps", [5, 10])
def test_the_fewest_steps_do_no_worse_than_those_of_ddim(denoise, steps: int) -> None:
    # Longer ones than the polynomials of high order, or a correction at their end, are good for.
    sigmas = spaced_sigmas(COSINE, steps, "karras", 0.01, 80.0)
    x = start(sigmas[0], frames=60, features=20).double()
    truth = dpmpp(denoise, x, [*np.geomspace(sigmas[0], 1e-4, 2000).tolist(), 0.0])
    error = lambda sampler: (sampler(denoise, x, sigmas) - truth).square().mean().sqrt().item()  # noqa: E731
    for sampler in (deis, gddim):
        for order in (2, 3):
            assert error(partial(sampler, order=order)) < error(ddim)


def test_gain_is_that_of_ddim_or_falls_with_the_step() -> None:
    assert gain([3.0], lagrange_integrals([3.0], 3.0, 1.0)) == pytest.approx(2 / 3)
    steps = [(1.0, 1.0 + size, 1.0 + 2 * size) for size in (0.1, 0.01)]
    gains = [gain(levels, lagrange_integrals(levels, levels[1], levels[0])) for levels in steps]
    assert gains[0] / gains[1] == pytest.approx(10, rel=0.2) and gains[0] < MOST_GAIN


@pytest.mark.parametrize("sampler", MULTISTEP)
def test_many_steps_give_the_variance_of_the_data(sampler) -> None:
    assert variance_of(sampler, COSINE.sigmas(500), 1.5) == pytest.approx(1.5**2, rel=0.02)


# --- cost and errors ---


@pytest.mark.parametrize("sampler", EVERY)
def test_a_step_is_one_evaluation_except_with_heun(sampler) -> None:
    calls = []
    sigmas = spaced_sigmas(COSINE, 9)
    x = start(sigmas[0])
    sampler(lambda x, s: calls.append(s) or wavy(x, s), x, sigmas, noise=lambda k: torch.zeros_like(x))
    assert len(calls) == (2 * 9 - 1 if sampler is edm else 9)


@pytest.mark.parametrize("order", [0, 4, 1.5])
def test_other_orders_are_refused(order) -> None:
    for name, sampler in (("deis", deis), ("gddim", gddim)):
        with pytest.raises(
            CollageError, match=re.escape(f"{name} sampler: got order {order}; allowed: 1, 2")
        ):
            sampler(wavy, start(1.0), [1.0, 0.0], order=order)
