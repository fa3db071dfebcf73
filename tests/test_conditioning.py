"""Laws of conditioning, on Gaussian data where the answer is known in closed form."""

import re

import numpy as np
import pytest
import torch
from gaussian_fields import gaussian, levels, markov, stationary_windows
from small_graphs import chain_windows, graph_of
from torch import Tensor

from collage_motion.compose import compose
from collage_motion.conditioning import (
    SCALINGS,
    Condition,
    Dense,
    Known,
    OverTime,
    known,
    low_pass,
    noised,
    reconstruction,
    remaining,
    replacement,
    together,
)
from collage_motion.errors import CollageError
from collage_motion.samplers.ddim import ddim
from collage_motion.samplers.euler import euler

FRAMES, CHANNELS = 6, 2
SIGMA = 0.7


def noise(samples: int = 3, seed: int = 0, frames: int = FRAMES, channels: int = CHANNELS) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(samples, frames, channels, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dense("abc", 2, 2), "numbers: got 'abc'; allowed: arrays"),
        (
            lambda: Dense([[1.0], [1.0, 2.0]], 2, 2),
            r"numbers: got \[\[1.0\], \[1.0, 2.0\]\]; allowed: arrays",
        ),
        (lambda: low_pass(8, 2, 3.5), "low-pass: got 3.5 components of 8 frames; allowed: whole numbers"),
        (lambda: OverTime(np.eye(3), 4, [1.5]), r"got channels \[1.5\]; allowed: different ones"),
    ],
)
def test_things_that_are_no_numbers_are_named(make, message: str) -> None:
    with pytest.raises(CollageError, match=message):
        make()


def operators():
    rng = np.random.default_rng(3)
    half = rng.normal(size=(3, FRAMES))
    yield Known(rng.random((FRAMES, CHANNELS)) < 0.5)
    yield low_pass(FRAMES, CHANNELS, 3)
    yield OverTime(np.vstack((half, half[:1] + half[1:2])), CHANNELS, [1])  # a row that is the sum of two
    yield Dense(rng.normal(size=(4, FRAMES * CHANNELS)), FRAMES, CHANNELS)


@pytest.mark.parametrize("operator", list(operators()), ids=lambda o: type(o).__name__)
def test_operators_are_linear_and_lift_is_their_pseudo_inverse(operator) -> None:
    x, z = noise(), noise(seed=1)
    y = operator.measure(x)
    assert y.shape[1:] == operator.shape
    torch.testing.assert_close(operator.measure(x - 2 * z), y - 2 * operator.measure(z))
    torch.testing.assert_close(operator.measure(operator.lift(y)), y)  # H H+ H = H
    lifted = operator.lift(y)
    torch.testing.assert_close(operator.lift(operator.measure(lifted)), lifted)  # H+ H H+ = H+
    # H+ H is symmetric: what it leaves of x is orthogonal to what it takes away.
    assert abs(float((lifted * (x - lifted)).sum())) < 1e-9


def matern(frames: int, length: float) -> Tensor:
    """Covariance (F, F) of a process that has a velocity and no acceleration."""
    away = (torch.arange(frames)[:, None] - torch.arange(frames)).abs().double() * 3**0.5 / length
    return (1 + away) * torch.exp(-away)


@pytest.mark.parametrize("length", [0.7, 3.0, 40.0])
def test_a_spread_is_the_mean_of_a_gaussian_given_what_is_known(length: float) -> None:
    mask = (
        torch.tensor([[1, 1, 0, 1], [0, 1, 0, 1], [0, 1, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0]]) > 0
    )
    values, x0, covariance = noise(channels=4), noise(seed=1, channels=4), matern(FRAMES, length)
    condition = known(values, mask.numpy(), length)
    wanted = x0.clone()
    for channel in range(4):
        at = mask[:, channel]
        if at.any():
            gain = covariance[:, at] @ torch.linalg.inv(covariance[at][:, at])
            wanted[..., channel] += (values - x0)[:, at, channel] @ gain.T
    out = condition.replaced(x0)
    torch.testing.assert_close(out, wanted, atol=1e-6, rtol=1e-6)
    assert torch.equal(out[:, mask], values[:, mask]) and torch.equal(out[..., 2], x0[..., 2])
    # A right inverse, and a projection: what has the measurement is left alone.
    torch.testing.assert_close(condition.replaced(out), out)
    assert not condition.residual(condition.operator.lift(condition.y)).any()


def test_a_pose_with_a_spread_is_no_spike() -> None:
    """A single frame far from what the model expects: its neighbours follow it, and those far away do not."""
    values = torch.zeros(1, 60, 1)
    values[:, 30] = 3.0
    plain = gaussian(0.01 * torch.eye(60, dtype=torch.float64))
    at = np.arange(60) == 30
    spike, spread = (
        euler(replacement(plain, known(values, at, length)), noise(frames=60, channels=1), levels(12))[
            0, :, 0
        ]
        for length in (0.0, 8.0)
    )
    assert spike[30] == spread[30] == 3.0
    assert spike.diff().abs().max() > 2.5 > 0.7 > spread.diff().abs().max()
    torch.testing.assert_close(spike[:5], spread[:5], atol=0.15, rtol=0.0)


def test_low_pass_keeps_slow_and_drops_fast() -> None:
    operator = low_pass(64, 1, 9)
    place = (torch.arange(64, dtype=torch.float64) + 0.5) * torch.pi / 64
    slow, fast = (torch.cos(k * place)[None, :, None] for k in (8, 9))
    torch.testing.assert_close(operator.lift(operator.measure(slow)), slow)
    assert operator.measure(fast).abs().max() < 1e-12


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("composed", [False, True])
def test_replacement_ends_with_the_known_entries_exactly(dtype: torch.dtype, composed: bool) -> None:
    if composed:
        graph = graph_of(chain_windows([4, 4], [2]), [0, 0])
        denoise = compose(graph, stationary_windows())
    else:
        denoise = gaussian(markov(FRAMES).to(dtype))
    values, mask = noise(seed=5).to(dtype), np.random.default_rng(0).random((FRAMES, CHANNELS)) < 0.4
    held = replacement(denoise, known(values, mask))
    for sampler in (euler, ddim):
        out = sampler(held, noise().to(dtype) * 60, levels(12))
        assert torch.equal(out[:, mask], values[:, mask])
        assert not torch.equal(out[:, ~mask], values[:, ~mask])


@pytest.mark.parametrize("operator", list(operators()), ids=lambda o: type(o).__name__)
def test_replacement_fulfils_any_measurement_and_changes_nothing_else(operator) -> None:
    target = operator.measure(noise(seed=9))
    condition = Condition(operator, target)
    out = euler(replacement(gaussian(markov(FRAMES)), condition), noise() * 60, levels(12))
    torch.testing.assert_close(operator.measure(out), target)
    x, plain = noise(seed=2), gaussian(markov(FRAMES))
    held = replacement(plain, condition)(x, SIGMA)
    # What the operator does not see is the plain prediction's.
    seen = lambda u: operator.lift(operator.measure(u))  # noqa: E731
    torch.testing.assert_close(held - seen(held), plain(x, SIGMA) - seen(plain(x, SIGMA)))


def exact_score(x: Tensor, sigma: float, covariance: Tensor, seen: Tensor, y: Tensor, tau: float) -> Tensor:
    """x0 of the true posterior given y = seen x0 + tau * noise, one channel; x (S, F, 1)."""
    prior = torch.linalg.inv(covariance) + seen.T @ seen / tau**2
    posterior = torch.linalg.inv(prior)
    mean = posterior @ seen.T @ y / tau**2
    return mean + gaussian(posterior)(x - mean, sigma)


@pytest.mark.parametrize("sigma", [0.05, 0.7, 9.0])
def test_gaussian_scaling_is_the_posterior_of_white_data(sigma: float) -> None:
    tau, deviation = 0.3, 1.6
    mask = torch.tensor([True, False, True, True, False, False])
    y = noise(1, seed=4, channels=1)
    held = reconstruction(
        gaussian(deviation**2 * torch.eye(FRAMES, dtype=torch.float64)),
        known(y, mask.numpy()),
        scaling="gaussian",
        deviation=deviation,
        measurement_noise=tau,
    )
    x = noise(seed=6, channels=1) * sigma
    covariance = deviation**2 * torch.eye(FRAMES, dtype=torch.float64)
    seen = torch.eye(FRAMES, dtype=torch.float64)[mask]
    torch.testing.assert_close(held(x, sigma), exact_score(x, sigma, covariance, seen, y[0, mask], tau))


@pytest.mark.parametrize("sigma", [0.05, 0.7, 9.0])
def test_line_and_a_function_are_the_posterior_of_one_measurement(sigma: float) -> None:
    covariance, tau = markov(FRAMES), 1e-4
    row = torch.tensor([[0.5, 0.0, 1.0, -1.0, 0.0, 2.0]], dtype=torch.float64)
    y = torch.tensor([[1.7]], dtype=torch.float64)

    def exact_lambda(sigma: float) -> float:
        spread = covariance - gaussian(covariance)(covariance[None], sigma)[0]  # of x0 given x
        return 0.5 / float(row @ spread @ row.T + tau**2)

    condition = Condition(OverTime(row, 1), y)
    x = noise(seed=6, channels=1) * sigma
    wanted = exact_score(x, sigma, covariance, row, y, tau)
    for scaling in ("line", exact_lambda):
        held = reconstruction(gaussian(covariance), condition, scaling=scaling, limit=100.0)
        torch.testing.assert_close(held(x, sigma), wanted, atol=1e-5, rtol=1e-5)


def test_reconstruction_samples_the_posterior_in_the_limit_of_small_steps() -> None:
    # One frame of a Gauss-Markov chain is known: the others' mean and covariance given it are known.
    covariance, y = markov(FRAMES), 1.5
    mask = np.arange(FRAMES) == 1
    held = reconstruction(gaussian(covariance), known(torch.full((FRAMES, 1), y), mask), scaling="line")
    x = noise(4000, channels=1)
    out = euler(held, x * 60, levels(150, bottom=0.003))[..., 0]
    rest = torch.tensor(~mask)
    gain = covariance[rest, 1]
    left = covariance[rest][:, rest] - gain[:, None] * gain
    torch.testing.assert_close(out[:, 1], torch.full_like(out[:, 1], y), atol=1e-6, rtol=0)
    torch.testing.assert_close(out[:, rest].mean(0), y * gain, atol=0.06, rtol=0)  # 4 standard errors
    torch.testing.assert_close(torch.cov(out[:, rest].T), left, atol=0.1, rtol=0)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_more_weight_draws_nearer_to_the_measurement(scaling) -> None:
    graph = graph_of(chain_windows([4, 4], [2]), [0, 0])
    denoise = compose(graph, stationary_windows())
    condition = known(torch.full((FRAMES, CHANNELS), 2.0), np.arange(FRAMES) < 2)
    x = noise(seed=8)
    misses = []
    for weight in (0.0, 0.2, 0.5):
        held = reconstruction(denoise, condition, weight, scaling, measurement_noise=0.5)
        out = held(x, SIGMA)
        misses.append(float(condition.residual(out).norm()))
        if weight == 0.0:
            torch.testing.assert_close(out, denoise(x, SIGMA), rtol=0, atol=0)
    assert misses[0] > misses[1] > misses[2]


def test_reconstruction_takes_each_sample_by_itself() -> None:
    values = noise(seed=5)
    x = noise(seed=2)
    together_ = reconstruction(gaussian(markov(FRAMES)), known(values, np.arange(FRAMES) < 3))(x, SIGMA)
    for k in range(3):
        alone = reconstruction(gaussian(markov(FRAMES)), known(values[k], np.arange(FRAMES) < 3))
        torch.testing.assert_close(together_[k : k + 1], alone(x[k : k + 1], SIGMA))


def test_a_step_has_bounds_where_the_network_hardly_listens() -> None:
    # A gradient that is almost nothing at the measured frame must not blow up the others.
    matrix = torch.tensor([[1e-6, 1.0], [1.0, 1.0]], dtype=torch.float64)
    condition = known(torch.tensor([[1.0], [0.0]]), [True, False])
    x = torch.zeros(1, 2, 1, dtype=torch.float64)
    for scaling in (*SCALINGS, lambda sigma: 1e9):
        held = reconstruction(lambda x, sigma: matrix @ x, condition, scaling=scaling)
        assert held(x, SIGMA).abs().max() <= 2.0
        assert held(x, 1e6).abs().max() <= 2.0


def test_conditions_on_known_entries_join() -> None:
    values = noise(1, seed=3)[0]
    one = known(values, np.arange(FRAMES) < 3)
    other = known(values, np.arange(FRAMES) >= 2)
    torch.testing.assert_close(together(one, other).replaced(noise()), values.expand(3, -1, -1))
    wide = together(known(values, np.arange(FRAMES) == 2, 3.0), known(values, np.arange(FRAMES) == 4))
    torch.testing.assert_close(
        wide.replaced(noise()), known(values, np.isin(np.arange(FRAMES), (2, 4)), 3.0).replaced(noise())
    )
    with pytest.raises(CollageError, match=r"contradict one another at frame 2, channel 1, by 0\.5"):
        changed = values.clone()
        changed[2, 1] += 0.5
        together(one, known(changed, np.arange(FRAMES) >= 2))
    with pytest.raises(CollageError, match="only masks of known entries"):
        together(one, Condition(low_pass(FRAMES, CHANNELS, 1), torch.zeros(1, CHANNELS)))


def test_what_is_wrong_is_said_in_one_line() -> None:
    row = np.ones((1, FRAMES))
    cases = [
        (lambda: Known(np.ones((2, 2))), "allowed: (frames, channels) of booleans"),
        (lambda: Known(np.zeros((2, 2), bool)), "it names none"),
        (
            lambda: Known(np.ones((2, 2), bool), -1),
            "spread of known entries: got -1; allowed: frames, 0 or more",
        ),
        (lambda: Known(np.ones((2, 2), bool), True), "spread of known entries: got True"),
        (lambda: known(np.ones((2, 2)), np.ones((2, 2), bool), float("nan")), "got nan; allowed: frames"),
        (lambda: OverTime(np.ones(3), 2), "got shape (3,); allowed: (measurements, frames)"),
        (lambda: OverTime(row, 2, [2]), "got channels [2]; allowed: different ones from 0 to 1"),
        (lambda: OverTime(row * np.nan, 2), "6 of its numbers are not finite"),
        (
            lambda: Dense(np.ones((2, 5)), 3, 2),
            "got shape (2, 5); allowed: (measurements, 3 frames x 2 channels = 6)",
        ),
        (lambda: low_pass(4, 1, 5), "got 5 components of 4 frames"),
        (lambda: Condition(OverTime(row, 2), torch.zeros(3)), "got values of shape (3,)"),
        (
            lambda: Condition(OverTime(row, 2), torch.tensor([[1.0, np.inf]])),
            "1 of its values are not finite",
        ),
        (
            lambda: Condition(OverTime(np.vstack((row, row)), 1), torch.tensor([[1.0], [2.0]])),
            "contradict one another, at measurement",
        ),
        (lambda: known(torch.zeros(3, 2), np.ones((4, 2), bool)), "for a mask of (4, 2)"),
        (lambda: known(torch.tensor([[0.0], [np.nan]]), [True, True]), "at frame 1, channel 0 is not finite"),
        (lambda: remaining([2.0, 1.0, 0.0], 0.0), "strength: got 0; allowed: above 0 to 1"),
        (lambda: remaining([2.0, 1.0, 0.0], float("nan")), "strength: got nan"),
    ]
    for make, message in cases:
        with pytest.raises(CollageError, match=re.escape(message)) as caught:
            make()
        assert "\n" not in str(caught.value)
    condition = known(torch.tensor([[1.0], [np.nan]]), [True, False])  # what is not known may be anything
    plain = gaussian(markov(3))
    for wrap in (replacement, reconstruction):
        with pytest.raises(CollageError, match=re.escape("canvas of shape (1, 3, 1)")):
            wrap(plain, condition)(torch.zeros(1, 3, 1, dtype=torch.float64), 1.0)
    with pytest.raises(CollageError, match="got 2 values for 3 samples"):
        replacement(plain, known(torch.zeros(2, 3, 1), [True] * 3))(torch.zeros(3, 3, 1), 1.0)
    with pytest.raises(CollageError, match="scaling: got 'steep'"):
        reconstruction(plain, condition, scaling="steep")
    with pytest.raises(CollageError, match="weight: got -1"):
        reconstruction(plain, condition, -1.0)


def test_a_denoiser_without_gradients_is_refused() -> None:
    condition = known(torch.zeros(FRAMES, CHANNELS), np.arange(FRAMES) < 3)
    closed = torch.no_grad()(gaussian(markov(FRAMES)))
    with pytest.raises(CollageError, match="lets no gradient through"):
        reconstruction(closed, condition)(noise(), SIGMA)
    with torch.inference_mode(), pytest.raises(CollageError, match=r"call it under torch\.no_grad"):
        reconstruction(gaussian(markov(FRAMES)), condition)(noise(), SIGMA)


def test_sdedit_begins_at_its_level() -> None:
    sigmas = levels(10)
    assert remaining(sigmas, 1.0) == sigmas
    assert remaining(sigmas, 0.3) == sigmas[-4:]
    assert len(remaining(sigmas, 1e-9)) == 2
    x0, fresh = noise(seed=3), noise(seed=4)
    x, rest = noised(x0, sigmas, 0.5, fresh)
    torch.testing.assert_close(x, x0 + rest[0] * fresh)
    # On data of variance one, what is left of the motion falls as its strength grows.
    left = []
    for strength in (0.1, 0.5, 1.0):
        x, rest = noised(noise(500, seed=3), sigmas, strength, noise(500, seed=4))
        out = euler(gaussian(torch.eye(FRAMES, dtype=torch.float64)), x, rest)
        left.append(float((out * noise(500, seed=3)).mean()))
    assert left[0] > 0.95 and left[0] > left[1] > left[2] and abs(left[2]) < 0.05
    with pytest.raises(CollageError, match="noise of shape"):
        noised(x0, sigmas, 0.5, fresh[:1])
    with pytest.raises(CollageError, match="1 numbers of the motion are not finite"):
        x0[0, 0, 0] = torch.nan
        noised(x0, sigmas, 0.5, fresh)
