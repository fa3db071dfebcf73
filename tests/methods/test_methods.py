"""Every method on windows whose exact denoiser is known: what they share, what each costs, what each refuses."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from gaussian_fields import gaussian, levels, markov, stationary_windows
from torch import Tensor

from collage_motion.card import Limits
from collage_motion.compose import average, compose, weighted
from collage_motion.errors import CollageError, GraphError
from collage_motion.graph import Graph, Region
from collage_motion.methods import METHODS, ON_GRAPHS, get_method
from collage_motion.methods.handshake import MARGIN, transition
from collage_motion.methods.job import Job
from collage_motion.methods.seam_factors import with_seam_factors
from collage_motion.methods.sliding import frame_prompts, stretches_of
from collage_motion.methods.tally import Tally
from collage_motion.noise import canvas_noise
from collage_motion.padding import Padding
from collage_motion.plan import Plan, Segment
from collage_motion.samplers.euler import euler
from collage_motion.topology import build
from collage_motion.weights import depth_weights

LIMITS = Limits(min_frames=8, max_frames=24, fps=10, min_variable_frames=4)
PLAN = Plan((Segment("walk", 2.0), Segment("run", 1.6), Segment("wave", 5.2)))
"""88 frames: windows of 23, 22, and the last prompt's 55 in three."""
OVERLAP = 0.6
ALL = [name for name in METHODS if name != "collage"]


def graph_of_plan(plan: Plan = PLAN, overlap: float = OVERLAP) -> Graph:
    return build(plan, LIMITS, overlap)


def job(graph: Graph, samples: int = 2, steps: int = 6, tally: Tally | None = None, bind=None, **more) -> Job:
    tally = tally or Tally()

    def stationary(prompts: Sequence[str]):
        return tally.round(tally.network(stationary_windows(means=tuple(0.1 * len(p) for p in prompts))))

    def noise(stream: int, start: int = 0, count: int | None = None) -> Tensor:
        count = graph.n_frames - start if count is None else count
        return torch.from_numpy(canvas_noise(range(samples), count, 3, stream, start)).double()

    return Job(graph, bind or stationary, euler, levels(steps), noise, LIMITS, **more)


@pytest.mark.parametrize("name", METHODS)
def test_one_window_is_the_plain_model(name: str) -> None:
    graph = graph_of_plan(Plan((Segment("walk", 2.0),)))
    made = get_method(name)(job(graph))
    covariance = markov(20)
    mean = 0.1 * len("walk")
    start = torch.from_numpy(canvas_noise([0, 1], 20, 3)).double() * levels(6)[0]
    plain = euler(lambda x, sigma: mean + gaussian(covariance)(x - mean, sigma), start, levels(6))
    torch.testing.assert_close(made, plain)


@pytest.mark.parametrize("name", METHODS)
def test_samples_are_the_same_alone_and_together(name: str) -> None:
    together = get_method(name)(job(graph_of_plan(), samples=3))
    assert together.shape == (3, 88, 3) and together.isfinite().all()
    torch.testing.assert_close(together[:1], get_method(name)(job(graph_of_plan(), samples=1)))


def test_what_each_costs() -> None:
    steps, counted = 10, {}
    for name in METHODS:
        tally = Tally()
        told: list[tuple[int, int]] = []
        get_method(name)(
            job(graph_of_plan(), 2, steps, tally, progress=lambda *step, to=told: to.append(step))
        )
        counted[name] = (tally.rounds / steps, tally.rows / steps / 2)
        assert [done for done, _ in told] == list(range(1, len(told) + 1)) and {t for _, t in told} == {
            len(told)
        }
        assert len(told) == tally.rounds == tally.calls
    assert counted == {
        "collage": (1, 9),  # 5 windows, 4 overlaps
        "blend": (1, 9),
        "consensus": (1, 5),
        "naive": (1, 1),
        "replacement": (8, 8),  # 20 frames, then twice 8, then five times 10 or 11
        "reconstruction": (8, 8),
        "handshake": (1.9, 5 + 0.9 * 4),
    }


def test_the_two_ends_of_the_blend() -> None:
    graph = graph_of_plan()
    for share, other in ((1.0, "collage"), (0.0, "consensus")):
        for taper in (0, 3):
            made = get_method("blend")(job(graph, share=share, taper=taper))
            torch.testing.assert_close(made, get_method(other)(job(graph, taper=taper)))
    assert not torch.allclose(get_method("collage")(job(graph)), get_method("collage")(job(graph, taper=3)))
    # One step: linear in between.
    a, b, half = (get_method("blend")(job(graph, steps=1, share=s)) for s in (0.0, 1.0, 0.5))
    torch.testing.assert_close(half, (a + b) / 2)
    with pytest.raises(CollageError, match=r"blend: got 1\.5; allowed: 0"):
        get_method("blend")(job(graph, share=1.5))


def test_replacement_with_a_spread_goes_on_more_smoothly() -> None:
    """At once it is the paper's; with a spread the first new frame of a window is nearer to the last known one."""
    graph = graph_of_plan()
    steps = []
    for spread in (0.0, 6.0):
        task = job(graph, spread=spread)
        fresh = [stretch.fresh for stretch in stretches_of(graph, task.limits) if stretch.fresh]
        made = get_method("replacement")(task)
        steps.append(np.mean([(made[:, at] - made[:, at - 1]).abs().mean() for at in fresh]))
    assert steps[1] < 0.9 * steps[0]


def test_weights_of_ones_own_must_sum_to_one() -> None:
    graph = graph_of_plan()
    weights = np.where(graph.index.valid, graph.index.counts[:, None], 0).astype(float)
    x = torch.randn(1, 88, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        weighted(graph, stationary_windows((0, 0, 0)), weights)(x, 0.5),
        compose(graph, stationary_windows((0, 0, 0)))(x, 0.5),
    )
    weights[0, 3] += 0.5
    with pytest.raises(GraphError, match=r"weights: at frame 3 they sum to 1\.5"):
        weighted(graph, stationary_windows(), weights)
    with pytest.raises(GraphError, match="weights: got shape"):
        weighted(graph, stationary_windows(), weights[:, 1:])


def test_depth_weights_pass_evenly_from_window_to_window() -> None:
    graph = graph_of_plan()
    weights = depth_weights(graph)
    on_canvas = np.zeros((len(graph.regions), 88))
    for row in range(len(graph.regions)):
        valid = graph.index.valid[row]
        on_canvas[row, graph.index.frames[row, valid]] = weights[row, valid]
    np.testing.assert_allclose(on_canvas.sum(0), 1.0)
    first, second = graph.regions[0].frames, graph.regions[1].frames
    shared = [f for f in first if f in second]
    np.testing.assert_allclose(on_canvas[1, shared], np.arange(1, 7) / 7)
    assert frame_prompts(graph).tolist() == [0] * 20 + [1] * 16 + [2] * 52


@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.8])
def test_sliding_windows_tile_the_canvas_and_know_half(overlap: float) -> None:
    graph = graph_of_plan(overlap=overlap)
    stretches = list(stretches_of(graph, LIMITS))
    assert [s.fresh for s in stretches] == [0, *(s.stop for s in stretches[:-1])]
    assert stretches[-1].stop == 88
    for stretch in stretches[1:]:
        assert stretch.fresh - stretch.start == stretch.stop - stretch.fresh
        assert LIMITS.min_frames <= stretch.stop - stretch.start <= LIMITS.max_frames
    prompts = [p for s in stretches for p in [s.prompt] * (s.stop - s.fresh)]
    assert prompts == [0] * 20 + [1] * 16 + [2] * 52


@pytest.mark.parametrize("name", ["replacement", "reconstruction"])
def test_autoregressive_windows_continue_what_they_know(name: str) -> None:
    # A strongly correlated chain: neighbouring frames of different windows must agree like any others.
    graph = graph_of_plan(Plan((Segment("walk", 4.4),)))
    windows = stationary_windows(means=(0.0,), correlation=0.95)
    made = get_method(name)(job(graph, samples=300, steps=24, bind=lambda prompts: windows))
    steps = (made[:, 1:] - made[:, :-1]).square().mean(dim=(0, 2))
    starts = [s.fresh for s in stretches_of(graph, LIMITS)][1:]
    assert starts == [9, 17, 26, 35]  # halves of the 18 frames into which the graph splits the 44
    seams = steps[[f - 1 for f in starts]]
    # A step has variance 2 (1 - 0.95) = 0.1, between independent windows it would be 2.
    inner = steps[[f for f in range(43) if f + 1 not in starts]].mean()
    assert inner == pytest.approx(0.1, rel=0.25)
    assert seams.max() < 0.4


def test_the_second_take_changes_what_surrounds_overlaps_only() -> None:
    graph = graph_of_plan(Plan((Segment("walk", 2.0), Segment("run", 2.0))), overlap=0.6)
    made = get_method("handshake")(job(graph))
    first = job(graph).sample(weighted(graph, job(graph).windows(), depth_weights(graph)))
    (variable,) = graph.variables
    around = transition(graph, variable, LIMITS.max_frames)
    assert len(around.frames) == LIMITS.max_frames and around.fresh.max() == 1.0
    touched = np.zeros(40, bool)
    touched[around.frames[around.fresh > 0]] = True
    assert torch.equal(made[:, ~touched], first[:, ~touched])
    assert not torch.allclose(made[:, touched], first[:, touched])
    whole = transition(graph, variable, 1000)  # by the canvas
    assert whole.frames.tolist() == list(range(40)) and MARGIN > 20


def test_transitions_of_a_loop_reach_around_its_seam() -> None:
    plan = Plan((Segment("walk", 1.6), Segment("run", 1.6)), loop=True)
    graph = graph_of_plan(plan)
    ends = [transition(graph, region, 20).frames.tolist() for region in graph.variables]
    assert [(f[0], f[-1]) for f in ends] == [(6, 25), (22, 9)]
    made = get_method("handshake")(job(graph))
    assert made.isfinite().all()


@pytest.mark.parametrize("name", ["collage", "consensus", "blend", "handshake"])
def test_rolling_a_loop_rolls_the_result(name: str) -> None:
    plan = Plan((Segment("walk", 2.0), Segment("run", 2.0), Segment("wave", 2.0)), loop=True)
    rolled = Plan(plan.segments[1:] + plan.segments[:1], loop=True)
    one, other = job(graph_of_plan(plan)), job(graph_of_plan(rolled))
    other = replace(other, noise=lambda stream: one.noise(stream).roll(-20, dims=1))
    torch.testing.assert_close(get_method(name)(other), get_method(name)(one).roll(-20, dims=1))


def test_naive_says_all_prompts_at_once() -> None:
    said = []

    def bind(prompts: Sequence[str]):
        said.append(tuple(prompts))
        return stationary_windows(means=(0.7,))

    made = get_method("naive")(job(graph_of_plan(), bind=bind))
    assert said == [("walk, then run, then wave",)]
    start = job(graph_of_plan()).noise(0) * levels(6)[0]
    plain = euler(lambda x, sigma: 0.7 + gaussian(markov(88))(x - 0.7, sigma), start, levels(6))
    torch.testing.assert_close(made, plain)


@pytest.mark.parametrize("name", METHODS)
def test_networks_that_need_padding_get_it(name: str) -> None:
    widths = set()

    def bind(prompts: Sequence[str]):
        def denoise(x: Tensor, sigma: float, rows: Tensor, lengths: Tensor) -> Tensor:
            widths.add(x.shape[1])
            assert (lengths == x.shape[1]).all()
            return x / (1 + sigma**2)

        return denoise

    made = get_method(name)(job(graph_of_plan(), bind=bind, padding=Padding(30, (0, 1))))
    # Frames that know nothing of one another: every method must give the same.
    alone = get_method("collage")(job(graph_of_plan(), bind=bind, padding=Padding(30, (0, 1))))
    if name not in ("handshake", "replacement", "reconstruction"):
        torch.testing.assert_close(made, alone)
    assert widths == ({88, 30} if name == "naive" else {30})


@pytest.mark.parametrize("name", ["naive", "replacement", "reconstruction"])
def test_loops_are_refused_by_methods_that_cannot_close_them(name: str) -> None:
    plan = Plan((Segment("walk", 2.0), Segment("run", 2.0)), loop=True)
    with pytest.raises(CollageError, match=f"method {name}: .* cannot close a loop"):
        get_method(name)(job(graph_of_plan(plan)))


@pytest.mark.parametrize("name", ["replacement", "reconstruction", "handshake"])
def test_conditions_are_refused_by_methods_that_do_not_see_the_canvas(name: str) -> None:
    with pytest.raises(CollageError, match="does not see the whole canvas"):
        get_method(name)(job(graph_of_plan(), condition=lambda denoise: denoise))
    assert name not in ON_GRAPHS


@pytest.mark.parametrize("name", METHODS)
def test_graphs_that_are_no_lines_are_refused_by_methods_that_need_one(name: str) -> None:
    # Two branches behind a common stem, as a tree has them.
    stem, one, other = tuple(range(8)), tuple(range(8, 16)), tuple(range(16, 24))
    regions = (
        Region(stem + one, 0, 1),
        Region(stem + other, 1, 1),
        Region(stem, None, -1),
    )
    tree = Graph(24, regions, ("walk", "run"), ((0, 8), (8, 16), (16, 24)))
    if name in ON_GRAPHS:
        assert get_method(name)(job(tree)).isfinite().all()
    else:
        with pytest.raises(GraphError, match=f"method {name}: needs windows one behind the other"):
            get_method(name)(job(tree))
    with pytest.raises(GraphError, match="seam factors: needs windows"):
        with_seam_factors(tree, LIMITS)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(CollageError, match="method: got 'magic'; allowed: collage, naive,"):
        get_method("magic")


def test_the_average_still_averages() -> None:
    graph = graph_of_plan()
    x = torch.randn(1, 88, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    out = average(graph, lambda x, sigma, prompts, lengths: prompts[:, None, None] + torch.zeros_like(x))(
        x, 1.0
    )
    assert out[0, :17].eq(0).all() and out[0, 17:23].eq(0.5).all() and out[0, 23:33].eq(1).all()
