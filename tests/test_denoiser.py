"""Conversions and memory budgets keep the interface denoise(x, sigma) -> x0."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from collage_motion.denoiser import (
    add_noise,
    budgeted,
    noise_to_x0,
    score_to_x0,
    x0_to_noise,
    x0_to_score,
)
from collage_motion.errors import CollageError


class Network:
    """A denoiser of windows that mixes a row's own frames, in any padding alike, and counts its calls."""

    def __init__(self, n_prompts: int = 9, channels: int = 3) -> None:
        generator = torch.Generator().manual_seed(0)
        self.table = torch.randn(n_prompts + 1, channels, generator=generator, dtype=torch.float64)
        self.calls: list[tuple[int, int]] = []

    def __call__(self, x: Tensor, sigma: float, prompts: Tensor, lengths: Tensor) -> Tensor:
        self.calls.append((x.shape[0], x.shape[1]))
        real = (torch.arange(x.shape[1]) < lengths[:, None])[..., None]
        mean = (x * real).sum(1, keepdim=True) / lengths[:, None, None]
        return torch.tanh(x + mean / (1 + sigma)) + self.table[prompts][:, None].to(x)


def batch(lengths: list[int], prompts: list[int], seed: int = 0) -> tuple[Tensor, float, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(len(lengths), max(lengths), 3, generator=generator, dtype=torch.float64)
    for row, length in enumerate(lengths):
        x[row, length:] = 0
    return x, 0.8, torch.tensor(prompts), torch.tensor(lengths)


def assert_same_where_real(one: Tensor, other: Tensor, lengths: Tensor, **tolerance: float) -> None:
    assert one.shape == other.shape and one.dtype == other.dtype
    real = torch.arange(one.shape[1]) < lengths[:, None]
    torch.testing.assert_close(one[real], other[real], **(tolerance or {"rtol": 0.0, "atol": 0.0}))


ROWS = st.lists(st.tuples(st.integers(1, 12), st.integers(-1, 8)), min_size=1, max_size=12)


# --- conversions ---


@given(st.floats(1e-3, 2e4), st.integers(0, 99))
@settings(deadline=None)
def test_conversions_lead_there_and_back(sigma: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x0, noise = torch.randn(2, 4, 5, 3, generator=generator, dtype=torch.float64)
    x = add_noise(x0, sigma, noise)
    tolerance = {"rtol": 1e-8, "atol": 1e-8 * max(1.0, 1 / sigma)}
    torch.testing.assert_close(x0_to_noise(x, sigma, x0), noise, **tolerance)
    torch.testing.assert_close(noise_to_x0(x, sigma, noise), x0, **tolerance)
    torch.testing.assert_close(score_to_x0(x, sigma, x0_to_score(x, sigma, x0)), x0, **tolerance)
    torch.testing.assert_close(x0_to_score(x, sigma, x0), -noise / sigma, rtol=1e-8, atol=1e-8 / sigma**2)


def test_score_is_the_gradient_of_the_log_density() -> None:
    # Data N(2, 1.5^2): the posterior mean is known, and the noisy density is N(2, 1.5^2 + sigma^2).
    x, sigma = torch.linspace(-4, 6, 11, dtype=torch.float64, requires_grad=True), 0.7
    x0 = 2 + 1.5**2 / (1.5**2 + sigma**2) * (x - 2)
    density = torch.distributions.Normal(2, np.sqrt(1.5**2 + sigma**2)).log_prob(x).sum()
    (gradient,) = torch.autograd.grad(density, x)
    torch.testing.assert_close(x0_to_score(x, sigma, x0).detach(), gradient)


# --- memory budgets ---


@given(ROWS, st.integers(1, 150), st.sampled_from([None, 0.0, 0.3, 1.0]))
@settings(deadline=None)
def test_a_budget_changes_no_frame(rows: list[tuple[int, int]], tokens: int, waste: float | None) -> None:
    network = Network()
    arguments = batch([length for length, _ in rows], [prompt for _, prompt in rows])
    out = budgeted(network, tokens, waste)(*arguments)
    calls = network.calls.copy()
    assert_same_where_real(out, network(*arguments), arguments[-1], rtol=1e-12, atol=1e-12)
    assert sum(count for count, _ in calls) == len(rows)
    assert all(count * frames <= tokens or count == 1 for count, frames in calls)
    if waste is None and len(rows) * arguments[0].shape[1] <= tokens:
        assert calls == [tuple(arguments[0].shape[:2])]


def test_a_batch_within_the_budget_goes_through_untouched() -> None:
    seen = []

    def denoise(*arguments) -> Tensor:
        seen.append(arguments)
        return arguments[0]

    arguments = batch([3, 8, 5], [0, 1, 2])
    budgeted(denoise, 24)(*arguments)
    assert len(seen) == 1 and all(one is other for one, other in zip(seen[0], arguments, strict=True))


def test_chunks_hold_rows_of_like_length_and_are_trimmed() -> None:
    network = Network()
    budgeted(network, 20)(*batch([2, 9, 3, 10, 2], [0, 1, 2, 3, 4]))
    assert network.calls == [(2, 10), (3, 3)]


def test_waste_splits_long_rows_from_short_ones() -> None:
    network = Network()
    arguments = batch([10, 3, 9, 2, 10, 3], [0, 1, 2, 3, 4, 5])
    budgeted(network, 1000, max_waste=0.15)(*arguments)
    budgeted(network, 1000, max_waste=1.0)(*arguments)
    assert network.calls == [(3, 10), (3, 3), (6, 10)]


def test_a_row_longer_than_the_budget_goes_alone() -> None:
    network = Network()
    budgeted(network, 5)(*batch([9, 2, 2], [0, 1, 2]))
    assert network.calls == [(1, 9), (2, 2)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: budgeted(Network(), 0), "memory budget: got 0 frames; allowed: 1 or more"),
        (lambda: budgeted(Network(), 9, max_waste=1.5), "share of padding: got 1.5; allowed: 0 to 1"),
    ],
)
def test_errors_say_what_is_allowed(call, message: str) -> None:
    with pytest.raises(CollageError, match=re.escape(message)):
        call()
