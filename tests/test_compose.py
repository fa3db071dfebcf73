"""Laws of composition: one formula for every graph."""

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from gaussian_fields import gaussian_windows, posterior_mean
from hypothesis import given, settings
from hypothesis import strategies as st
from small_graphs import chain_windows, cycle_windows, graph_of
from torch import Tensor

from collage_motion.compose import Guidance, average, compose
from collage_motion.denoiser import budgeted, noise_to_x0, score_to_x0, x0_to_noise, x0_to_score
from collage_motion.errors import GraphError
from collage_motion.graph import Graph, Region
from collage_motion.samplers.euler import euler

SIGMA = 0.6
CHANNELS = 4


class Network:
    """A nonlinear denoiser of windows that knows place, prompt and length; padding of its output is NaN."""

    def __init__(self, n_prompts: int = 32) -> None:
        generator = torch.Generator().manual_seed(4)
        self.table = torch.randn(n_prompts + 1, CHANNELS, generator=generator, dtype=torch.float64)
        self.rows: list[int] = []

    def __call__(self, x: Tensor, sigma: float, prompts: Tensor, lengths: Tensor) -> Tensor:
        self.rows.append(len(x))
        place = torch.arange(x.shape[1])
        real = (place < lengths[:, None])[..., None]
        mean = (x * real).sum(1, keepdim=True) / lengths[:, None, None]
        out = torch.tanh(x + mean / (1 + sigma)) + 0.01 * place[:, None] + self.table[prompts][:, None].to(x)
        return torch.where(real, out, torch.nan)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    count = draw(st.integers(1, 6))
    if count > 2 and draw(st.booleans()):
        overlap = draw(st.integers(1, 3))
        windows, cyclic = cycle_windows(count, 2 * overlap + draw(st.integers(0, 4)), overlap), True
    else:
        overlaps = draw(st.lists(st.integers(1, 3), min_size=count - 1, max_size=count - 1))
        sides = zip([0, *overlaps], [*overlaps, 0], strict=True)
        lengths = [a + b + draw(st.integers(1, 5)) for a, b in sides]
        windows, cyclic = chain_windows(lengths, overlaps), False
    prompts = draw(st.lists(st.none() | st.integers(0, 31), min_size=count, max_size=count))
    return graph_of(windows, prompts, cyclic, draw(st.none() | st.integers(0, 31)))


def canvas(graph: Graph, samples: int = 2, seed: int = 0, channels: int = CHANNELS) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(samples, graph.n_frames, channels, generator=generator, dtype=torch.float64)


def looped(graph: Graph, denoiser, x: Tensor, sigma: float) -> Tensor:
    """The sum written out: one call a region and sample, no padding."""
    out = torch.zeros_like(x)
    for sample in range(len(x)):
        for region in graph.regions:
            frames = list(region.frames)
            prompt = torch.tensor([-1 if region.prompt is None else region.prompt])
            mine = denoiser(x[sample : sample + 1, frames], sigma, prompt, torch.tensor([len(frames)]))[0]
            for channel in range(x.shape[2]) if region.channels is None else region.channels:
                out[sample, frames, channel] += region.count * mine[:, channel]
    return out


TIGHT = {"rtol": 1e-12, "atol": 1e-12}


# --- laws ---


@pytest.mark.slow
@given(graphs())
@settings(deadline=None, max_examples=40)
def test_one_batched_call_equals_the_loop_over_regions(graph: Graph) -> None:
    network, x = Network(), canvas(graph)
    out = compose(graph, network)(x, SIGMA)
    assert network.rows == [len(x) * len(graph.regions)]
    torch.testing.assert_close(out, looped(graph, Network(), x, SIGMA), **TIGHT)


@given(graphs())
@settings(deadline=None, max_examples=20)
def test_a_constant_composes_to_itself(graph: Graph) -> None:
    x = canvas(graph, channels=3)
    for method in (compose, average):
        out = method(graph, lambda x, sigma, prompts, lengths: torch.full_like(x, 2.5))(x, SIGMA)
        torch.testing.assert_close(out, torch.full_like(x, 2.5), **TIGHT)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_segment_is_the_plain_model_exactly(dtype: torch.dtype) -> None:
    graph = graph_of([tuple(range(9))], [3])
    x = canvas(graph, samples=3).to(dtype)
    plain = Network()(x, SIGMA, torch.full((3,), 3), torch.full((3,), 9))
    assert torch.equal(compose(graph, Network())(x, SIGMA), plain)
    assert torch.equal(average(graph, Network())(x, SIGMA), plain)


@given(graphs())
@settings(deadline=None, max_examples=20)
def test_x0_noise_and_score_compose_alike(graph: Graph) -> None:
    x, network = canvas(graph), Network()

    def summed(convert):
        def denoise(x: Tensor, sigma: float, prompts: Tensor, lengths: Tensor) -> Tensor:
            return convert(x, sigma, network(x, sigma, prompts, lengths))

        return compose(graph, denoise)(x, SIGMA)

    x0 = compose(graph, network)(x, SIGMA)
    torch.testing.assert_close(noise_to_x0(x, SIGMA, summed(x0_to_noise)), x0, **TIGHT)
    torch.testing.assert_close(score_to_x0(x, SIGMA, summed(x0_to_score)), x0, **TIGHT)


@given(graphs(), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=20)
def test_order_of_regions_is_irrelevant(graph: Graph, random) -> None:
    regions = list(graph.regions)
    random.shuffle(regions)
    other = Graph(graph.n_frames, tuple(regions), graph.prompts, cyclic=graph.cyclic)
    x = canvas(graph)
    torch.testing.assert_close(
        compose(other, Network())(x, SIGMA), compose(graph, Network())(x, SIGMA), **TIGHT
    )


def test_samples_do_not_meet() -> None:
    graph = graph_of(chain_windows([7, 9, 6], [3, 2]), [0, 1, 2])
    x = canvas(graph, samples=5)
    together = compose(graph, Network())(x, SIGMA)
    for sample in range(5):
        alone = compose(graph, Network())(x[sample : sample + 1], SIGMA)
        torch.testing.assert_close(together[sample : sample + 1], alone, **TIGHT)


@pytest.mark.parametrize("method", [compose, average])
def test_rolling_noise_and_plan_of_a_cycle_rolls_the_result(method) -> None:
    windows, prompts = cycle_windows(4, 9, 3), [0, 1, 2, 3]
    x = 20 * canvas(graph_of(windows, prompts, cyclic=True))
    sigmas = [20.0, 5.0, 1.0, 0.2, 0.0]

    def sampled(prompts: list[int], x: Tensor) -> Tensor:
        graph = graph_of(windows, prompts, cyclic=True)
        return euler(method(graph, Network(), guidance=Guidance(2.0)), x, sigmas)

    plain, rolled = sampled(prompts, x), sampled([3, 0, 1, 2], x.roll(6, 1))
    torch.testing.assert_close(rolled, plain.roll(6, 1), rtol=1e-10, atol=1e-10)
    assert not torch.allclose(rolled, plain)


@given(graphs(), st.integers(1, 200))
@settings(deadline=None, max_examples=20)
def test_guidance_and_memory_budget_change_nothing_in_the_sum(graph: Graph, tokens: int) -> None:
    x = canvas(graph)
    guidance = Guidance(2.5)
    whole = compose(graph, Network(), guidance=guidance)(x, SIGMA)
    split = compose(graph, budgeted(Network(), tokens, max_waste=0.2), guidance=guidance)(x, SIGMA)
    torch.testing.assert_close(split, whole, **TIGHT)


# --- guidance ---


def guided_by_hand(scale: float) -> Callable[..., Tensor]:
    """null + scale * (cond - null), row by row (mdm-compat b.5)."""
    network = Network()

    def denoise(x: Tensor, sigma: float, prompts: Tensor, lengths: Tensor) -> Tensor:
        cond = network(x, sigma, prompts, lengths)
        null = network(x, sigma, torch.full_like(prompts, -1), lengths)
        return null + scale * (cond - null)

    return denoise


@given(graphs(), st.floats(-1, 5))
@settings(deadline=None, max_examples=40)
def test_guidance_is_the_formula_of_each_region(graph: Graph, scale: float) -> None:
    x, network = canvas(graph), Network()
    out = compose(graph, network, guidance=Guidance(scale, share=False))(x, SIGMA)
    expected = compose(graph, guided_by_hand(scale))(x, SIGMA)
    torch.testing.assert_close(out, expected, rtol=1e-9, atol=1e-9)
    assert len(network.rows) == 1


@given(graphs())
@settings(deadline=None, max_examples=20)
def test_below_its_noise_level_there_is_no_guidance(graph: Graph) -> None:
    x = canvas(graph)
    for method in (compose, average):
        for sigma, usual in ((SIGMA, Guidance(2.5)), (SIGMA / 2, Guidance(1.0))):
            one, other = Network(), Network()
            out = method(graph, one, guidance=Guidance(2.5, above=SIGMA))(x, sigma)
            torch.testing.assert_close(
                out, method(graph, other, guidance=usual)(x, sigma), rtol=0.0, atol=0.0
            )
            assert one.rows == other.rows
        # Prompts that are to say little say no more there.
        for scale in (0.0, 0.5):
            out = method(graph, Network(), guidance=Guidance(scale, above=SIGMA))(x, SIGMA / 2)
            assert torch.equal(out, method(graph, Network(), guidance=Guidance(scale))(x, SIGMA / 2))


@given(graphs())
@settings(deadline=None, max_examples=20)
def test_a_row_more_for_each_guided_region_and_none_in_vain(graph: Graph) -> None:
    x = canvas(graph, samples=1)
    rows = {}
    for scale in (0.0, 1.0, 2.5):
        network = Network()
        compose(graph, network, guidance=Guidance(scale, share=False))(x, SIGMA)
        rows[scale] = network.rows
    assert rows == {0.0: [len(graph.regions)], 1.0: [len(graph.regions)], 2.5: [graph.rows_per_step]}
    assert torch.equal(
        compose(graph, Network(), guidance=Guidance(1.0, share=False))(x, SIGMA),
        compose(graph, Network())(x, SIGMA),
    )


@given(graphs(), st.floats(1.0, 8.0))
@settings(deadline=None, max_examples=40)
def test_shared_guidance_gives_prompts_one_weight_at_every_frame(graph: Graph, scale: float) -> None:
    x = canvas(graph, samples=1)
    told = compose(graph, says_whether_told)(x, SIGMA)
    out = compose(graph, says_whether_told, guidance=Guidance(scale))(x, SIGMA)
    # As much as one guided window, unless the sum without guidance is more already.
    expected = torch.where(told > 1, torch.clamp(told, min=scale), told * scale)
    torch.testing.assert_close(out, expected, **TIGHT)


def says_whether_told(x: Tensor, sigma: float, prompts: Tensor, lengths: Tensor) -> Tensor:
    return (prompts >= 0)[:, None, None].to(x).expand_as(x)


def test_shared_guidance_is_per_channel() -> None:
    everything = tuple(range(8))
    legs = Region(everything, 0, 1, channels=(0, 2))
    arms = Region(everything, 1, 1, channels=(1, 3))
    graph = Graph(8, (legs, arms), ("a", "b"), n_channels=CHANNELS)
    x = canvas(graph)
    out = compose(graph, Network(), guidance=Guidance(3.0))(x, SIGMA)
    torch.testing.assert_close(out, compose(graph, guided_by_hand(3.0))(x, SIGMA), **TIGHT)


def test_averages_have_nothing_to_share() -> None:
    graph = graph_of(chain_windows([7, 9, 6], [3, 2]), [0, 1, 2])
    x = canvas(graph)
    out = average(graph, Network(), guidance=Guidance(3.0))(x, SIGMA)
    torch.testing.assert_close(out, average(graph, guided_by_hand(3.0))(x, SIGMA), **TIGHT)


def test_regions_write_their_channels_only() -> None:
    everything = tuple(range(10))
    legs = Region(everything, 0, 1, channels=(0, 2))
    arms = Region(everything[:6], 1, 1, channels=(1, 3))
    rest = Region(everything[4:], 2, 1, channels=(1, 3))
    shared = Region(everything[4:6], None, -1, channels=(1, 3))
    graph = Graph(10, (legs, arms, rest, shared), ("a", "b", "c"), n_channels=CHANNELS)
    x = canvas(graph)
    out = compose(graph, Network())(x, SIGMA)
    torch.testing.assert_close(out, looped(graph, Network(), x, SIGMA), **TIGHT)
    alone = Network()(x, SIGMA, torch.zeros(2, dtype=torch.int64), torch.full((2,), 10))
    torch.testing.assert_close(out[..., [0, 2]], alone[..., [0, 2]], **TIGHT)


def test_gradients_reach_the_canvas() -> None:
    graph = graph_of(chain_windows([4, 5], [2]), [0, None])
    x = canvas(graph, samples=1).requires_grad_()
    smooth = lambda x, sigma, prompts, lengths: torch.tanh(x) + x.mean(1, keepdim=True)  # noqa: E731
    assert torch.autograd.gradcheck(lambda x: compose(graph, smooth)(x, SIGMA), x)


# --- how good the approximation is: Gaussians, where the truth is known ---


def relative_score_error(graph: Graph, covariance: Tensor, sigma: float) -> float:
    generator = torch.Generator().manual_seed(8)
    clean = torch.linalg.cholesky(covariance) @ torch.randn(graph.n_frames, 64, generator=generator).double()
    x = (clean + sigma * torch.randn(clean.shape, generator=generator).double())[None]
    composed = x0_to_score(x, sigma, compose(graph, gaussian_windows(graph.regions, covariance))(x, sigma))
    exact = x0_to_score(x, sigma, posterior_mean(covariance, x, sigma))
    return ((composed - exact).norm() / exact.norm()).item()


@pytest.mark.parametrize(
    ("overlap", "sigmas"), [(1, [1e-3, 3e-3, 1e-2, 3e-2]), (2, [1e-2, 2e-2, 4e-2]), (3, [0.03, 0.06])]
)
def test_a_markov_chain_is_exact_only_as_the_noise_vanishes(overlap: int, sigmas: list[float]) -> None:
    # The known limit: noise breaks the Markov property. Where windows share one frame the error grows as
    # sigma squared, and every further frame of overlap adds two to the power; in pure noise it is gone again.
    graph = graph_of(chain_windows([12, 12, 12], [overlap, overlap]), [None, None, None])
    place = torch.arange(graph.n_frames, dtype=torch.float64)
    covariance = 0.8 ** (place[:, None] - place).abs()
    errors = [relative_score_error(graph, covariance, sigma) for sigma in sigmas]
    slope = np.polyfit(np.log(sigmas), np.log(errors), 1)[0]
    assert slope == pytest.approx(2 * overlap, abs=0.1 * overlap)
    assert relative_score_error(graph, covariance, 1.0) > 0.01
    assert relative_score_error(graph, covariance, 100.0) < 1e-3


@pytest.mark.parametrize("sigma", [1e-3, 0.1, 1.0, 30.0])
def test_independent_blocks_are_exact_at_every_noise_level(sigma: float) -> None:
    graph = graph_of(chain_windows([12, 12, 12], [3, 3]), [None, None, None])
    generator = torch.Generator().manual_seed(2)
    blocks = []
    for size in (9, 3, 6, 3, 9):  # what a window has alone, and what it shares
        root = torch.randn(size, size, generator=generator, dtype=torch.float64)
        blocks.append(root @ root.T / size + 0.1 * torch.eye(size, dtype=torch.float64))
    covariance = torch.block_diag(*blocks)
    assert relative_score_error(graph, covariance, sigma) < 1e-8


def test_the_average_is_not_exact_where_the_sum_is() -> None:
    graph = graph_of(chain_windows([8, 8], [4]), [None, None])
    place = torch.arange(graph.n_frames, dtype=torch.float64)
    covariance = 0.9 ** (place[:, None] - place).abs()
    x, sigma = canvas(graph, samples=1), 1e-2
    exact = x0_to_score(x, sigma, posterior_mean(covariance, x, sigma))
    errors = []
    for method, regions in ((compose, graph.regions), (average, graph.windows)):
        out = method(graph, gaussian_windows(regions, covariance))(x, sigma)
        errors.append((x0_to_score(x, sigma, out) - exact).norm() / exact.norm())
    assert errors[0] < 1e-6 and errors[1] > 1e-2


# --- errors ---


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 8, CHANNELS), "canvas: got shape (2, 8, 4); allowed: (samples, 9, channels)"),
        ((9, CHANNELS), "canvas: got shape (9, 4)"),
        ((1, 9, 3), "canvas: got 3 channels; this graph was made for 4"),
    ],
)
def test_a_canvas_of_another_shape_is_refused(shape: tuple[int, ...], message: str) -> None:
    graph = Graph(9, (Region(tuple(range(9)), None, 1),), (), n_channels=CHANNELS)
    with pytest.raises(GraphError, match=re.escape(message)):
        compose(graph, Network())(torch.zeros(shape), SIGMA)


def test_averaging_windows_with_channels_of_their_own_is_refused() -> None:
    parts = tuple(Region((0, 1), None, 1, channels=(k,)) for k in range(2))
    with pytest.raises(GraphError, match="region 0 writes some channels only; averaging needs windows"):
        average(Graph(2, parts, (), n_channels=2), Network())
