"""Windows by themselves under much noise: what is whose, and that nobody else has a say in it."""

from dataclasses import replace
from math import inf

import pytest
import torch
from gaussian_fields import levels, stationary_windows
from hypothesis import given, settings
from hypothesis import strategies as st
from small_graphs import chain_windows, cycle_windows, graph_of
from torch import Tensor

from collage_motion.card import Limits
from collage_motion.compose import Guidance, compose
from collage_motion.denoiser import Denoiser
from collage_motion.graph import Graph, Region
from collage_motion.methods import get_method
from collage_motion.methods.apart import pieces
from collage_motion.methods.job import Job
from collage_motion.methods.seam_factors import with_seam_factors
from collage_motion.noise import canvas_noise
from collage_motion.padding import Padding
from collage_motion.plan import Plan, Segment
from collage_motion.samplers.euler import euler
from collage_motion.topology import Branch, build, tree

LIMITS = Limits(min_frames=8, max_frames=24, fps=10, min_variable_frames=4)
PLAN = Plan((Segment("walk", 2.0), Segment("run", 1.6), Segment("wave", 5.2)))


@st.composite
def lines(draw: st.DrawFn) -> Graph:
    """Chains and cycles, with windows of which three meet among them."""
    count, overlap = draw(st.integers(2, 5)), draw(st.integers(1, 9))
    own = draw(st.integers(1, 6)) if draw(st.booleans()) else -(overlap // 2)
    length = 2 * overlap + own
    told = [draw(st.integers(0, 3)) for _ in range(count)]
    if count > 2 and own > 0 and draw(st.booleans()):
        return graph_of(cycle_windows(count, length, overlap), told, True)
    return graph_of(chain_windows([length] * count, [overlap] * (count - 1)), told)


@settings(max_examples=60, deadline=None)
@given(graph=lines())
def test_every_frame_is_in_one_piece_and_every_window_has_a_stretch(graph: Graph) -> None:
    cut = pieces(graph)
    assert sorted(frame for region in cut.regions for frame in region.frames) == list(range(graph.n_frames))
    assert (cut.prompts, cut.cyclic, cut.segments) == (graph.prompts, graph.cyclic, graph.segments)
    for window, piece in zip(graph.windows, cut.regions, strict=True):
        first = window.frames.index(piece.frames[0])
        assert window.frames[first : first + len(piece.frames)] == piece.frames
        assert piece.prompt == window.prompt


def test_overlaps_are_cut_in_the_middle_and_ends_stay_whole() -> None:
    cut = pieces(graph_of(chain_windows([10, 12, 9], [4, 5]), [0, 1, 2]))
    assert [(region.frames[0], region.frames[-1]) for region in cut.regions] == [(0, 7), (8, 15), (16, 21)]
    around = pieces(graph_of(cycle_windows(2, 10, 4), [0, 1], True))
    assert [region.frames for region in around.regions] == [tuple(range(2, 8)), (8, 9, 10, 11, 0, 1)]


def test_where_a_tree_forks_the_trunk_keeps_what_its_branches_share() -> None:
    trunk, one, other = (Plan((Segment(word, 1.6),)) for word in ("walk", "run", "jump"))
    graph = tree(Branch(trunk, [Branch(one, []), Branch(other, [])]), LIMITS, 0.6)
    cut = pieces(graph)
    assert [(graph.prompts[r.prompt], r.frames) for r in cut.regions if r.prompt is not None] == [
        ("walk", tuple(range(16))),
        ("run", tuple(range(16, 32))),
        ("jump", tuple(range(32, 48))),
    ]


def test_a_window_inside_another_has_no_piece() -> None:
    graph = Graph(
        20, tuple(Region(range(*ab), 0, n) for *ab, n in ((0, 20, 1), (5, 10, 1), (5, 10, -1))), ("a",)
    )  # type: ignore[arg-type]
    assert [region.frames for region in pieces(graph).regions] == [tuple(range(20))]


def test_factors_on_seams_have_no_piece_and_channels_are_left_alone() -> None:
    graph = build(PLAN, LIMITS, 0.6)
    assert pieces(with_seam_factors(graph, LIMITS)) == pieces(graph)
    halves = Graph(
        8, (Region(range(8), 0, 1, (0,)), Region(range(8), 1, 1, (1, 2))), ("a", "b"), n_channels=3
    )  # type: ignore[arg-type]
    assert pieces(halves) is halves


def job(graph: Graph, **more: object) -> Job:
    def noise(stream: int, start: int = 0, count: int | None = None) -> Tensor:
        count = graph.n_frames - start if count is None else count
        return torch.from_numpy(canvas_noise([3], count, 3, stream, start)).double()

    def bind(prompts: object) -> object:
        return stationary_windows(means=tuple(0.1 * k for k in range(len(graph.prompts))))

    return Job(graph, bind, euler, levels(6), noise, LIMITS, **more)  # type: ignore[arg-type]


def test_above_the_level_neighbours_have_no_say_and_below_it_they_do() -> None:
    graph = build(PLAN, LIMITS, 0.6)
    seen: list[Denoiser] = []
    get_method("collage")(
        replace(job(graph, apart_above=1.0), sampler=lambda denoise, x, *_: seen.append(denoise) or x)
    )
    (denoise,) = seen
    x = torch.randn(1, graph.n_frames, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    first = list(pieces(graph).regions[0].frames)
    other = x.clone()
    other[:, first[-1] + 1 :] += 1.0
    assert torch.equal(denoise(x, 2.0)[:, first], denoise(other, 2.0)[:, first])
    assert not torch.equal(denoise(x, 1.0)[:, first], denoise(other, 1.0)[:, first])


def test_apart_to_the_end_is_clips_side_by_side_and_never_is_the_sum() -> None:
    graph = build(PLAN, LIMITS, 0.6)
    for level in (inf, 1e6):
        task = job(graph, apart_above=level)
        torch.testing.assert_close(get_method("collage")(task), task.sample(compose(graph, task.windows())))
    made = get_method("collage")(job(graph, apart_above=0.0, guidance=Guidance(2.0)))
    task = job(graph)
    for region in pieces(graph).regions:
        alone = Graph(
            len(region.frames), (Region(range(len(region.frames)), region.prompt, 1),), graph.prompts
        )  # type: ignore[arg-type]
        start = task.noise(0)[:, list(region.frames)] * task.sigmas[0]
        clip = euler(compose(alone, task.windows(), guidance=Guidance(2.0)), start, task.sigmas)
        torch.testing.assert_close(made[:, list(region.frames)], clip)


def test_a_network_that_always_sees_so_many_frames_is_shown_pieces_too() -> None:
    graph = build(PLAN, LIMITS, 0.6)
    plain = get_method("collage")(job(graph, apart_above=1.0))
    filled = get_method("collage")(job(graph, apart_above=1.0, padding=Padding(24, (3,), "canvas")))
    assert filled.isfinite().all() and filled.shape == plain.shape and not torch.allclose(filled, plain)


def test_windows_of_a_loop_always_overlap() -> None:
    graph = build(Plan(PLAN.segments, loop=True), LIMITS, 0.6)
    torch.testing.assert_close(
        get_method("collage")(job(graph, apart_above=1.0)), get_method("collage")(job(graph))
    )


@pytest.mark.parametrize("apart_above", [0.0, 0.5])
def test_known_frames_are_seen_by_the_windows_beside_them(apart_above: float) -> None:
    graph = build(PLAN, LIMITS, 0.6)
    task = replace(job(graph, apart_above=apart_above), condition=lambda denoise: denoise)
    torch.testing.assert_close(get_method("collage")(task), get_method("collage")(job(graph)))
