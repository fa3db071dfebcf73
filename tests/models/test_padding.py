"""Networks without a frame mask see exactly 196 frames: the window's first, and behind them only what they should."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tiny_model import CONFIG, write_tiny_model
from torch import Tensor

from collage_motion.card import Limits
from collage_motion.compose import Guidance, average, compose
from collage_motion.denoiser import budgeted
from collage_motion.errors import CollageError, GraphError, ModelError
from collage_motion.graph import Graph, Region
from collage_motion.models import Model, load_model
from collage_motion.models.mdm import MDM, MdmConfig
from collage_motion.noise import frame_noise
from collage_motion.padding import NOISE_STREAM, Padding, PaddingKind
from collage_motion.pipeline import Settings, generate, generate_many, sample
from collage_motion.plan import Segment, plan_from_prompts
from collage_motion.text import Words
from collage_motion.topology import Branch, build, chain, cycle, tree

LIMITS = Limits(10, 196, 20)
PLAN = plan_from_prompts(["walk::6", "run::5", "jump::7"])
C = 3


class Recorder:
    """A window denoiser that mixes all frames it is shown, as a network without a mask does, and keeps them."""

    def __init__(self) -> None:
        self.calls: list[tuple[Tensor, Tensor, Tensor]] = []

    def __call__(self, x: Tensor, sigma: float, prompts: Tensor, lengths: Tensor) -> Tensor:
        self.calls.append((x.clone(), prompts.clone(), lengths.clone()))
        return x / (1 + sigma) + torch.tanh(x).mean(dim=1, keepdim=True) + 0.1 * prompts[:, None, None]


def seen(
    graph: Graph, kind: PaddingKind, x: Tensor, sigma: float = 2.0, seeds: tuple[int, ...] = (4,)
) -> Tensor:
    recorder = Recorder()
    compose(graph, recorder, Padding(196, seeds, kind))(x, sigma)
    ((windows, _, lengths),) = recorder.calls
    assert windows.shape == (len(seeds) * len(graph.regions), 196, x.shape[2])
    assert lengths.tolist() == [196] * len(windows)
    return windows


GUIDED = Guidance(2.5)


def canvas(graph: Graph, samples: int = 1, seed: int = 0) -> Tensor:
    return torch.randn(samples, graph.n_frames, C, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("make", [chain, cycle])
def test_zeros_and_noise_of_the_level_stand_behind_a_window(make) -> None:  # type: ignore[no-untyped-def]
    graph = make(PLAN, LIMITS)
    x = canvas(graph)
    for sigma in (0.5, 30.0):
        windows = seen(graph, "zeros", x, sigma)
        for region, window in zip(graph.regions, windows, strict=True):
            frames = region.frames
            torch.testing.assert_close(window[: len(frames)], x[0, list(frames)])
            behind = frame_noise(4, 196 - len(frames), C, NOISE_STREAM, start=frames[-1] + 1)
            torch.testing.assert_close(window[len(frames) :], sigma * torch.from_numpy(behind))
    spread = seen(graph, "zeros", x, 10.0)[:, 150:]
    assert 9.0 < spread.std() < 11.0 and abs(spread.mean()) < 1.0


def test_the_canvas_that_follows_stands_behind_a_window() -> None:
    graph = chain(PLAN, LIMITS)
    x = canvas(graph)
    noise = torch.from_numpy(frame_noise(4, 196, C, NOISE_STREAM, start=graph.n_frames))
    longer = torch.cat((x[0], 2.0 * noise))  # behind the canvas: zeros and noise
    for region, window in zip(graph.regions, seen(graph, "canvas", x), strict=True):
        torch.testing.assert_close(window, longer[region.frames[0] :][:196])
    assert graph.regions[0].frames[-1] + 196 < len(longer)


def test_on_a_cycle_the_canvas_goes_on_around_the_seam() -> None:
    graph = cycle(plan_from_prompts(["walk::3", "run::4"], loop=True), LIMITS)
    assert graph.n_frames == 140  # shorter than what the network sees
    x = canvas(graph)
    for region, window in zip(graph.regions, seen(graph, "canvas", x), strict=True):
        places = (region.frames[0] + torch.arange(196)) % 140
        torch.testing.assert_close(window, x[0, places])


def test_on_a_tree_no_branch_stands_behind_another() -> None:
    plans = [
        plan_from_prompts([f"{word}::{seconds}"]) for word, seconds in (("walk", 5), ("run", 4), ("jump", 3))
    ]
    graph = tree(Branch(plans[0], (Branch(plans[1]), Branch(plans[2]))), LIMITS, overlap=1.0)
    x = canvas(graph)
    noise = torch.from_numpy(frame_noise(4, graph.n_frames + 196, C, NOISE_STREAM))
    windows = seen(graph, "canvas", x)
    for region, window in zip(graph.windows, windows, strict=False):  # the stem ends in a fork, branches end
        own, last = len(region.frames), region.frames[-1]
        torch.testing.assert_close(window[:own], x[0, list(region.frames)])
        torch.testing.assert_close(window[own:], 2.0 * noise[last + 1 :][: 196 - own])
    lone = tree(
        Branch(plans[0], (Branch(plans[1]),)), LIMITS, overlap=1.0
    )  # no fork: it goes on as a chain does
    x = canvas(lone)
    torch.testing.assert_close(seen(lone, "canvas", x)[0, :180], x[0])


def test_clips_set_side_by_side_do_not_stand_behind_one_another() -> None:
    graph = chain(plan_from_prompts(["walk::3", "run::4"]), LIMITS, overlap=0.0)
    x = canvas(graph)
    torch.testing.assert_close(seen(graph, "canvas", x), seen(graph, "zeros", x))


@pytest.mark.parametrize("kind", ["zeros", "canvas"])
def test_what_is_predicted_behind_a_window_counts_nowhere(kind: PaddingKind) -> None:
    graph = chain(PLAN, LIMITS)
    x = canvas(graph, 2)
    padding = Padding(196, (1, 2), kind)

    def shouting(windows: Tensor, sigma: float, prompts: Tensor, lengths: Tensor) -> Tensor:
        out = windows.clone()
        for row in range(len(out)):  # `average` shows windows only, which come first
            out[row, len(graph.regions[row % (len(out) // 2)].frames) :] = 1e9
        return out

    for whole in (compose, average):
        torch.testing.assert_close(whole(graph, shouting, padding)(x, 1.0), x, rtol=0, atol=1e-5)


def test_a_window_does_not_feel_the_others() -> None:
    graph = chain(PLAN, LIMITS, overlap=1.0)
    first = graph.regions[0]
    x = canvas(graph)
    changed = x.clone()
    changed[:, len(first.frames) :] += 5.0
    alone = Graph(len(first.frames), (Region(first.frames, 0, 1),), graph.prompts[:1])
    for other, y in ((graph, changed), (alone, x[:, : len(first.frames)])):
        torch.testing.assert_close(seen(other, "zeros", y)[0], seen(graph, "zeros", x)[0], rtol=0, atol=0)
    assert not torch.equal(seen(graph, "canvas", changed)[0], seen(graph, "canvas", x)[0])


@pytest.mark.parametrize("kind", ["zeros", "canvas"])
def test_neither_batches_nor_budgets_nor_guidance_change_the_rows(kind: PaddingKind) -> None:
    graph = chain(PLAN, LIMITS)
    x = canvas(graph, 3)
    seeds = (7, 8, 9)
    together = compose(graph, Recorder(), Padding(196, seeds, kind), GUIDED)(x, 3.0)
    for k, seed in enumerate(seeds):
        alone = compose(graph, Recorder(), Padding(196, (seed,), kind), GUIDED)(x[k : k + 1], 3.0)
        torch.testing.assert_close(alone[0], together[k])
    for tokens in (1, 196, 500):
        recorder = Recorder()
        split = compose(graph, budgeted(recorder, tokens), Padding(196, seeds, kind), GUIDED)(x, 3.0)
        torch.testing.assert_close(split, together)
        assert {call[0].shape[1] for call in recorder.calls} == {196}
    assert not torch.equal(seen(graph, kind, x[:1], seeds=(7,)), seen(graph, kind, x[:1], seeds=(8,)))


def test_a_full_window_is_shown_as_it_is() -> None:
    graph = chain(plan_from_prompts(["walk::9.8"]), LIMITS)
    x = canvas(graph)
    plain = compose(graph, Recorder())(x, 1.0)
    for kind in ("zeros", "canvas"):
        torch.testing.assert_close(compose(graph, Recorder(), Padding(196, (0,), kind))(x, 1.0), plain)  # type: ignore[arg-type]


def test_precision_of_the_canvas_is_kept() -> None:
    graph = chain(PLAN, LIMITS)
    assert compose(graph, Recorder(), Padding(196, (0,)))(canvas(graph).double(), 1.0).dtype == torch.float64


def test_what_does_not_fit_is_refused() -> None:
    graph = chain(PLAN, LIMITS, overlap=1.0)
    with pytest.raises(CollageError, match="padding: got 'mirror'; allowed: zeros, canvas"):
        Padding(196, (0,), "mirror")  # type: ignore[arg-type]
    with pytest.raises(CollageError, match="padding: got 'mirror'"):
        Settings(padding="mirror")  # type: ignore[arg-type]
    with pytest.raises(GraphError, match="a window holds 150 frames; this model's network sees 100"):
        compose(graph, Recorder(), Padding(100, (0,)))
    with pytest.raises(GraphError, match="got 2 samples; the padding has 1 seeds"):
        compose(graph, Recorder(), Padding(196, (0,)))(canvas(graph, 2), 1.0)


class Pooled:
    """A text encoder with one feature a prompt."""

    def encode(self, prompts: list[str]) -> Words:
        features = np.stack([np.full((1, 8), len(prompt) / 10, np.float32) for prompt in prompts])
        return Words(features, np.ones((len(prompts), 1), bool), pooled=True)


@pytest.fixture
def unmasked(tmp_path: Path) -> Model:
    """A tiny model of the first kind: encoder, pooled text, no mask, 196 frames."""
    folder = write_tiny_model(tmp_path / "unmasked")
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(
        json.dumps(card | {"mask_frames": False, "padding": 196, "max_frames": 196})
    )
    model = load_model(folder)
    torch.manual_seed(1)
    network = MDM(MdmConfig("trans_enc", 16, 32, 1, 2, 0.0, text_dim=8)).eval().requires_grad_(False)
    return Model(model.card, network, Pooled(), model.schedule, model.normaliser, model.device)  # type: ignore[arg-type]


def test_the_network_of_a_pipeline_sees_196_frames(unmasked: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[tuple[int, ...]] = []
    real = MDM.forward

    def forward(self, x, timesteps, text, text_mask=None, lengths=None):  # type: ignore[no-untyped-def]
        assert text.ndim == 2 and text_mask is None and lengths is None
        shapes.append(tuple(x.shape))
        return real(self, x, timesteps, text, text_mask, lengths)

    monkeypatch.setattr(MDM, "forward", forward)
    plan = plan_from_prompts(["a person walks::3", "a person runs::2.5"])
    quick = {"steps": 3, "overlap": 0.5}
    many = generate_many(plan, [0, 7], unmasked, **quick)
    assert {shape[1:] for shape in shapes} == {(263, 1, 196)}
    for seed, motion in zip((0, 7), many, strict=True):
        alone = generate(plan, unmasked, seed=seed, max_tokens=200, **quick)
        np.testing.assert_allclose(motion.features, alone.features, atol=1e-4)
    assert {shape[1:] for shape in shapes} == {(263, 1, 196)}
    other = generate(plan, unmasked, padding="canvas", **quick)
    assert other.settings["padding"] == "canvas" and not np.allclose(other.features, many[0].features)
    assert [Segment(**s).prompt for s in other.settings["plan"]["segments"]] == [
        "a person walks",
        "a person runs",
    ]


def test_a_masked_network_is_shown_windows_as_they_are(tmp_path: Path) -> None:
    model = load_model(write_tiny_model(tmp_path / "masked"))
    graph = build(plan_from_prompts(["a person walks::3"]), model.card)
    results = [sample(graph, model, [0], Settings(steps=2, padding=kind)) for kind in ("zeros", "canvas")]  # type: ignore[arg-type]
    np.testing.assert_array_equal(results[0], results[1])


def test_a_model_without_null_prompt_is_not_guided(unmasked: Model) -> None:
    unmasked.card.text["null_prompt"] = False
    plan = plan_from_prompts(["a person walks::3", "a person runs::2.5"])
    motion = generate(plan, unmasked, steps=2, overlap=0.5, guidance=4.0)
    assert motion.settings["guidance"] == 1.0 and motion.settings["variables"] == "prompt"


def test_a_card_must_pad_to_its_longest_window(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "m")
    card = json.loads((folder / "card.json").read_text())
    for padding, message in (
        (100, "'padding' is 100; allowed is at least 'max_frames', 120"),
        ("x", "'padding' is"),
    ):
        (folder / "card.json").write_text(json.dumps(card | {"padding": padding}))
        with pytest.raises(ModelError, match=message):
            load_model(folder)


def test_text_features_of_another_width_are_refused(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "m")
    config = {**CONFIG.as_dict(), "word_dim": 64}
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | {"architecture": config}))
    save_file(MDM(MdmConfig(**config)).state_dict(), folder / "model.safetensors")
    with pytest.raises(ModelError, match="features of 96 numbers; the network was trained on 64"):
        load_model(folder)
