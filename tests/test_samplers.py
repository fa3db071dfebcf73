"""Samplers: exactness, order of convergence, variance, noise and errors."""

import re
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from collage_motion.errors import CollageError
from collage_motion.noise import canvas_noise
from collage_motion.samplers import SAMPLERS, get_sampler
from collage_motion.samplers.ancestral import ancestral
from collage_motion.samplers.ddim import ddim
from collage_motion.samplers.edm import MAX_WEIGHT, edm, weight
from collage_motion.samplers.euler import euler
from collage_motion.schedule import DiscreteSchedule, karras_sigmas, spaced_sigmas

COSINE = DiscreteSchedule.cosine(1000)
EVERY = [get_sampler(name) for name in SAMPLERS]


def seeded(seed: int, like: Tensor):
    return lambda k: torch.from_numpy(canvas_noise([seed], like.shape[1], like.shape[2], stream=k + 1)).to(
        like
    )


def start(sigma: float, frames: int = 6, features: int = 5, seed: int = 0) -> Tensor:
    return sigma * torch.from_numpy(canvas_noise([seed], frames, features))


@pytest.mark.parametrize("sampler", EVERY)
@pytest.mark.parametrize("steps", [1, 2, 50])
def test_a_point_mass_is_hit_exactly_in_float32(sampler, steps: int) -> None:
    sigmas = COSINE.sigmas(steps)
    x = start(sigmas[0])
    point = torch.linspace(-2, 2, 5).expand_as(x)
    out = sampler(lambda x, sigma: point, x, sigmas, noise=seeded(0, x))
    assert torch.equal(out, point)


@pytest.mark.parametrize("sampler", EVERY)
def test_the_way_to_a_point_mass_is_exact_at_every_level(sampler) -> None:
    sigmas = COSINE.sigmas(50)[:30]  # stops at a level above zero
    x = start(sigmas[0])
    point = torch.linspace(-2, 2, 5).expand_as(x)
    out = sampler(lambda x, sigma: point, x, sigmas, noise=lambda k: torch.zeros_like(x))
    if sampler is ancestral:  # each step shrinks what is left by the square of the ratio of levels
        expected = point + (x - point) * (sigmas[-1] / sigmas[0]) ** 2
    else:
        expected = point + (x - point) * (sigmas[-1] / sigmas[0])
    torch.testing.assert_close(out, expected, atol=2e-6, rtol=2e-6)


@pytest.mark.parametrize("sampler", [euler, ddim, edm])
def test_float32_keeps_up_with_float64_from_a_level_of_20000(sampler) -> None:
    sigmas = COSINE.sigmas(50)
    x = start(sigmas[0])
    gaussian = partial(gaussian_denoiser, mean=0.7, std=1.3)
    low, high = (sampler(gaussian, x.to(dtype), sigmas) for dtype in (torch.float32, torch.float64))
    torch.testing.assert_close(low.double(), high, atol=2e-5, rtol=1e-5)


def gaussian_denoiser(x: Tensor, sigma: float, mean: float, std: float) -> Tensor:
    """Posterior mean under N(mean, std^2), the closed form every error below is measured against."""
    return mean + std**2 / (std**2 + sigma**2) * (x - mean)


def gaussian_flow(x: Tensor, sigma: float, mean: float, std: float) -> Tensor:
    """Where the probability-flow equation takes x at sigma."""
    return mean + (x - mean) * std / np.sqrt(std**2 + sigma**2)


@pytest.mark.parametrize(("sampler", "order"), [(euler, 1), (ddim, 1), (edm, 2)])
def test_error_falls_with_the_order_of_the_sampler(sampler, order: int) -> None:
    x = start(10.0).double()
    expected = gaussian_flow(x, 10.0, mean=0.4, std=0.8)
    counts, errors = [64, 128, 256, 512], []
    for count in counts:
        sigmas = [*karras_sigmas(10.0, 1e-5, count, rho=3.0), 0.0]
        out = sampler(partial(gaussian_denoiser, mean=0.4, std=0.8), x, sigmas)
        errors.append((out - expected).abs().max().item())
    slope = np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert slope == pytest.approx(-order, abs=0.12)


@pytest.mark.parametrize("levels", [[20291.0, 12.0, 3.0, 1.0, 0.3], [5.0, 0.5], [0.4, 0.1]])
def test_every_step_of_heun_is_exact_for_normal_data_of_unit_variance(levels: list[float]) -> None:
    x = gaussian_flow(start(1.0).double(), 0.0, 0.4, 1.0)  # data, brought to the first level
    x = 0.4 + (x - 0.4) * np.sqrt(1 + levels[0] ** 2)
    out = edm(partial(gaussian_denoiser, mean=0.4, std=1.0), x, levels)
    torch.testing.assert_close(out, 0.4 + (x - 0.4) * np.sqrt((1 + levels[-1] ** 2) / (1 + levels[0] ** 2)))


def test_corrections_weigh_as_in_algorithm_2_in_short_steps_and_are_bounded_in_long_ones() -> None:
    for sigma in (0.05, 1.0, 60.0):
        assert weight(1.001 * sigma, sigma) == pytest.approx(0.5 * 0.001, rel=2e-3)
    assert weight(0.004, 0.001) == pytest.approx(0.5 * (4 - 1), rel=1e-4)  # of little noise, in long ones too
    assert weight(20291.0, 6.0) == pytest.approx(0.5, abs=0.02)
    assert weight(0.3, 0.001) == MAX_WEIGHT


@pytest.mark.parametrize("steps", [10, 20])
def test_few_even_steps_of_heun_beat_as_many_evaluations_of_euler(steps: int) -> None:
    # The first of these steps leads from 20291 to 13 or lower.
    for std in (0.3, 0.8):
        errors = []
        for sampler, count in ((edm, steps), (euler, 2 * steps - 1)):
            sigmas = spaced_sigmas(COSINE, count, sigma_end=0.02)
            x = start(sigmas[0], frames=60, features=20).double()
            out = sampler(partial(gaussian_denoiser, mean=0.4, std=std), x, sigmas)
            errors.append((out - gaussian_flow(x, sigmas[0], 0.4, std)).square().mean().sqrt().item())
        assert errors[0] < 0.5 * errors[1]


def variance_of(sampler, sigmas: list[float], std: float, **options: float) -> float:
    """Variance of the samples in closed form: a linear run has the sum of the squared gains of its noises."""
    rows = torch.eye(len(sigmas), dtype=torch.float64)[
        :, :, None
    ]  # a sample each, with one unit of one noise
    denoise = partial(gaussian_denoiser, mean=0.0, std=std)
    ends = sampler(
        denoise, sigmas[0] * rows[:, :1], sigmas, noise=lambda k: rows[:, k + 1 : k + 2], **options
    )
    return ends.square().sum().item()


@pytest.mark.parametrize(
    ("sampler", "options"),
    [(euler, {}), (ddim, {"eta": 0.5}), (ddim, {"eta": 1.0}), (ancestral, {}), (edm, {"churn": 10.0})],
)
def test_samples_have_the_variance_the_method_promises(sampler, options: dict[str, float]) -> None:
    sigmas, std = COSINE.sigmas(20), 1.5
    x = start(sigmas[0], frames=400, features=100, seed=5).double()
    denoise = partial(gaussian_denoiser, mean=-0.5, std=std)
    out = sampler(denoise, x, sigmas, noise=seeded(5, x), **options)
    promised = variance_of(sampler, sigmas, std, **options)
    assert out.var().item() / promised == pytest.approx(1, abs=4 * np.sqrt(2 / out.numel()))
    assert out.mean().item() == pytest.approx(-0.5, abs=4 * np.sqrt(promised / out.numel()) + 1e-3)


@pytest.mark.parametrize(
    ("sampler", "options"),
    [(euler, {}), (ddim, {"eta": 0.5}), (ancestral, {}), (edm, {}), (edm, {"churn": 40.0})],
)
def test_many_steps_give_the_variance_of_the_data(sampler, options: dict[str, float]) -> None:
    options = options | ({"noise_scale": 1.0} if sampler is edm else {})
    assert variance_of(sampler, COSINE.sigmas(500), 1.5, **options) == pytest.approx(1.5**2, rel=0.02)


def wavy(x: Tensor, sigma: float) -> Tensor:
    """A denoiser that is not linear in x."""
    return torch.tanh(x / (1 + sigma**2)) + 0.1 * torch.sin(x)


def test_ddim_without_noise_is_euler() -> None:
    sigmas = COSINE.sigmas(25)
    x = start(sigmas[0])
    assert torch.equal(ddim(wavy, x, sigmas), euler(wavy, x, sigmas))


def test_ddim_with_all_noise_is_the_ancestral_sampler() -> None:
    sigmas = COSINE.sigmas(25)
    x = start(sigmas[0]).double()
    one, other = (f(wavy, x, sigmas, noise=seeded(1, x)) for f in (partial(ddim, eta=1.0), ancestral))
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_a_chunk_of_frames_draws_the_noise_of_the_whole() -> None:
    sigmas = COSINE.sigmas(10)
    whole = start(sigmas[0], frames=12)
    noise = seeded(3, whole)
    out = ancestral(wavy, whole, sigmas, noise=noise)
    part = ancestral(wavy, whole[:, 4:9], sigmas, noise=lambda k: noise(k)[:, 4:9])
    assert torch.equal(out[:, 4:9], part)


@pytest.mark.parametrize("sampler", EVERY)
def test_progress_counts_every_step_and_denoisers_see_every_level(sampler) -> None:
    sigmas = spaced_sigmas(COSINE, 4)
    seen: list[tuple[int, int]] = []
    levels: list[float] = []

    def denoise(x: Tensor, sigma: float) -> Tensor:
        levels.append(sigma)
        return x * 0

    x = start(sigmas[0])
    sampler(denoise, x, sigmas, noise=seeded(0, x), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert sorted(set(levels), reverse=True) == sigmas[:-1]


def test_churn_above_the_last_level_is_told_to_the_denoiser() -> None:
    levels: list[float] = []
    x = start(2.0)
    edm(lambda x, s: levels.append(s) or x * 0, x, [2.0, 1.0, 0.0], noise=seeded(0, x), churn=100.0)
    assert levels == pytest.approx([2 * np.sqrt(2), 1.0, np.sqrt(2)])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: get_sampler("heun"), f"sampler: got 'heun'; allowed: {', '.join(SAMPLERS)}"),
        (lambda x: ddim(wavy, x, [2.0, 1.0, 0.0], eta=0.5), "ddim sampler: got no source of noise"),
        (lambda x: ancestral(wavy, x, [2.0, 1.0, 0.0]), "ancestral sampler: got no source of noise"),
        (
            lambda x: ddim(wavy, x, [10.0, 1.0], eta=1.5),
            "got eta 1.5; allowed in a step from noise level 10 to 1: 0",
        ),
        (lambda x: ddim(wavy, x, [10.0, 1.0], eta=-0.1), "got eta -0.1; allowed"),
        (
            lambda x: euler(wavy, x, [1.0, 1.0, 0.0]),
            "noise levels: got 3 from 1, 1, 0...; allowed: two or more",
        ),
        (lambda x: euler(wavy, x, [1.0]), "noise levels: got 1 from 1"),
        (lambda x: euler(wavy, x, [1.0, -1.0]), "none below zero"),
    ],
)
def test_errors_say_what_is_allowed(call, message: str) -> None:
    with pytest.raises(CollageError, match=re.escape(message)):
        call(start(1.0))
