"""Laws of the weights that regions have at each frame."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from small_graphs import chain_windows, cycle_windows, graph_of

from collage_motion.compose import Guidance, compose, weighted
from collage_motion.graph import Graph, Region
from collage_motion.weights import depth_weights, mean_weights, tapered_weights


def on_canvas(graph: Graph, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights (R, T, C) of the regions as (R, F, C), zero where they have no frame."""
    laid = np.zeros((len(graph.regions), graph.n_frames, weights.shape[2]))
    for row, region in enumerate(graph.regions):
        laid[row, list(region.frames)] = weights[row, : len(region.frames)]
    return laid


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Chains and cycles whose windows overlap by four to nine frames."""
    count, overlap = draw(st.integers(2, 5)), draw(st.integers(4, 9))
    inner = draw(st.integers(1, 6))
    cyclic = count > 2 and draw(st.booleans())
    if cyclic:
        windows = cycle_windows(count, 2 * overlap + inner, overlap)
    else:
        windows = chain_windows([2 * overlap + inner + k for k in range(count)], [overlap] * (count - 1))
    return graph_of(windows, [draw(st.none() | st.integers(0, 3)) for _ in range(count)], cyclic)


@given(graphs(), st.integers(0, 12))
@settings(deadline=None, max_examples=60)
def test_tapered_weights_sum_to_one_and_set_in_gradually(graph: Graph, rise: int) -> None:
    laid = on_canvas(graph, tapered_weights(graph, rise))[:, :, 0]
    np.testing.assert_allclose(laid.sum(0), 1.0)
    windows, pieces = laid[graph.window_numbers], np.delete(laid, graph.window_numbers, axis=0)
    assert windows.min() >= 0 and windows.max() <= 1 and pieces.min() >= -1 and pieces.max() <= 1e-12
    # No weight changes faster than by one step of the rise, around the seam of a circle too; windows of more than the
    # canvas's ends have nothing to fade into there.
    steps = np.abs(np.diff(laid, axis=1, append=laid[:, :1] if graph.cyclic else laid[:, -1:]))
    overlap = len(graph.variables[0].frames)
    assert steps.max() <= max(2 if len(pieces) else 1, 1) / (min(rise, overlap) + 1) + 1e-12
    assert np.all(np.abs(np.diff(windows, axis=1)) <= 1 / (min(rise, overlap) + 1) + 1e-12)


@given(graphs())
@settings(deadline=None, max_examples=20)
def test_the_two_ends_of_the_taper(graph: Graph) -> None:
    counts = np.where(graph.index.valid, graph.index.counts[:, None], 0)
    np.testing.assert_array_equal(tapered_weights(graph, 0)[:, :, 0], counts)
    for rise in (len(graph.variables[0].frames), 100):
        np.testing.assert_allclose(tapered_weights(graph, rise)[:, :, 0], depth_weights(graph), atol=1e-12)


def test_a_taper_by_hand() -> None:
    graph = graph_of(chain_windows([10, 10], [6]), [0, 1])
    first, second, shared = on_canvas(graph, tapered_weights(graph, 2))[:, :, 0] * 3
    np.testing.assert_allclose(first, [3, 3, 3, 3, 3, 3, 3, 3, 2, 1, 0, 0, 0, 0])
    np.testing.assert_allclose(second, first[::-1])
    np.testing.assert_allclose(shared, [0, 0, 0, 0, -1, -2, -3, -3, -2, -1, 0, 0, 0, 0])


def test_regions_that_weigh_nothing_are_not_evaluated() -> None:
    graph = graph_of(chain_windows([10, 10], [6]), [0, 1])
    rows = []

    def network(x: torch.Tensor, sigma: float, prompts: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        rows.append(len(x))
        return torch.tanh(x) + prompts[:, None, None]

    x = torch.randn(2, 14, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    made = compose(graph, network, taper=6)(x, 0.5)
    torch.testing.assert_close(made, weighted(graph, network, depth_weights(graph))(x, 0.5))
    compose(graph, network, taper=5)(x, 0.5)
    assert rows == [4, 4, 6]


def test_channels_taper_each_where_their_own_windows_overlap() -> None:
    # The first two channels are told in two windows, the third in one.
    (one, two), shared = chain_windows([10, 10], [6]), tuple(range(4, 10))
    parts = (
        Region(one, 0, 1, (0, 1)),
        Region(two, 1, 1, (0, 1)),
        Region(shared, None, -1, (0, 1)),
        Region(tuple(range(14)), 2, 1, (2,)),
    )
    graph = Graph(14, parts, ("a", "b", "c"), n_channels=3)
    laid = on_canvas(graph, tapered_weights(graph, 2))
    np.testing.assert_allclose(laid.sum(0), 1.0)
    plain = graph_of([one, two], [0, 1])
    for channel in (0, 1):
        np.testing.assert_allclose(laid[:3, :, channel], on_canvas(plain, tapered_weights(plain, 2))[:, :, 0])
    np.testing.assert_array_equal(laid[3], np.array([[0.0, 0.0, 1.0]] * 14))


@pytest.mark.parametrize("share", [False, True])
def test_guidance_weighs_what_the_taper_leaves(share: bool) -> None:
    # A network that answers 1 to every prompt and 0 to none: the canvas shows how hard the prompts pull at each frame.
    graph = graph_of(chain_windows([10, 10], [6]), [0, 1])

    def told(x: torch.Tensor, sigma: float, prompts: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(x) + (prompts >= 0)[:, None, None]

    pull = compose(graph, told, guidance=Guidance(3.0, share=share), taper=2)(
        torch.zeros(1, 14, 1).double(), 0.5
    )
    prompts = np.array([3, 3, 3, 3, 4, 5, 6, 6, 5, 4, 3, 3, 3, 3]) / 3
    np.testing.assert_allclose(pull[0, :, 0], 3.0 if share else 3.0 * prompts)


def test_mean_weights_ignore_what_windows_share() -> None:
    graph = graph_of(chain_windows([10, 10], [6]), [0, 1])
    laid = on_canvas(graph, mean_weights(graph)[:, :, None] * graph.index.valid[:, :, None])[:, :, 0]
    np.testing.assert_allclose(laid[0], [1] * 4 + [0.5] * 6 + [0] * 4)
    assert not laid[2].any()
