"""Every graph on Gaussian fields: the composed score is the formula, samples are what it makes of noise.

How far that is from the field itself is measured here and held in brackets: the approximation is not exact, even
where the field obeys the graph, because noise does not.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import torch
from gaussian_fields import (
    atoms_of,
    block_field,
    composed,
    cycle_field,
    decaying,
    deviations,
    exact,
    gaussian_windows,
    line_distances,
    plane_field,
    relative,
    sampled_by,
    sampled_by_euler,
    score_error,
    tree_distances,
)
from small_graphs import chain_windows, cycle_windows, graph_of
from torch import Tensor

from collage_motion.card import Limits
from collage_motion.compose import compose
from collage_motion.denoiser import x0_to_score
from collage_motion.graph import Graph
from collage_motion.plan import plan_from_prompts
from collage_motion.samplers.euler import euler
from collage_motion.samplers.gddim import gddim
from collage_motion.schedule import DiscreteSchedule
from collage_motion.topology import Branch, cubemap, grid, quincunx, stories, tree
from collage_motion.topology.cube import positions

COSINE = DiscreteSchedule.cosine(1000)
LENGTH = 5.0  # frames or pixels over which correlation falls to 1 / e
ROOT = Branch(
    plan_from_prompts(["stem::12"]),
    tuple(Branch(plan_from_prompts([name])) for name in ("a::9", "b::9", "c::9")),
)


@dataclass(frozen=True)
class Field:
    """A graph and the covariance of a field on its canvas."""

    graph: Graph
    covariance: Tensor


@cache
def field(name: str) -> Field:
    if name == "chain":
        graph = graph_of(chain_windows([12] * 4, [3] * 3), [None] * 4)
        return Field(graph, decaying(line_distances(graph.n_frames), LENGTH))
    if name == "cycle":
        graph = graph_of(cycle_windows(4, 12, 3), [None] * 4, cyclic=True)
        return Field(graph, cycle_field(graph.n_frames, LENGTH))
    if name == "tree":
        graph = tree(ROOT, Limits(4, 40, 1, min_variable_frames=1), overlap=3.0)
        ways = [story.frames for story in stories(ROOT, 1)]
        return Field(graph, decaying(tree_distances(ways, graph.n_frames), LENGTH))
    if name == "grid":
        return Field(grid(3, 3, (5, 5), (2, 2)), plane_field(11, 11, LENGTH))
    if name == "thin grid":
        return Field(grid(3, 3, (5, 5), (1, 1)), plane_field(13, 13, LENGTH))
    if name == "quincunx":
        return Field(quincunx(3, 3, (4, 4)), plane_field(12, 12, LENGTH))
    points = torch.tensor(positions(4) * 2)  # pixels of size 1
    return Field(cubemap(4), decaying(torch.cdist(points, points).numpy(), LENGTH))


FIELDS = ("chain", "cycle", "tree", "grid", "thin grid", "quincunx", "cube")


# --- the composed score ---


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("sigma", [0.05, 1.0, 30.0])
def test_the_composed_score_is_the_formula(name: str, sigma: float) -> None:
    graph, covariance = field(name).graph, field(name).covariance
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(3, graph.n_frames, 2, generator=generator, dtype=torch.float64) * (1 + sigma)
    summed = torch.zeros_like(x)
    for region in graph.regions:
        own = list(region.frames)
        noisy = covariance[own][:, own] + sigma**2 * torch.eye(len(own), dtype=torch.float64)
        summed[:, own] -= region.count * torch.linalg.solve(noisy, x[:, own])
    x0 = compose(graph, gaussian_windows(graph.regions, covariance))(x, sigma)
    torch.testing.assert_close(x0_to_score(x, sigma, x0), summed, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(composed(graph, covariance)(sigma) @ x, x0, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", FIELDS)
def test_independent_blocks_are_exact_at_every_level_and_in_the_samples(name: str) -> None:
    graph = field(name).graph
    covariance = block_field(atoms_of(graph), graph.n_frames)
    for sigma in (1e-2, 0.3, 3.0, 100.0):
        assert score_error(graph, covariance, sigma) < 1e-9
    sigmas = COSINE.sigmas(20)
    apart = relative(
        sampled_by_euler(composed(graph, covariance), sigmas), sampled_by_euler(exact(covariance), sigmas)
    )
    assert apart < 1e-10


@pytest.mark.parametrize(
    ("name", "sigmas", "slope"),
    [
        ("chain", [0.03, 0.06], 6.0),  # two for each frame of overlap
        ("tree", [1e-3, 3e-3, 1e-2], 2.0),  # overlap of 3 frames, but one alone parts branch from branch
        ("thin grid", [1e-3, 2e-3, 4e-3], 2.0),
        ("grid", [5e-3, 1e-2, 2e-2], 4.0),
    ],
)
def test_where_the_field_obeys_the_graph_the_error_vanishes_with_the_noise(name, sigmas, slope) -> None:
    errors = [score_error(field(name).graph, field(name).covariance, sigma) for sigma in sigmas]
    assert np.polyfit(np.log(sigmas), np.log(errors), 1)[0] == pytest.approx(slope, rel=0.1)


@pytest.mark.parametrize(("name", "floor"), [("cycle", 1.4e-3), ("quincunx", 0.35), ("cube", 0.17)])
def test_where_the_graph_has_loops_an_error_stays_without_noise(name: str, floor: float) -> None:
    for sigma in (1e-3, 1e-2):
        assert score_error(field(name).graph, field(name).covariance, sigma) == pytest.approx(floor, rel=0.05)


@pytest.mark.parametrize("name", FIELDS)
def test_in_pure_noise_the_error_falls_as_its_square(name: str) -> None:
    errors = [score_error(field(name).graph, field(name).covariance, sigma) for sigma in (100.0, 1000.0)]
    assert errors[0] < 4e-4
    assert errors[1] == pytest.approx(errors[0] / 100, rel=0.05)


# --- the samples ---


@pytest.mark.slow
@pytest.mark.parametrize("name", FIELDS)
def test_samples_have_the_covariance_of_the_composed_map(name: str) -> None:
    graph, covariance = field(name).graph, field(name).covariance
    sigmas = COSINE.sigmas(12)
    generator = torch.Generator().manual_seed(7)
    x = sigmas[0] * torch.randn(4, graph.n_frames, 1000, generator=generator, dtype=torch.float64)
    out = euler(compose(graph, gaussian_windows(graph.regions, covariance)), x, sigmas)
    samples = out.transpose(1, 2).flatten(0, 1)  # channels are samples too
    promised = sampled_by_euler(composed(graph, covariance), sigmas)
    off = deviations(samples, promised)
    assert off.abs().max() < 5.0
    assert off.square().mean().item() == pytest.approx(1.0, abs=0.1)
    # The same measure tells the samples from the field itself.
    assert deviations(samples, covariance).abs().max() > 8.0


@pytest.mark.parametrize("name", FIELDS)
def test_any_sampler_ends_in_the_map_that_its_steps_make(name: str) -> None:
    denoiser, sigmas = composed(field(name).graph, field(name).covariance), COSINE.sigmas(12)
    one, other = sampled_by(euler, denoiser, sigmas), sampled_by_euler(denoiser, sigmas)
    assert relative(one, other) < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "distance"),
    [
        ("chain", 0.117),
        ("cycle", 0.149),
        ("tree", 0.234),
        ("grid", 0.295),
        ("thin grid", 0.435),
        ("quincunx", 0.507),
        ("cube", 0.289),
    ],
)
def test_distance_of_the_samples_from_the_field(name: str, distance: float) -> None:
    graph, covariance, sigmas = field(name).graph, field(name).covariance, COSINE.sigmas(100)
    # With the exact score next to nothing is left, so what is left with the composed one is the graph's.
    assert relative(sampled_by(gddim, exact(covariance), sigmas), covariance) < 0.01
    found = relative(sampled_by(gddim, composed(graph, covariance), sigmas), covariance)
    assert found == pytest.approx(distance, rel=0.03)
