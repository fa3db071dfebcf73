"""Graphs: the counting rule against a literal one, the law of the sums, arrays and the drawing."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collage_motion.errors import GraphError
from collage_motion.graph import Graph, Region, counting_numbers


def literal_counting(windows, neighbours=None):
    """The rule word by word: all intersections, split by flood fill, counted by recursion."""
    pairs = [{frozenset(pair) for pair in pairwise(w)} if neighbours is None else neighbours for w in windows]
    pieces = set()
    for size in range(2, len(windows) + 1):
        for chosen in combinations(range(len(windows)), size):
            left = set.intersection(*(set(windows[i]) for i in chosen))
            touching = set.intersection(*(pairs[i] for i in chosen))
            while left:
                run = {left.pop()}
                while grown := {f for f in left if any(frozenset((f, g)) in touching for g in run)}:
                    run |= grown
                    left -= grown
                pieces.add(frozenset(run))

    def count(piece):
        held = sum(piece <= set(window) for window in windows)
        return 1 - held - sum(count(other) for other in pieces if piece < other)

    return {piece: count(piece) for piece in pieces if count(piece) != 0}


def sums(windows, pieces):
    total = dict.fromkeys((f for w in windows for f in w), 0)
    for frames, count in [*((w, 1) for w in windows), *pieces]:
        for frame in frames:
            total[frame] += count
    return total


stretches = st.builds(
    lambda start, length, size: tuple((start + k) % size for k in range(min(length, size))),
    st.integers(0, 11), st.integers(1, 12), st.just(12),
)  # fmt: skip
shuffled = st.permutations(range(8)).flatmap(lambda p: st.integers(1, 8).map(lambda n: tuple(p[:n])))


@settings(max_examples=150, deadline=None)
@given(st.lists(stretches, min_size=1, max_size=5) | st.lists(shuffled, min_size=1, max_size=5))
def test_counting_equals_the_literal_rule_and_sums_to_one(windows):
    pieces = counting_numbers(windows)
    assert {frozenset(frames): count for frames, count in pieces} == literal_counting(windows)
    assert len({frozenset(frames) for frames, _ in pieces}) == len(pieces)
    assert set(sums(windows, pieces).values()) == {1}


GRID = {frozenset((f, g)) for f in range(20) for g in range(20) if g - f == 5 or (g - f == 1 and g % 5)}
patches = st.builds(
    lambda y, x, h, w: tuple(5 * r + c for r in range(y, min(y + h, 4)) for c in range(x, min(x + w, 5))),
    st.integers(0, 3), st.integers(0, 4), st.integers(1, 4), st.integers(1, 4),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(patches, min_size=1, max_size=5))
def test_counting_on_a_grid_equals_the_literal_rule(windows):
    pieces = counting_numbers(windows, neighbours=[tuple(pair) for pair in GRID])
    assert {frozenset(frames): count for frames, count in pieces} == literal_counting(windows, GRID)
    assert set(sums(windows, pieces).values()) == {1}


def test_on_a_chain_each_overlap_counts_one_minus_its_degree():
    assert counting_numbers([(0, 1, 2, 3), (2, 3, 4, 5, 6), (6, 7)]) == [((2, 3), -1), ((6,), -1)]


def test_on_a_cycle_the_closing_overlap_counts_once_and_stays_whole_across_the_end():
    windows = [(8, 9, 0, 1, 2, 3, 4), (3, 4, 5, 6, 7, 8, 9, 0)]
    assert counting_numbers(windows) == [((8, 9, 0), -1), ((3, 4), -1)]


def test_two_windows_that_both_fill_a_cycle_share_two_pieces():
    windows = [tuple(range(10)), (5, 6, 7, 8, 9, 0, 1, 2, 3, 4)]
    assert counting_numbers(windows) == [((0, 1, 2, 3, 4), -1), ((5, 6, 7, 8, 9), -1)]


def test_on_a_tree_a_piece_of_three_windows_counts_minus_two():
    assert counting_numbers([(0, 1, 2), (1, 2, 3), (1, 2, 4, 5)]) == [((1, 2), -2)]


def test_on_a_grid_the_corner_counts_plus_one_only_where_windows_also_meet_along_edges():
    neighbours = [tuple(pair) for pair in GRID]
    block = lambda y, x: tuple(5 * r + c for r in range(y, y + 2) for c in range(x, x + 3))  # noqa: E731
    edges_too = dict(counting_numbers([block(0, 0), block(0, 2), block(1, 0), block(1, 2)], neighbours))
    assert edges_too == {(2, 7): -1, (5, 6, 7): -1, (7, 8, 9): -1, (7, 12): -1, (7,): 1}
    assert counting_numbers([(0, 1, 5, 6), (6, 7, 11, 12)], neighbours) == [((6,), -1)]


def test_the_cube_of_six_faces_counts_as_its_hierarchy_does():
    left, right, front, back, up, down = range(6)
    factors = [(left, front, right, back), (front, up, back, down), (left, up, right, down)]
    assert sorted(counting_numbers(factors)) == [((face,), -1) for face in range(6)]
    edges = [pair for a, b, c, d in factors for pair in ((a, b), (b, c), (c, d), (d, a))]
    # Three loops of four faces: every pair, less each face in both of its loops, less the faces as variables.
    assert sorted(counting_numbers(edges)) == [((face,), -3) for face in range(6)]


def test_equal_and_nested_windows_are_taken_away_once():
    assert counting_numbers([(0, 1), (0, 1)]) == [((0, 1), -1)]
    assert counting_numbers([(0, 1, 2), (1,)]) == [((1,), -1)]
    assert counting_numbers([(0, 1), (2, 3)]) == []


def test_counting_refuses_windows_that_are_none():
    with pytest.raises(
        GraphError, match="window 1 is empty; a window is an ordered tuple of different frames"
    ):
        counting_numbers([(0,), ()])
    with pytest.raises(GraphError, match="window 0 names a frame twice"):
        counting_numbers([(0, 1, 0)])


def chain_of_two(**changes):
    given = {
        "n_frames": 6,
        "regions": (Region((0, 1, 2, 3), 0, 1), Region((2, 3, 4, 5), 1, 1), Region((2, 3), None, -1)),
        "prompts": ("walks", "runs"),
        "segments": ((0, 3), (3, 6)),
    }
    return Graph(**(given | changes))


def regions(*triples):
    return tuple(Region(*triple) for triple in triples)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"regions": regions(((0, 1, 2, 3), 0, 1), ((2, 3, 4, 5), 1, 1))},
            r"^at frame 2 \(0\.1 s\) the counting numbers sum to 2, which must be 1; covered by region 0 "
            r"\(frames 0\.\.3, count 1\), region 1 \(frames 2\.\.5, count 1\); take each shared piece as",
        ),
        ({"n_frames": 7}, r"at frame 6 .* sum to 0, which must be 1; covered by no region"),
        ({"n_frames": 10**15}, r"at frame 6 .* sum to 0"),
        ({"n_frames": 9, "regions": regions(((0, 2), 0, 1))}, r"at frame 1 .* sum to 0"),
        ({"n_frames": 0}, r"a graph of 0 frames; it needs at least 1"),
        ({"regions": ()}, r"a graph without regions"),
        ({"regions": regions(((), 0, 1))}, r"region 0 has no frames; leave it out"),
        ({"regions": regions(((0, 1), 0, 0))}, r"region 0 counts 0 and would change nothing; leave"),
        ({"regions": regions(((0, 1), 2, 1))}, r"region 0 has prompt 2; allowed are 0 to 1"),
        ({"regions": regions(((0, 6), 0, 1))}, r"region 0 has frame 6; the canvas has frames 0 to 5; on"),
        ({"regions": regions(((0, -1), 0, 1))}, r"region 0 has frame -1; the canvas"),
        ({"regions": regions(((0, 2**70), 0, 1))}, r"a frame beyond 2\^63"),
        ({"regions": regions((range(6), 0, 1), ((3, 1, 3), 0, 1))}, r"region 1 names frame 3 twice"),
        ({"segments": ((0, 7),)}, r"segment 0 has frames 0 to 7; allowed are stretches within 0 to 6"),
        ({"segments": ((3, 3),)}, r"segment 0 has frames 3 to 3"),
        ({"regions": (Region(range(6), 0, 1, (0,)),)}, r"region 0 writes some channels, but .* is None"),
    ],
)  # fmt: skip
def test_a_graph_that_breaks_a_law_names_the_region(changes, message):
    with pytest.raises(GraphError, match=message):
        chain_of_two(**changes)


def test_frames_are_whole_numbers():
    with pytest.raises(
        GraphError, match=r"a region's frames are \(0\.5,\); allowed is a tuple of whole numbers"
    ):
        Region((0.5,), 0, 1)
    assert all(type(frame) is int for frame in Region(tuple(np.arange(3)), 0, 1).frames)


def test_an_error_lists_only_some_of_many_regions():
    with pytest.raises(GraphError, match=r"sum to 9, .* and 3 more; take"):
        Graph(1, regions(*[((0,), 0, 1)] * 9), ("walks",))


def test_channels_are_counted_each():
    legs, arms = (0, 1, 2), (3, 4)
    parts = (Region((0, 1), 0, 1, legs), Region((0, 1), 1, 1, arms))
    assert Graph(2, parts, ("walks", "waves"), n_channels=5).n_channels == 5
    with pytest.raises(
        GraphError, match=r"at frame 0 \(0 s\), channel 4 the counting numbers sum to 0.*no region"
    ):
        Graph(2, (parts[0], Region((0, 1), 1, 1, (3,))), ("walks", "waves"), n_channels=5)
    with pytest.raises(GraphError, match=r"channel 3 .* sum to 2, .*; covered by region 1 .*, region 2 "):
        Graph(2, (*parts, Region((0, 1), 1, 1, (3,))), ("walks", "waves"), n_channels=5)
    with pytest.raises(
        GraphError, match=r"region 1 writes channels 3\.\.5; allowed are different ones from 0 to 4"
    ):
        Graph(2, (parts[0], Region((0, 1), 1, 1, (3, 4, 5))), ("walks", "waves"), n_channels=5)


def test_windows_seams_and_rows():
    graph = chain_of_two()
    assert graph.windows == graph.regions[:2]
    assert graph.variables == graph.regions[2:]
    assert graph.rows_per_step == 5
    assert graph.seams == (3,)
    assert chain_of_two(cyclic=True).seams == (0, 3)
    assert chain_of_two(segments=()).seams == ()


def test_the_index_holds_the_regions_as_read_only_arrays():
    graph = chain_of_two()
    index = graph.index
    assert index is graph.index
    assert index.frames.tolist() == [[0, 1, 2, 3], [2, 3, 4, 5], [2, 3, 0, 0]]
    assert index.valid.tolist() == [[True] * 4, [True] * 4, [True, True, False, False]]
    assert (index.lengths.tolist(), index.counts.tolist(), index.prompts.tolist()) == (
        [4, 4, 2],
        [1, 1, -1],
        [0, 1, -1],
    )
    assert index.frames.dtype == np.int64
    with pytest.raises(ValueError, match="read-only"):
        index.frames[0, 0] = 1


def test_a_graph_is_frozen_and_comparable():
    graph = chain_of_two()
    with pytest.raises(AttributeError):
        graph.n_frames = 3
    assert graph == chain_of_two()
    assert hash(graph) == hash(chain_of_two())


def test_the_drawing_of_a_small_graph():
    assert str(chain_of_two()).splitlines() == [
        "0.3 s = 6 frames at 20 per second, in 2 windows and 1 overlap on a line",
        "seconds                         0",
        "                                |-----",
        "  1 walks                       ==##",
        "  2 runs                          ##==",
        "overlaps: counting number, what they are told",
        "  0.1 s + 0.1 s, -1: (null)       ##",
        "= one window, # shared; windows hold 4 frames (0.2 s)",
        "network rows a step: 5 (2 with a prompt x 2, guided, + 1 without)",
    ]


def counted(windows, **more):
    """The graph of some windows without prompts."""
    pieces = [Region(frames, None, count) for frames, count in counting_numbers(windows)]
    regions = [Region(frames, None, 1) for frames in windows]
    return Graph(1 + max(map(max, windows)), (*regions, *pieces), (), **more)


def test_a_window_inside_another_is_one_still():
    graph = counted([tuple(range(10)), tuple(range(5, 15)), (6, 7)])
    assert [len(window.frames) for window in graph.windows] == [10, 10, 2]
    assert {(piece.frames, piece.count) for piece in graph.variables} == {((5, 6, 7, 8, 9), -1), ((6, 7), -1)}


def test_what_follows_a_frame_is_what_the_windows_say():
    assert counted([(0, 1, 2), (2, 3, 4), (5, 6)]).following.tolist() == [1, 2, 3, 4, -1, 6, -1]
    assert counted([(0, 1, 2), (2, 3, 0)], cyclic=True).following.tolist() == [1, 2, 3, 0]
    assert counted([(0, 1), (1, 2, 3), (1, 4, 5)]).following.tolist() == [1, -1, 3, -1, 5, -1]  # a fork at 1
    assert counted([(0,)]).following.tolist() == [-1]
