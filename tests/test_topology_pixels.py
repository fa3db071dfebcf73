"""Grids and the cube: counting numbers in closed form, the paper's hierarchy, geometry, errors."""

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collage_motion.counting import counting_numbers
from collage_motion.errors import GraphError
from collage_motion.topology import FACES, cubemap, grid, quincunx
from collage_motion.topology.cube import face_pixels, positions, rings


def sizes_of(regions):
    """How many regions there are of each number of pixels and counting number."""
    return Counter((len(region.frames), region.count) for region in regions)


def sizes(graph):
    return sizes_of(graph.regions)


def test_a_grid_by_hand():
    graph = grid(2, 2, (3, 4), (1, 2))
    assert graph.n_frames == 5 * 6
    assert graph.windows[0].frames == (0, 1, 2, 3, 6, 7, 8, 9, 12, 13, 14, 15)
    assert {(region.frames, region.count) for region in graph.regions[4:]} == {
        ((2, 3, 8, 9, 14, 15), -1),
        ((12, 13, 14, 15), -1),
        ((14, 15), 1),
        ((14, 15, 16, 17), -1),
        ((14, 15, 20, 21, 26, 27), -1),
    }


def test_corners_are_put_back_and_are_no_windows():
    graph = grid(3, 2, (3, 4), (1, 2))
    assert [len(window.frames) for window in graph.windows] == [12] * 6
    assert sizes_of(graph.variables) == {(6, -1): 3, (4, -1): 4, (2, 1): 2}
    assert "in 6 windows and 9 overlaps" in str(graph)
    cube = cubemap(4)  # its faces count 1 and are windows: nothing contains them
    assert len(cube.windows) == 18 and len(cube.variables) == 24


@settings(max_examples=30, deadline=None)
@given(*[st.integers(1, 4)] * 2, *[st.integers(2, 5)] * 2, *[st.integers(0, 2)] * 2)
def test_strips_of_any_grid_count_minus_one_and_corners_plus_one(rows, columns, height, width, down, across):
    down, across = min(down, height // 2), min(across, width // 2)
    graph = grid(rows, columns, (height, width), (down, across))
    expected = Counter({(height * width, 1): rows * columns})
    if across:
        expected[height * across, -1] += rows * (columns - 1)
    if down:
        expected[down * width, -1] += (rows - 1) * columns
    if down and across:
        expected[down * across, 1] += (rows - 1) * (columns - 1)
    assert sizes(graph) == +expected


@pytest.mark.parametrize(("rows", "columns"), [(2, 2), (2, 5), (4, 3)])
def test_in_a_quincunx_every_variable_is_a_quarter_of_two_windows(rows, columns):
    graph = quincunx(rows, columns, (4, 6))
    inner = (rows - 1) * (columns - 1)
    assert graph.n_frames == rows * 4 * columns * 6
    assert sizes(graph) == {(24, 1): rows * columns + inner, (6, -1): 4 * inner}
    sets = [set(window.frames) for window in graph.windows]
    assert all(sum(s >= set(piece.frames) for s in sets) == 2 for piece in graph.variables)


@pytest.mark.parametrize("size", [2, 4, 6])
def test_the_cube_has_its_faces_its_edges_and_the_halves_between(size):
    graph = cubemap(size)
    area = size * size
    assert graph.n_frames == 6 * area
    assert sizes(graph) == {(area, 1): 6 + 12, (area // 2, -1): 6 * 4}
    faces = [tuple(range(k * area, (k + 1) * area)) for k in range(6)]
    assert [window.frames for window in graph.windows[:6]] == faces


@pytest.mark.parametrize(("size", "overlap"), [(2, 1), (4, 2), (4, 3), (6, 4), (6, 5), (6, 0)])
def test_the_counting_rule_multiplies_out_the_hierarchy_of_appendix_a(size, overlap):
    # Factors: three rings, each a cycle graph. Variables: three pairs of opposite faces, of degree two.
    total: Counter[frozenset[int]] = Counter()
    faces = face_pixels(size)
    for ring in rings(faces):
        strip = np.concatenate([ring, ring], axis=1)
        starts = range(0, 4 * size, size - overlap)
        windows = [tuple(strip[:, s : s + size].T.ravel().tolist()) for s in starts]
        total.update(frozenset(window) for window in windows)
        for piece, count in counting_numbers(windows):  # column by column the ring is a line of pixels
            total[frozenset(piece)] += count
    for pair in ("LR", "UD", "FB"):
        for name in pair:
            total[frozenset(faces[name].ravel().tolist())] += 1 - 2
    graph = cubemap(size, overlap)
    composed = Counter({frozenset(region.frames): region.count for region in graph.regions})
    assert composed == Counter({frames: count for frames, count in total.items() if count})


@pytest.mark.parametrize("size", [2, 5])
def test_the_rings_go_around_the_cube_and_mirror_nothing(size):
    points = positions(size)
    assert len(np.unique(points.round(9), axis=0)) == 6 * size * size
    assert np.abs(points).max(axis=1) == pytest.approx(1.0)
    faces = face_pixels(size)
    outward = {name: points[faces[name].ravel()].mean(axis=0) for name in FACES}
    assert {name: "xyz"[np.abs(v).argmax()] + "+-"[int(v.sum() < 0)] for name, v in outward.items()} == {
        "F": "z+", "R": "x+", "B": "z-", "L": "x-", "U": "y+", "D": "y-",
    }  # fmt: skip
    for ring in rings(faces):
        right = points[np.roll(ring, -1, axis=1)] - points[ring]
        assert np.linalg.norm(right, axis=-1).max() == pytest.approx(2 / size)  # less around an edge
        down = np.diff(points[ring], axis=0)[:, :-1]
        normals = np.cross(down, right[:-1, :-1])
        assert ((normals * points[ring][:-1, :-1]).sum(-1) > 0).all()  # as it is seen from outside


def test_windows_over_an_edge_are_upright_where_the_front_is():
    graph, n = cubemap(4), 4
    faces = face_pixels(n)
    above = np.concatenate([faces["U"][2:], faces["F"][:2]])
    beside = np.concatenate([faces["F"][:, 2:], faces["R"][:, :2]], axis=1)
    assert {tuple(above.ravel()), tuple(beside.ravel())} <= {window.frames for window in graph.windows}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: grid(0, 2, (3, 3), (1, 1)), "grid: got 0 x 2 windows; allowed are 1 or more each way"),
        (
            lambda: grid(2, 2, (3, 3), (2, 1)),
            "overlap of 2 x 1 pixels in windows of 3 x 3; allowed is at most",
        ),
        (lambda: grid(2, 2, (0, 3), (0, 0)), "window: got 0 x 3 pixels; allowed are 1 or more"),
        (lambda: grid(2, 2, (3, 3), (-1, 0)), "overlap: got -1 x 0 pixels; allowed are 0 or more"),
        (lambda: quincunx(1, 3, (4, 4)), "quincunx: got 1 x 3 windows; allowed are 2 or more"),
        (lambda: quincunx(2, 3, (4, 5)), "windows of 4 x 5 pixels; both must be even"),
        (
            lambda: cubemap(5),
            "cubemap: got faces of 5 pixels with an overlap of 2; allowed is one that leaves",
        ),
        (lambda: cubemap(4, 4), "an overlap of 4; allowed"),
        (lambda: cubemap(0), "faces of 0 pixels"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(GraphError, match=re.escape(message)):
        make()
