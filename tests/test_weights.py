"""Laws of the weights that regions have at each frame."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from small_graphs import chain_windows, cycle_windows, graph_of

from collage_motion.card import Limits
from collage_motion.compose import Guidance, compose, weighted
from collage_motion.errors import GraphError
from collage_motion.graph import Graph, Region
from collage_motion.methods.seam_factors import with_seam_factors
from collage_motion.plan import Plan, Segment
from collage_motion.topology import Branch, build, tree
from collage_motion.weights import mean_weights, tapered_weights


def on_canvas(graph: Graph, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights (R, T, C) of the regions as (R, F, C), zero where they have no frame."""
    laid = np.zeros((len(graph.regions), graph.n_frames, weights.shape[2]))
    for row, region in enumerate(graph.regions):
        laid[row, list(region.frames)] = weights[row, : len(region.frames)]
    return laid


LIMITS = Limits(min_frames=8, max_frames=40, fps=10, min_variable_frames=4)


def three_at_once() -> Graph:
    return graph_of(chain_windows([18] * 5, [12] * 4), [0, 1, 2, 3, None])


def with_seams(loop: bool) -> Graph:
    plan = Plan(tuple(Segment(prompt, 3.0) for prompt in ("walk", "run", "wave", "sit")), loop=loop)
    return with_seam_factors(build(plan, LIMITS, 0.8), LIMITS)


def short_ends() -> Graph:
    return graph_of(chain_windows([10, 30, 9], [8, 8]), [0, 1, 2])


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Chains and cycles whose windows overlap by four to nine frames, and harder ones."""
    hard = draw(st.sampled_from((None, None, None, three_at_once, short_ends, with_seams)))
    if hard is not None:
        return hard(draw(st.booleans())) if hard is with_seams else hard()
    count, overlap = draw(st.integers(2, 5)), draw(st.integers(4, 9))
    inner = draw(st.integers(1, 6))
    cyclic = count > 2 and draw(st.booleans())
    if cyclic:
        windows = cycle_windows(count, 2 * overlap + inner, overlap)
    else:
        windows = chain_windows([2 * overlap + inner + k for k in range(count)], [overlap] * (count - 1))
    return graph_of(windows, [draw(st.none() | st.integers(0, 3)) for _ in range(count)], cyclic)


@given(graphs(), st.integers(0, 12))
@settings(deadline=None, max_examples=40)
def test_tapered_weights_sum_to_one_and_keep_their_sign(graph: Graph, rise: int) -> None:
    laid = on_canvas(graph, tapered_weights(graph, rise))[:, :, 0]
    np.testing.assert_allclose(laid.sum(0), 1.0)
    counts = graph.index.counts[:, None]
    assert np.all(laid * counts >= 0) and np.all(np.abs(laid) <= np.abs(counts) + 1e-12)


@given(graphs(), st.integers(1, 4))
@settings(deadline=None, max_examples=40)
def test_no_weight_changes_faster_than_by_one_step_of_the_rise(graph: Graph, rise: int) -> None:
    # Of rises that do not meet: one from either end has room in the shortest thing that windows share.
    assume(2 * rise <= min(len(piece.frames) for piece in graph.variables))
    laid = on_canvas(graph, tapered_weights(graph, rise))[:, :, 0]
    steps = np.abs(np.diff(laid, axis=1, append=laid[:, :1] if graph.cyclic else laid[:, -1:]))
    assert steps.max() == pytest.approx(1 / (rise + 1))


@given(graphs())
@settings(deadline=None, max_examples=20)
def test_without_a_rise_the_counting_numbers_stand(graph: Graph) -> None:
    counts = np.where(graph.index.valid, graph.index.counts[:, None], 0)
    np.testing.assert_array_equal(tapered_weights(graph, 0)[:, :, 0], counts)
    with pytest.raises(GraphError, match="taper: got -1 frames; allowed: 0"):
        tapered_weights(graph, -1)


def test_a_taper_by_hand() -> None:
    graph = graph_of(chain_windows([10, 10], [6]), [0, 1])
    first, second, shared = on_canvas(graph, tapered_weights(graph, 2))[:, :, 0] * 3
    np.testing.assert_allclose(first, [3, 3, 3, 3, 3, 3, 3, 3, 2, 1, 0, 0, 0, 0])
    np.testing.assert_allclose(second, first[::-1])
    np.testing.assert_allclose(shared, [0, 0, 0, 0, -1, -2, -3, -3, -2, -1, 0, 0, 0, 0])


def test_what_three_windows_share_sets_in_with_the_last_of_them() -> None:
    graph = with_seams(False)
    laid = on_canvas(graph, tapered_weights(graph, 2))[:, :, 0]
    second = graph.windows[1]
    begins = second.frames[0]
    held = [k for k, region in enumerate(graph.regions) if region.count < 0 and begins in region.frames]
    rising = [k for k in held if graph.regions[k].frames[0] == begins]  # what only the second window shares
    assert len(held) == 2 and len(rising) == 1
    np.testing.assert_allclose(laid[rising[0], begins - 1 : begins + 3], [0, -1 / 3, -2 / 3, -1])


def test_at_a_fork_the_sums_hold() -> None:
    root = Branch(Plan((Segment("walk", 3.0),)), [Branch(Plan((Segment(p, 3.0),))) for p in ("run", "sit")])
    graph = tree(root, LIMITS, 0.8)
    laid = on_canvas(graph, tapered_weights(graph, 2))[:, :, 0]
    np.testing.assert_allclose(laid.sum(0), 1.0)
    assert laid.max() <= 1.0 + 1e-12 and laid.min() >= -2.0 - 1e-12


def test_the_taper_reaches_the_sum() -> None:
    graph = graph_of(chain_windows([10, 10], [6]), [0, 1])

    def network(x: torch.Tensor, sigma: float, prompts: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x) + prompts[:, None, None]

    x = torch.randn(2, 14, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    by_hand = weighted(graph, network, tapered_weights(graph, 2)[:, :, 0])(x, 0.5)
    torch.testing.assert_close(compose(graph, network, taper=2)(x, 0.5), by_hand)
    assert not torch.allclose(compose(graph, network)(x, 0.5), by_hand)


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
