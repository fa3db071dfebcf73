"""Chains and cycles: seconds to frames, splitting, what variables are told, and what is refused."""

import time
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from collage_motion import topology
from collage_motion.card import Limits
from collage_motion.errors import PlanError
from collage_motion.graph import counting_numbers
from collage_motion.plan import Plan, Segment, plan_from_prompts
from collage_motion.settings import Settings

LIMITS = Limits(min_frames=10, max_frames=196, fps=20)
# By hand with overlaps of a second: 20 frames.
build, chain, cycle = (
    partial(make, overlap=1.0) for make in (topology.build, topology.chain, topology.cycle)
)


def spans(regions):
    """First and last frame of each region."""
    return [(region.frames[0], region.frames[-1]) for region in regions]


def test_the_default_overlap_is_that_of_the_settings():
    plan = plan_from_prompts(["walks", "runs"])
    for make in (topology.build, topology.chain, topology.cycle):
        assert make(plan, LIMITS) == make(plan, LIMITS, overlap=Settings.overlap)


def test_a_chain_by_hand():
    graph = chain(plan_from_prompts(["walks::3", "waves::2", "runs::4"]), LIMITS)
    assert graph.n_frames == 180
    assert graph.segments == ((0, 60), (60, 100), (100, 180))
    assert graph.prompts == ("walks", "waves", "runs")
    assert spans(graph.windows) == [(0, 69), (50, 109), (90, 179)]
    assert spans(graph.variables) == [(50, 69), (90, 109)]
    assert [region.prompt for region in graph.regions] == [0, 1, 2, None, None]
    assert [region.count for region in graph.regions] == [1, 1, 1, -1, -1]
    assert graph.seams == (60, 100)
    assert not graph.cyclic


def test_an_odd_overlap_gives_its_spare_frame_to_the_earlier_window():
    graph = chain(Plan((Segment("walks", 3, overlap=0.55), Segment("runs", 3))), LIMITS)
    assert spans(graph.windows) == [(0, 65), (55, 119)]
    assert spans(graph.variables) == [(55, 65)]


def test_each_boundary_has_the_overlap_written_there():
    plan = Plan((Segment("a", 4, overlap=2), Segment("b", 4), Segment("c", 4, overlap=0), Segment("d", 4, 3)))
    assert spans(chain(plan, LIMITS, overlap=0.5).variables) == [(60, 99), (155, 164)]


def test_overlap_zero_sets_clips_side_by_side():
    graph = chain(plan_from_prompts(["a::2", "b::2"]), LIMITS, overlap=0)
    assert spans(graph.regions) == [(0, 39), (40, 79)]


def test_boundaries_are_the_rounded_sums_and_not_sums_of_rounded():
    graph = chain(plan_from_prompts(["a::1.33"] * 10), LIMITS, overlap=0.5)
    assert [stop for _, stop in graph.segments] == [round(1.33 * k * 20) for k in range(1, 11)]


def test_a_cycle_by_hand():
    graph = cycle(plan_from_prompts(["walks::3", "waves::2", "runs::4"]), LIMITS)
    assert graph.n_frames == 180
    assert spans(graph.windows) == [(170, 69), (50, 109), (90, 9)]
    assert spans(graph.variables) == [(50, 69), (90, 109), (170, 9)]
    assert [len(region.frames) for region in graph.variables] == [20, 20, 20]
    assert [region.count for region in graph.variables] == [-1, -1, -1]
    assert graph.seams == (0, 60, 100)
    assert graph.cyclic


def test_a_loop_of_one_segment_closes_with_two_windows():
    graph = cycle(plan_from_prompts(["walks::4"]), LIMITS)
    assert spans(graph.windows) == [(70, 49), (30, 9)]
    assert spans(graph.variables) == [(30, 49), (70, 9)]
    assert [region.prompt for region in graph.variables] == [0, 0]
    assert graph.seams == (0,)


def test_build_picks_by_loop():
    plan = plan_from_prompts(["walks", "runs"])
    assert build(plan, LIMITS) == chain(plan, LIMITS)
    assert build(Plan(plan.segments, loop=True), LIMITS) == cycle(plan, LIMITS)


@pytest.mark.parametrize(
    ("variables", "told"), [("auto", [0, None, None]), ("null", [None] * 3), ("prompt", [0, 0, 1])]
)
def test_what_variables_are_told(variables, told):
    graph = cycle(plan_from_prompts(["walks", "walks", "runs"]), LIMITS, variables=variables)
    assert graph.prompts == ("walks", "runs")
    assert [region.prompt for region in graph.windows] == [0, 0, 1]
    assert [region.prompt for region in graph.variables] == told


def test_a_long_segment_becomes_equal_windows_with_its_prompt():
    graph = chain(plan_from_prompts(["walks::30", "runs"]), LIMITS)
    *parts, last = graph.windows
    assert [region.prompt for region in graph.variables] == [0, 0, 0, None]
    lengths = [len(region.frames) for region in parts]
    assert max(lengths) - min(lengths) <= 1
    assert max(lengths) <= 196
    assert {len(region.frames) for region in graph.variables} == {20}
    assert parts[-1].frames[-1] == 609
    assert last.frames[0] == 590
    assert graph.segments == ((0, 600), (600, 680))


def test_the_longest_window_is_not_split_and_one_frame_more_is():
    assert len(chain(plan_from_prompts(["walks::9.8"]), LIMITS).windows) == 1
    assert len(chain(plan_from_prompts(["walks::9.85"]), LIMITS).windows) == 2


def test_a_loop_all_of_whose_frames_are_shared_is_told():
    plan = Plan((Segment("walks", 0.5, 0.0),), loop=True)
    with pytest.raises(
        PlanError, match=r"^segment 1: segment 'walks' lasts 0\.5 s; its 2 windows would share 0\.5 s"
    ):
        build(plan, LIMITS, overlap=0.5)


def test_a_segment_that_is_nothing_but_overlap_is_told():
    with pytest.raises(
        PlanError, match=r"^prompt 1: segment 'walks' lasts 1 s; the overlaps .* take 1 s of it"
    ):
        build(plan_from_prompts(["walks::1", "runs::1"]), LIMITS, overlap=2.0)


seconds = st.integers(2, 160).map(lambda k: k / 4)
overlaps = st.none() | st.sampled_from([0.0, 0.5, 0.55, 1.0, 2.35])
plans = st.lists(
    st.builds(Segment, st.sampled_from(["walks", "runs", "waves"]), seconds, overlaps), min_size=1, max_size=6
)


@settings(max_examples=80, deadline=None)
@given(
    plans,
    st.booleans(),
    st.sampled_from([0.0, 0.5, 0.75, 1.0, 2.0]),
    st.sampled_from(["auto", "null", "prompt"]),
)
def test_laws_of_random_plans(segments, loop, overlap, variables):
    plan = Plan(tuple(segments), loop)
    try:
        graph = build(
            plan, LIMITS, overlap=overlap, variables=variables
        )  # that the sums are one, Graph checks itself
    except PlanError as error:
        assert "segment '" in str(error)
        assume(False)
    assert graph.n_frames == round(plan.seconds * 20)
    assert all(10 <= len(region.frames) <= 196 for region in graph.windows)
    assert all(len(region.frames) >= 10 for region in graph.variables)
    assert {region.count for region in graph.variables} <= {-1}
    shared = counting_numbers([region.frames for region in graph.windows])
    assert {(region.frames, region.count) for region in graph.variables} == set(shared)
    for region in graph.regions:
        steps = np.diff(region.frames) % graph.n_frames
        assert (steps == 1).all()
    owner = {f: plan.segments[k].prompt for k, (a, b) in enumerate(graph.segments) for f in range(a, b)}
    for region in graph.windows:  # the middle of a window lies in a segment with its prompt
        assert owner[region.frames[len(region.frames) // 2]] == graph.prompts[region.prompt]
    assert all((a, b) == (b0, b) for (_, b0), (a, b) in pairwise(graph.segments))


@pytest.mark.slow
@settings(max_examples=120, deadline=None)
@given(
    plans,
    st.booleans(),
    st.sampled_from([0.0, 0.5, 1.0, 2.0]),
    st.dictionaries(st.sampled_from(["walks", "runs", "waves", "jumps"]), st.floats(0.01, 20.0)),
)
def test_a_usual_length_is_a_wish_that_no_plan_fails_of(segments, loop, overlap, usual):
    plan = Plan(tuple(segments), loop)
    try:
        plain = topology.build(plan, LIMITS, overlap)
    except PlanError:
        assume(False)
    graph = topology.build(plan, LIMITS, overlap, usual=usual)
    assert graph.segments == plain.segments and graph.n_frames == plain.n_frames
    assert len(graph.windows) >= len(plain.windows)
    assert all(10 <= len(region.frames) <= 196 for region in graph.windows)
    assert all(len(region.frames) >= 10 for region in graph.variables)
    owner = {f: plan.segments[k].prompt for k, (a, b) in enumerate(graph.segments) for f in range(a, b)}
    for region in graph.windows:
        assert owner[region.frames[len(region.frames) // 2]] == graph.prompts[region.prompt]
    for prompt in {segment.prompt for segment in segments} - usual.keys():
        lengths = [
            [len(r.frames) for r in g.windows if g.prompts[r.prompt] == prompt] for g in (plain, graph)
        ]
        assert lengths[0] == lengths[1]


def test_a_long_segment_is_split_into_windows_of_about_its_usual_length():
    plan = plan_from_prompts(["raises a hand::12", "walks::6"])
    graph = topology.build(plan, LIMITS, 1.5, usual={"raises a hand": 3.0, "walks": 6.5})
    # By hand: 240 frames of its own are 4 x 60; 255 with the overlap, in steps of 58.75 with 20 shared. 120 are no
    # 1.6 x 130.
    assert [len(window.frames) for window in graph.windows] == [78, 79, 79, 79, 135]
    assert [len(region.frames) for region in graph.variables] == [20, 20, 20, 30]
    assert [graph.prompts[window.prompt] for window in graph.windows] == ["raises a hand"] * 4 + ["walks"]


@pytest.mark.parametrize("loop", [False, True])
def test_what_must_be_split_is_split_into_windows_of_about_its_usual_length(loop):
    # 24 s fit into three windows of 9 s; these would be longer than clips of it are, which last 6.5 s.
    graph = topology.build(Plan((Segment("runs", 24.0),), loop), LIMITS, 1.5, usual={"runs": 6.5})
    # By hand: 480 / 130 is 3.7, so 4 windows, in steps of 450 / 4 with 30 shared, or of 480 / 4 in a loop.
    assert len(graph.windows) == 4
    assert all(abs(len(window.frames) - (150 if loop else 142)) <= 1 for window in graph.windows)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(8, 60), min_size=2, max_size=5), st.integers(1, 4))
def test_rolling_a_loop_rolls_its_graph(quarters, by):
    segments = [Segment(f"action {i}", quarter / 4) for i, quarter in enumerate(quarters)]
    by %= len(segments)
    graph = cycle(Plan(tuple(segments)), LIMITS)
    rolled = cycle(Plan(tuple(segments[by:] + segments[:by])), LIMITS)
    shift = graph.segments[by][0]

    def nodes(g, offset):
        return {
            (
                tuple((f + offset) % g.n_frames for f in r.frames),
                r.prompt is not None and g.prompts[r.prompt],
                r.count,
            )
            for r in g.regions
        }

    assert nodes(graph, -shift) == nodes(rolled, 0)


@pytest.mark.parametrize(
    ("plan", "settings", "message"),
    [
        (
            Plan((Segment("jump", 0.3, place="plan.yaml:3"),)),
            {},
            r"^plan\.yaml:3: segment 'jump' lasts 0\.3 s; this model's windows hold 0\.5 to 9\.8 s; "
            r"lengthen it or join it to its neighbour$",
        ),
        (
            plan_from_prompts(["walks", "jump::0.8", "runs"]),
            {},
            r"^prompt 2: segment 'jump' lasts 0\.8 s; the overlaps with its neighbours take 1 s of it; "
            r"lengthen it, shorten the overlaps or join it to its neighbour$",
        ),
        (Plan((Segment("walks"), Segment("jump", 0.001))), {}, r"^segment 2: segment 'jump' lasts 0\.001 s"),
        (
            plan_from_prompts(["walks", "runs"]),
            {"overlap": 0.3},
            r"^the overlap is 0\.3 s; this model's overlaps hold at least 0\.5 s; lengthen it, or make it 0",
        ),
        (
            Plan((Segment("walks", 4, 0.01), Segment("runs"))),
            {},
            r"^segment 1: segment 'walks': its overlap is 0\.01 s; this model's overlaps hold at least",
        ),
        (
            plan_from_prompts(["walks", "runs"]),
            {"overlap": 5},
            r"^the overlap is 5 s; allowed is at most half of the longest window, 4\.9 s; shorten",
        ),
        (plan_from_prompts(["walks"]), {"overlap": -1}, r"^the motion has an overlap of -1 s; allowed is"),
        (plan_from_prompts(["walks"]), {"overlap": float("nan")}, r"overlap of .*; allowed is a number"),
        (plan_from_prompts(["walks"]), {"variables": "some"}, r"^variables 'some'; allowed are auto, null, "),
        (
            plan_from_prompts(["walks::1.8"], loop=True),
            {},
            r"^prompt 1: segment 'walks' lasts 1\.8 s in 2 windows; one of them holds 1\.9 s, its overlaps ",
        ),
        (plan_from_prompts(["walks::0.5", "runs::3"], loop=True), {}, r"^prompt 1: .* lasts 0\.5 s; "),
        (
            plan_from_prompts(["walks::14.75"]),
            {"overlap": 4.9},
            r"^prompt 1: segment 'walks' lasts 14\.75 s in 3 windows; one of them .*; lengthen it or sh",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_the_cure(plan, settings, message):
    with pytest.raises(PlanError, match=message):
        build(plan, LIMITS, **settings)


def test_a_segment_between_one_window_and_two_is_refused_with_its_own_cure():
    with pytest.raises(
        PlanError, match=r"lasts 10 s, 2 windows of 5\.5 s; .* hold 7\.5 to 9\.8 s; .*shorten it to one"
    ):
        chain(plan_from_prompts(["walks::10"]), Limits(150, 196, 20))


def test_other_frame_rates_and_variable_limits():
    graph = chain(
        plan_from_prompts(["walks::2", "runs::2"]), Limits(10, 300, 30, min_variable_frames=5), overlap=0.2
    )
    assert graph.n_frames == 120
    assert spans(graph.variables) == [(57, 62)]
    assert graph.fps == 30


def test_the_drawing_shows_prompts_overlaps_and_rows():
    text = str(build(plan_from_prompts(["walks", "walks", "waves::3"], loop=True), LIMITS))
    assert "11 s = 220 frames at 20 per second, in 3 windows and 3 overlaps on a cycle" in text
    assert "3.5 s + 1 s, -1: walks" in text
    assert "7.5 s + 1 s, -1: (null)" in text
    assert "network rows a step: 10 (4 with a prompt x 2, guided, + 2 without)" in text
    first = next(line for line in text.splitlines() if line.startswith("  1 walks"))
    assert first[32] == "#"  # reaches around the end
    assert first.rstrip()[-1] == "#"
    assert max(map(len, text.splitlines())) <= 110


@pytest.mark.slow
def test_a_plan_of_5000_segments_is_built_and_drawn_in_a_second_or_so():
    plan = plan_from_prompts([f"a person does thing {i % 9}" for i in range(5000)], loop=True)
    began = time.process_time()
    graph = build(plan, LIMITS)
    text = str(graph)
    assert time.process_time() - began < 4  # about one second on an idle core
    assert len(graph.regions) == 10_000
    assert "... and 4,990 windows and 4,990 overlaps more, up to 20000 s" in text
    assert len(text.splitlines()) < 40
