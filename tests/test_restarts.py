"""Restarts: what they draw and count, that they keep a law that is right, and mend one that is summed from parts."""

import pytest
import torch
from gaussian_fields import composed, exact, relative
from test_gaussian_fields import COSINE, field
from torch import Tensor

from collage_motion.errors import CollageError
from collage_motion.samplers.ancestral import ancestral
from collage_motion.samplers.dpmpp import dpmpp
from collage_motion.samplers.euler import euler
from collage_motion.samplers.restarts import restarted
from collage_motion.schedule import spaced_sigmas
from collage_motion.settings import Settings

LEVELS = [20.0, 8.0, 5.0, 2.0, 0.5, 0.1, 0.0]


def zeros(x: Tensor, sigma: float) -> Tensor:
    return x * 0


def law(
    operator, frames: int, times: int, highest: float = 3.0, lowest: float = 0.3, steps: int = 40
) -> Tensor:
    """Covariance (F, F) of what a linear denoiser's run makes of noise: a sample for each unit of each noise."""
    sigmas = spaced_sigmas(COSINE, steps, "karras", 0.01, 80.0)
    units = torch.eye((1 + times) * frames, dtype=torch.float64).reshape(-1, 1 + times, frames, 1)
    draws = iter(range(1, 1 + times))
    ends = restarted(euler, times, highest, lowest)(
        lambda x, sigma: operator(sigma) @ x, sigmas[0] * units[:, 0], sigmas, lambda _: units[:, next(draws)]
    )[..., 0]
    return ends.T @ ends


@pytest.mark.parametrize("name", ["chain", "cycle", "tree", "grid"])
def test_samples_of_the_sum_come_nearer_to_the_field_with_every_restart(name: str) -> None:
    graph, covariance = field(name).graph, field(name).covariance
    summed = composed(graph, covariance)
    errors = [relative(law(summed, graph.n_frames, times), covariance) for times in (0, 1, 2, 4)]
    assert errors == sorted(errors, reverse=True) and errors[-1] < 0.9 * errors[0]


def test_a_denoiser_of_the_whole_keeps_its_law() -> None:
    covariance = field("chain").covariance
    for times in (0, 1, 3):
        assert relative(law(exact(covariance), len(covariance), times, steps=800), covariance) < 0.01


def test_levels_noise_and_progress_of_a_run() -> None:
    levels: list[float] = []
    streams: list[int] = []
    seen: list[tuple[int, int]] = []

    def denoise(x: Tensor, sigma: float) -> Tensor:
        levels.append(sigma)
        return x * 0

    def noise(k: int) -> Tensor:
        streams.append(k)
        return torch.full((1, 2, 1), float(k))

    x = torch.ones(1, 2, 1)
    restarted(ancestral, 2, 6.0, 1.0)(
        denoise, x, LEVELS, noise, lambda done, total: seen.append((done, total))
    )
    assert levels == [20.0, 8.0, 5.0, 2.0, 5.0, 2.0, 5.0, 2.0, 0.5, 0.1]
    assert seen == [(k + 1, 10) for k in range(10)]
    assert sorted(set(streams)) == streams  # no stream is drawn twice


def test_the_noise_of_a_restart_lifts_to_its_level() -> None:
    seen: dict[float, list[Tensor]] = {}

    def denoise(x: Tensor, sigma: float) -> Tensor:
        seen.setdefault(sigma, []).append(x)
        return x * 0

    generator = torch.Generator().manual_seed(0)
    first = torch.randn(1, 4000, 5, generator=generator) * LEVELS[0]
    restarted(euler, 1, 6.0, 1.0)(
        denoise, first, LEVELS, lambda k: torch.randn(first.shape, generator=generator)
    )
    assert [float(x.std()) for x in seen[5.0]] == pytest.approx([5.0, 5.0], rel=0.02)


@pytest.mark.parametrize("levels", [[0.9, 0.3, 0.0], [20.0, 8.0, 0.0], [20.0, 0.5, 0.0]])
def test_where_no_level_lies_between_there_is_nothing_to_repeat(levels: list[float]) -> None:
    with pytest.raises(
        CollageError, match=r"no step between noise levels 6 and 1 to go again among .*; take more"
    ):
        restarted(dpmpp, 3, 6.0, 1.0)(zeros, torch.ones(1, 2, 1), levels)


@pytest.mark.parametrize("other", [{"sampler": "edm", "churn": 10.0}, {"method": "handshake"}])
def test_restarts_are_refused_beside_what_draws_as_they_do(other: dict[str, object]) -> None:
    with pytest.raises(CollageError, match=r"restarts: got 2 with .*; allowed: one of the two"):
        Settings(restarts=2, **other)  # type: ignore[arg-type]


def test_no_restart_is_the_sampler_itself_and_a_restart_asks_for_noise() -> None:
    assert restarted(dpmpp, 0) is dpmpp
    with pytest.raises(CollageError, match="got no source of noise"):
        restarted(dpmpp, 1)(zeros, torch.ones(1, 2, 1), LEVELS)
