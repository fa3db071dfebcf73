"""Composition against the official code's vectors, its defects among them.

There, images are windowed along their width; their rows and colours are our channels.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_graphs import chain_windows, cycle_windows, graph_of
from torch import Tensor

from collage_motion.compose import average, compose
from collage_motion.denoiser import noise_to_x0, x0_to_noise
from collage_motion.graph import Graph
from collage_motion.samplers.edm import edm, slopes_weight

SIGMA = 0.6  # any: the noise predictor does not depend on it
KNOWN = {
    *("window", "overlap", "num_windows", "t"),
    *("line/x", "line/windows", "line/eps_condind", "line/eps_avglong_as_shipped", "line/eps_true_average"),
    *("circle/x", "circle/eps_condind_as_shipped", "circle/eps_condind_bethe"),
    *("circle/eps_average", "circle/average_shift"),
    *("edm/rev_ts", "edm/x_T", "edm/result"),
}


@pytest.fixture(scope="module")
def official(golden: Path) -> dict[str, np.ndarray]:
    return dict(np.load(golden / "diffcollage.npz"))


def as_canvas(image: np.ndarray) -> Tensor:
    """(1, colours, height, width) -> (1, width, colours * height)."""
    return torch.from_numpy(image).flatten(1, 2).transpose(1, 2)


def as_image(canvas: Tensor, like: np.ndarray) -> np.ndarray:
    return canvas.transpose(1, 2).reshape(like.shape).numpy()


def toy_noise(t: float):
    """The file's noise predictor, as a denoiser of windows."""

    def denoise(x: Tensor, sigma: float, prompts: Tensor, lengths: Tensor) -> Tensor:
        column = torch.arange(x.shape[1]).to(x)
        mean = x.sum(1, keepdim=True) / lengths[:, None, None]  # padding is zero
        noise = torch.tanh(x) + 0.3 * t * mean + 0.01 * column[:, None]
        return noise_to_x0(x, sigma, noise)

    return denoise


def official_graph(official: dict[str, np.ndarray], circle: bool) -> Graph:
    count, window, overlap = (int(official[name]) for name in ("num_windows", "window", "overlap"))
    if circle:
        return graph_of(cycle_windows(count, window, overlap), [None] * count, cyclic=True)
    return graph_of(chain_windows([window] * count, [overlap] * (count - 1)), [None] * count)


def noise_of(method, official: dict[str, np.ndarray], kind: str, shift: int = 0) -> np.ndarray:
    x = as_canvas(official[f"{kind}/x"]).roll(-shift, 1)
    denoise = method(official_graph(official, kind == "circle"), toy_noise(float(official["t"])))
    return as_image(x0_to_noise(x, SIGMA, denoise(x, SIGMA)).roll(shift, 1), official[f"{kind}/x"])


@pytest.mark.golden
def test_every_array_of_the_official_file_is_known(official: dict[str, np.ndarray]) -> None:
    assert set(official) == KNOWN


@pytest.mark.golden
def test_windows_of_a_line_are_the_official_ones(official: dict[str, np.ndarray]) -> None:
    seen: list[Tensor] = []
    graph, x = official_graph(official, circle=False), as_canvas(official["line/x"])
    compose(graph, lambda x, sigma, prompts, lengths: seen.append(x) or x)(x, SIGMA)
    windows = official["line/windows"]
    for mine, theirs in zip(seen[0], windows, strict=False):
        np.testing.assert_array_equal(as_image(mine[None], theirs[None])[0], theirs)
    assert len(seen) == 1 and len(seen[0]) == 2 * len(windows) - 1


@pytest.mark.golden
@pytest.mark.parametrize(
    ("method", "kind", "name"),
    [
        (compose, "line", "line/eps_condind"),
        (average, "line", "line/eps_true_average"),
        (compose, "circle", "circle/eps_condind_bethe"),
    ],
)
def test_composition_equals_the_official_vectors(official, method, kind: str, name: str) -> None:
    np.testing.assert_allclose(noise_of(method, official, kind), official[name], rtol=0, atol=1e-10)


@pytest.mark.golden
def test_averaging_on_a_rolled_circle_equals_the_official_vector(official: dict[str, np.ndarray]) -> None:
    got = noise_of(average, official, "circle", shift=int(official["circle/average_shift"]))
    np.testing.assert_allclose(got, official["circle/eps_average"], rtol=0, atol=1e-10)


@pytest.mark.golden
def test_the_official_seam_of_a_circle_is_not_repeated(official: dict[str, np.ndarray]) -> None:
    # As shipped, the seam is the mean of head and tail sums; everywhere else the two agree.
    ours, theirs = noise_of(compose, official, "circle"), official["circle/eps_condind_as_shipped"]
    seam = int(official["overlap"])
    assert np.abs(ours[..., :seam] - theirs[..., :seam]).min() > 1e-6
    np.testing.assert_allclose(ours[..., seam:], theirs[..., seam:], rtol=0, atol=1e-10)


@pytest.mark.golden
def test_the_official_average_that_sums_is_not_repeated(official: dict[str, np.ndarray]) -> None:
    # As shipped, overlaps are added up and not divided by their number.
    ours, theirs = noise_of(average, official, "line"), official["line/eps_avglong_as_shipped"]
    cover = np.zeros(ours.shape[-1])
    for region in official_graph(official, circle=False).windows:
        cover[list(region.frames)] += 1
    np.testing.assert_allclose(ours * cover, theirs, rtol=0, atol=1e-10)
    assert np.abs(ours - theirs)[..., cover > 1].mean() > 0.1


@pytest.mark.golden
def test_the_official_second_order_run_is_ours(official: dict[str, np.ndarray]) -> None:
    def predictor(x: Tensor, sigma: float, prompts: Tensor, lengths: Tensor) -> Tensor:
        column = torch.arange(x.shape[1]).to(x)[:, None]
        noise = x * sigma / (1 + sigma**2) + 0.01 * column / (1 + sigma)
        return noise_to_x0(x, sigma, noise)

    composed = compose(official_graph(official, circle=False), predictor)
    x = as_canvas(official["edm/x_T"])
    levels = official["edm/rev_ts"].astype(float).tolist()
    out = edm(lambda x, sigma: composed(x, sigma).clamp(-1, 1), x, levels, weigh=slopes_weight)
    np.testing.assert_allclose(as_image(out, official["edm/x_T"]), official["edm/result"], rtol=0, atol=1e-5)
