"""Windows half a window further on: where they lie, what stays as it is, and that the sum is taken over them."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_graphs import chain_windows, cycle_windows, graph_of
from test_apart import job

from collage_motion.card import Limits
from collage_motion.compose import compose
from collage_motion.denoiser import Denoiser
from collage_motion.graph import Graph
from collage_motion.methods import get_method
from collage_motion.methods.apart import pieces
from collage_motion.methods.seam_factors import with_seam_factors
from collage_motion.methods.staggered import staggered
from collage_motion.plan import Plan, Segment
from collage_motion.topology import Branch, build, grid, tree

LIMITS = Limits(min_frames=8, max_frames=24, fps=10, min_variable_frames=4)
EVERY = range(8)
LONG = Plan((Segment("walk", 6.0), Segment("wave", 1.6), Segment("run", 6.0)))


def ends(graph: Graph) -> list[tuple[int, int]]:
    return [(window.frames[0], window.frames[-1] + 1) for window in graph.windows]


def test_a_row_has_one_window_more_and_half_ones_at_its_ends() -> None:
    graph = graph_of(chain_windows([16, 16, 16], [4, 4]), [0, 0, 0], shared=0)
    moved = staggered(graph, LIMITS, EVERY)
    assert ends(graph) == [(0, 16), (12, 28), (24, 40)]
    assert ends(moved) == [(0, 10), (6, 22), (18, 34), (30, 40)]
    assert [(v.frames[0], len(v.frames), v.prompt, v.count) for v in moved.variables] == [
        (6, 4, 0, -1), (18, 4, 0, -1), (30, 4, 0, -1),
    ]  # fmt: skip


def test_a_loop_of_one_prompt_is_turned() -> None:
    graph = graph_of(cycle_windows(3, 16, 4), [0, 0, 0], True, shared=0)
    moved = staggered(graph, LIMITS, EVERY)
    assert [window.frames for window in moved.windows] == [
        tuple((frame + 6) % 36 for frame in window.frames) for window in graph.windows
    ]
    assert moved.cyclic and len(moved.variables) == 3


def test_a_loop_of_one_prompt_in_two_windows_is_turned_too() -> None:
    graph = graph_of(cycle_windows(2, 20, 4), [0, 0], True, shared=0)
    moved = staggered(graph, LIMITS, EVERY)
    assert [window.frames for window in moved.windows] == [
        tuple((frame + 8) % 32 for frame in window.frames) for window in graph.windows
    ]


def test_around_a_loop_the_last_row_goes_on_in_the_first() -> None:
    graph = build(
        Plan((Segment("walk", 1.6), Segment("wave", 1.6), Segment("walk", 1.6)), loop=True), LIMITS, 0.6
    )
    moved = staggered(graph, LIMITS, EVERY)
    walk = [w for w in moved.windows if graph.prompts[w.prompt] == "walk"]  # type: ignore[index]
    assert len(graph.windows) == 3 and len(walk) == 3
    (middle,) = [w.frames for w in walk if {47, 0} <= set(w.frames)]
    assert 5 < middle.index(0) < len(middle) - 5  # the loop closes well inside a window


@settings(max_examples=80, deadline=None)
@given(lengths=st.lists(st.integers(12, 24), min_size=2, max_size=6), data=st.data())
def test_every_join_lies_well_inside_a_window(lengths: list[int], data: st.DataObject) -> None:
    overlaps = [data.draw(st.integers(1, min(a, b) // 3)) for a, b in pairwise(lengths)]
    graph = graph_of(chain_windows(lengths, overlaps), [0] * len(lengths), shared=0)
    moved = staggered(graph, Limits(4, 40, 10, min_variable_frames=1), EVERY)
    assert len(moved.windows) == len(graph.windows) + 1
    for before, after in pairwise(graph.windows):
        join = before.frames[-1] - (before.frames[-1] - after.frames[0]) // 2
        assert any(w.frames[0] + 2 <= join <= w.frames[-1] - 2 for w in moved.windows)
        assert not any(join in v.frames for v in moved.variables)


def test_changes_of_prompt_stay_where_they_are() -> None:
    graph = build(LONG, LIMITS, 0.6)
    moved = staggered(graph, LIMITS, EVERY)
    told = [graph.prompts[w.prompt] for w in moved.windows]  # type: ignore[index]
    assert sorted(told) == sorted(["walk"] * 5 + ["wave"] + ["run"] * 5) and len(graph.windows) == 9
    changing = [{v.frames for v in g.variables if v.prompt is None} for g in (graph, moved)]
    assert changing[0] == changing[1] and len(changing[0]) == 2
    assert moved.segments == graph.segments and moved.prompts == graph.prompts


def test_windows_of_other_prompts_stay() -> None:
    graph = build(LONG, LIMITS, 0.6)
    walk, run = graph.prompts.index("walk"), graph.prompts.index("run")
    moved = staggered(graph, LIMITS, [run])
    ends_of = [[w.frames for w in g.windows if w.prompt == walk] for g in (graph, moved)]
    assert ends_of[0] == ends_of[1] and len(moved.windows) == len(graph.windows) + 1
    assert staggered(graph, LIMITS, []) is graph


def test_segments_of_one_prompt_are_a_row_too() -> None:
    graph = build(Plan((Segment("walk", 2.0), Segment("walk", 1.6))), LIMITS, 0.6)
    assert len(graph.windows) == 2 and len(staggered(graph, LIMITS, EVERY).windows) == 3


@pytest.mark.parametrize(
    "graph",
    [
        graph_of(chain_windows([16], []), [0]),
        graph_of(chain_windows([16, 16], [4]), [0, 1]),  # two prompts
        graph_of(chain_windows([16, 16], [4]), [None, None]),
        graph_of([tuple(range(16)), tuple(range(16, 32))], [0, 0]),  # side by side
        graph_of(chain_windows([10, 10], [4]), [0, 0], shared=0),  # halves of 7 are too short for the model
        graph_of(chain_windows([8, 8, 8], [6, 6]), [0, 0, 0], shared=0),  # three windows meet
        grid(2, 3, (4, 4), (2, 2)),
    ],
    ids=["one", "two prompts", "untold", "side by side", "short", "crowded", "grid"],
)
def test_what_cannot_be_moved_stays(graph: Graph) -> None:
    assert staggered(graph, LIMITS, EVERY) is graph


def test_a_tree_and_factors_on_seams_keep_what_is_shared() -> None:
    trunk, one, other = (Plan((Segment(word, 4.0),)) for word in ("walk", "run", "jump"))
    wide = replace(LIMITS, max_frames=40)
    for graph in (
        tree(Branch(trunk, [Branch(one, []), Branch(other, [])]), LIMITS, 0.6),
        with_seam_factors(build(LONG, wide, 0.6), wide),
    ):
        moved = staggered(graph, wide, EVERY)
        assert len(moved.windows) > len(graph.windows)
        untold = [{r for r in g.regions if r.prompt is None} for g in (graph, moved)]
        assert untold[0] == untold[1]


def test_the_collage_takes_them_below_the_level() -> None:
    graph = build(LONG, LIMITS, 0.6)
    seen: list[Denoiser] = []

    def denoiser(**more: object) -> Denoiser:
        task = job(graph, **more)
        get_method("collage")(replace(task, sampler=lambda denoise, x, *_: seen.append(denoise) or x))
        return seen.pop()

    x = torch.randn(1, graph.n_frames, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    windows = job(graph).windows()
    noisy, old, new = (compose(g, windows) for g in (pieces(graph), graph, staggered(graph, LIMITS, EVERY)))
    assert not torch.allclose(old(x, 0.5), new(x, 0.5))
    for level, wanted in ((2.0, noisy), (1.0, old), (0.6, old), (0.5, new), (0.1, new)):
        torch.testing.assert_close(
            denoiser(apart_above=1.0, stagger_below=0.5, travelling=EVERY)(x, level), wanted(x, level)
        )
    for level in (2.0, 0.5):
        torch.testing.assert_close(denoiser(travelling=EVERY)(x, level), old(x, level))
    torch.testing.assert_close(denoiser(stagger_below=0.5)(x, 0.5), old(x, 0.5))
    later = denoiser(
        apart_above=0.1, stagger_below=0.5, travelling=EVERY
    )  # windows are staggered only once they overlap
    for level, wanted in ((0.3, noisy), (0.1, new)):
        torch.testing.assert_close(later(x, level), wanted(x, level))
