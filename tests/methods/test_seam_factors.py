"""Seam factors: the sum A + S + B - A∩S - S∩B, by the counting rule."""

import pytest
import torch
from gaussian_fields import gaussian, markov, stationary_windows

from collage_motion.card import Limits
from collage_motion.compose import compose
from collage_motion.denoiser import x0_to_score
from collage_motion.errors import CollageError, PlanError
from collage_motion.graph import Graph, Region
from collage_motion.methods import check_method
from collage_motion.methods.seam_factors import with_seam_factors
from collage_motion.plan import Plan, Segment
from collage_motion.topology import build

LIMITS = Limits(min_frames=8, max_frames=24, fps=10, min_variable_frames=4)


def test_one_change_of_prompt() -> None:
    plain = build(Plan((Segment("walk", 2.0), Segment("run", 2.0))), LIMITS, 0.6)
    graph = with_seam_factors(plain, LIMITS)
    assert [(r.frames[0], r.frames[-1], r.prompt, r.count) for r in graph.regions] == [
        (0, 22, 0, 1),
        (17, 39, 1, 1),
        (14, 25, None, 1),  # twice the overlap of 6 frames, around frame 20
        (14, 22, None, -1),
        (17, 25, None, -1),
    ]
    assert graph.segments == plain.segments and graph.prompts == plain.prompts


def test_only_changes_of_prompt_get_one() -> None:
    same = build(Plan((Segment("walk", 6.0),)), LIMITS, 0.6)
    assert with_seam_factors(same, LIMITS) is same
    mixed = build(Plan((Segment("walk", 4.0), Segment("run", 2.0))), LIMITS, 0.6)
    graph = with_seam_factors(mixed, LIMITS)
    seams = [r for r in graph.windows if r.prompt is None]
    assert [(r.frames[0], r.frames[-1]) for r in seams] == [(34, 45)]
    inner = [r for r in graph.variables if r.prompt is not None]  # between the windows of "walk"
    assert inner and set(inner) <= set(mixed.variables)


@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.6])
def test_a_loop_has_one_at_its_seam_too(overlap: float) -> None:
    plan = Plan((Segment("walk", 2.0), Segment("run", 2.0), Segment("wave", 1.6)), loop=True)
    graph = with_seam_factors(build(plan, LIMITS, overlap), LIMITS)
    seams = [r.frames for r in graph.windows if r.prompt is None]
    assert [(f[len(f) // 2 - 1], f[len(f) // 2]) for f in seams] == [(19, 20), (39, 40), (55, 0)]
    two = Plan((Segment("walk", 2.0), Segment("run", 2.0)), loop=True)
    seams = [
        r.frames for r in with_seam_factors(build(two, LIMITS, overlap), LIMITS).windows if r.prompt is None
    ]
    assert [f[len(f) // 2] for f in seams] == [20, 0]


def test_the_sum_is_as_good_as_without_on_a_markov_chain() -> None:
    # Both are exact as the noise vanishes; S and its longer separators make the sum better, not worse.
    plain = build(Plan((Segment("walk", 2.0), Segment("run", 2.0))), LIMITS, 0.6)
    x = torch.randn(8, 40, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for sigma in (0.05, 1.0):
        exact = x0_to_score(x, sigma, gaussian(markov(40))(x, sigma))
        errors = []
        for graph in (plain, with_seam_factors(plain, LIMITS)):
            composed = x0_to_score(x, sigma, compose(graph, stationary_windows((0.0, 0.0)))(x, sigma))
            errors.append(float((composed - exact).norm() / exact.norm()))
        assert errors[1] < errors[0] + 1e-12 and errors[1] < 0.03


@pytest.mark.slow
def test_two_thousand_changes_take_no_time() -> None:
    plan = Plan(tuple(Segment(("walk", "run")[k % 2], 1.6) for k in range(2000)))
    graph = with_seam_factors(build(plan, LIMITS, 0.6), LIMITS)
    assert len(graph.windows) == 2000 + 1999 and len(graph.variables) == 2 * 1999


def test_what_cannot_be() -> None:
    short = build(Plan((Segment("walk", 2.0), Segment("jump", 0.8), Segment("run", 2.0))), LIMITS, 0.5)
    with pytest.raises(PlanError, match=r"seam factors: the change of prompt at 2 s needs 1\.1 s"):
        with_seam_factors(short, Limits(22, 24, 10, 4))
    tracks = Graph(9, tuple(Region(tuple(range(9)), 0, 1, (c,)) for c in (0, 1)), ("a",), n_channels=2)
    with pytest.raises(PlanError, match="some channels only"):
        with_seam_factors(tracks, LIMITS)
    with pytest.raises(CollageError, match="seam factors: got method 'naive'; allowed with: collage"):
        check_method("naive", seam_factors=True)
