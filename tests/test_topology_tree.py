"""Trees: branches that part share one overlap, every segment is one stretch of the canvas."""

from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from collage_motion import topology
from collage_motion.card import Limits
from collage_motion.counting import counting_numbers
from collage_motion.errors import PlanError
from collage_motion.plan import Plan, Segment, plan_from_prompts
from collage_motion.topology import Branch, stories

LIMITS = Limits(min_frames=10, max_frames=196, fps=20)
chain, tree = partial(topology.chain, overlap=1.0), partial(topology.tree, overlap=1.0)  # 20 frames


def branch(*prompts: str, then: tuple[Branch, ...] = ()) -> Branch:
    return Branch(plan_from_prompts(list(prompts)), then)


FORK = branch("walks::3", then=(branch("waves::2", "sits::2"), branch("runs::4"), branch("jumps::2.5")))


def spans(regions):
    return [(region.frames[0], region.frames[-1], len(region.frames), region.count) for region in regions]


def test_a_fork_by_hand():
    graph = tree(FORK, LIMITS)
    assert graph.n_frames == 60 + 40 + 40 + 80 + 50
    assert graph.segments == ((0, 60), (60, 100), (100, 140), (140, 220), (220, 270))
    assert graph.prompts == ("walks", "waves", "sits", "runs", "jumps")
    assert spans(graph.windows) == [
        (0, 59, 60, 1),  # the stem ends where the branches begin
        (40, 109, 70, 1),
        (90, 139, 50, 1),
        (40, 219, 100, 1),
        (40, 269, 70, 1),
    ]
    assert spans(graph.variables) == [(40, 59, 20, -3), (90, 109, 20, -1)]
    assert graph.windows[3].frames == (*range(40, 60), *range(140, 220))
    assert [region.prompt for region in graph.regions] == [0, 1, 2, 3, 4, None, None]


def test_the_stories_of_a_fork():
    first, second, third = stories(FORK, 20)
    assert first.frames == tuple(range(140))
    assert second.frames == (*range(60), *range(140, 220))
    assert third.frames == (*range(60), *range(220, 270))
    assert [segment.prompt for segment in first.plan.segments] == ["walks", "waves", "sits"]
    assert first.segments == ((0, 60), (60, 100), (100, 140)) and first.seams == (60, 100)
    assert second.segments == ((0, 60), (60, 140)) and second.seams == (60,)


def test_branches_of_branches_and_the_overlap_of_a_last_segment():
    deep = Branch(Plan((Segment("runs", 4, overlap=0.5),)), (branch("jumps"), branch("falls::3")))
    graph = tree(branch("walks::3", then=(branch("waves"), deep)), LIMITS)
    assert graph.segments == ((0, 60), (60, 140), (140, 220), (220, 300), (300, 360))
    assert spans(graph.variables) == [(40, 59, 20, -2), (210, 219, 10, -2)]
    ways = stories(branch("walks::3", then=(branch("waves"), deep)), 20)
    assert [len(way.frames) for way in ways] == [140, 220, 200]
    assert ways[2].frames == (*range(60), *range(140, 220), *range(300, 360))


def test_a_tree_without_branches_is_a_chain():
    plan = plan_from_prompts(["walks::3", "waves::12", "runs"])
    assert tree(Branch(plan), LIMITS) == chain(plan, LIMITS)
    assert stories(Branch(plan), 20)[0].segments == chain(plan, LIMITS).segments


@pytest.mark.parametrize(
    ("variables", "told"), [("auto", [None, 0]), ("null", [None, None]), ("prompt", [0, 0])]
)
def test_what_the_shared_overlaps_are_told(variables, told):
    root = branch("walks", then=(branch("walks"), branch("runs")))
    assert [region.prompt for region in tree(root, LIMITS, variables=variables).variables] == told[:1]
    alike = branch("walks", then=(branch("walks"), branch("walks")))
    assert [region.prompt for region in tree(alike, LIMITS, variables=variables).variables] == told[1:]


def test_overlap_zero_sets_branches_side_by_side():
    graph = tree(FORK, LIMITS, overlap=0)
    assert not graph.variables
    assert [region.frames for region in graph.windows] == [tuple(range(a, b)) for a, b in graph.segments]


quarters = st.integers(6, 60).map(lambda k: k / 4)
plans = st.lists(
    st.builds(Segment, st.sampled_from(["walks", "runs", "waves"]), quarters), min_size=1, max_size=3
)
branches = st.recursive(
    st.builds(lambda s: Branch(Plan(tuple(s))), plans),
    lambda inner: st.builds(
        lambda s, then: Branch(Plan(tuple(s)), tuple(then)), plans, st.lists(inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(branches, st.sampled_from([0.0, 0.5, 0.75, 1.0]), st.sampled_from(["auto", "null", "prompt"]))
def test_laws_of_random_trees(root, overlap, variables):
    try:
        graph = tree(
            root, LIMITS, overlap=overlap, variables=variables
        )  # that the sums are one, Graph checks itself
    except PlanError as error:
        assert "segment '" in str(error)
        assume(False)
    ways = stories(root, 20)
    assert set().union(*(way.frames for way in ways)) == set(range(graph.n_frames))
    assert all(10 <= len(region.frames) <= 196 for region in graph.windows)
    assert all(len(region.frames) == round(overlap * 20) for region in graph.variables)
    shared = counting_numbers([region.frames for region in graph.windows])
    assert {(region.frames, region.count) for region in graph.variables} == set(shared)
    for _, count in shared:  # 1 - degree
        assert count < 0
    for way in ways:
        assert len(way.frames) == round(way.plan.seconds * 20)
        place = {frame: k for k, frame in enumerate(way.frames)}
        mine = [region for region in graph.windows if set(region.frames) <= place.keys()]
        assert set().union(*(region.frames for region in mine)) == place.keys()
        for region in mine:  # along each story a window is one stretch, its middle in a segment of its prompt
            steps = [place[frame] for frame in region.frames]
            assert (np.diff(steps) == 1).all()
            middle = steps[len(steps) // 2]
            owner = next(k for k, (a, b) in enumerate(way.segments) if a <= middle < b)
            assert way.plan.segments[owner].prompt == graph.prompts[region.prompt]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: branch("walks::0.9", then=(branch("runs"),)),
            r"^prompt 1: .* 0\.9 s; the overlaps .* take 1 s",
        ),
        (lambda: branch("walks", then=(branch("runs::0.001"),)), r"^prompt 1: segment 'runs' lasts 0\.001 s"),
        (
            lambda: Branch(plan_from_prompts(["walks"], loop=True)),
            r"^a branch of a tree is a loop, .*; set loop",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_the_cure(make, message):
    with pytest.raises(PlanError, match=message):
        tree(make(), LIMITS)


def test_the_drawing_shows_the_shared_overlap():
    text = str(tree(FORK, LIMITS))
    assert "2 s + 1 s, -3: (null)" in text
    assert "13.5 s = 270 frames at 20 per second, in 5 windows and 2 overlaps" in text
