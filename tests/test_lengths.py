"""How long what a prompt asks for usually lasts, whether it travels: from clips to the card, and on to the windows."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_model import write_tiny_model

from collage_motion.card import WordNetwork, load_card, read_card
from collage_motion.data.dataset import Clip
from collage_motion.data.lengths import explained, fit_usual_length, fit_usual_pace, pace
from collage_motion.errors import DataError, ModelError
from collage_motion.lengths import mean_word, travels, usual_seconds, value_of
from collage_motion.methods.sliding import stretches_of
from collage_motion.models import load_model
from collage_motion.pipeline import Settings, generate
from collage_motion.plan import plan_from_prompts
from collage_motion.topology import Branch, segments_of, tree

WIDTH = 96


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path / "tiny")


def with_line(folder: Path, value: object, name: str = "usual_length") -> Path:
    path = folder / "card.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))
    return folder


def clips(count: int, seed: int) -> list[Clip]:
    """Running lasts about a second and a half, at 2.4 m/s; waving about six, on the spot."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        content, seconds = (("run", 1.5), ("wave-both-hands", 6.0))[number % 2]
        frames = round(seconds * 20 * np.exp(0.1 * rng.normal()))
        joints = np.zeros((frames, 22, 3), np.float32)
        if content == "run":
            joints[:, :, 2] = 0.12 * np.arange(frames)[:, None]
        made.append(
            Clip(
                name=f"{seed}/{number}",
                joints=joints,
                content=content,
                style="normal",
                source="made up",
                description="",
                mirrored=False,
            )
        )
    return made


@pytest.mark.slow
def test_the_fit_finds_what_actions_last_and_how_many_last_no_longer() -> None:
    line = fit_usual_length(clips(400, 0))
    share, shorter = explained(line, clips(200, 1), seed=5)
    assert share > 0.85 and 0.4 < shorter < 0.6
    assert line == fit_usual_length(clips(400, 0))
    assert line != fit_usual_length(clips(400, 0), seed=1)


@pytest.mark.slow
def test_the_fit_finds_what_travels() -> None:
    line = fit_usual_pace(clips(400, 0))
    assert explained(line, clips(200, 1), seed=5, measure=pace)[0] > 0.95
    assert value_of(line, mean_word("a man runs")) == pytest.approx(2.4, abs=0.4)
    assert value_of(line, mean_word("waves with both hands")) == pytest.approx(0.0, abs=0.3)


def test_the_pace_of_a_clip_is_metres_over_the_ground_by_seconds() -> None:
    run, wave = clips(2, 0)
    assert pace(run) == pytest.approx(2.4, rel=0.05) and pace(wave) == 0.0
    rising = replace(
        wave, joints=wave.joints + np.linspace(0, 2, len(wave.joints))[:, None, None] * [0, 1, 0]
    )
    assert pace(rising) == pytest.approx(0.0, abs=1e-6)


def test_the_default_model_knows_what_travels() -> None:
    card = load_card()
    there = {
        "a person walks forward", "someone jogs happily", "he walks backward", "an old man walks and turns left",
        "a tired woman is walking slowly", "sprint", "a child runs around",
    }  # fmt: skip
    here = {
        "a person bows", "raises the left hand", "waves with both hands", "a girl says goodbye", "shows the way",
        "kicks", "punches", "dances", "a person", "",
    }  # fmt: skip
    assert {prompt for prompt in there | here if travels(prompt, card)} == there


def test_too_few_clips_are_refused() -> None:
    with pytest.raises(DataError, match="usual lengths and paces: got 99 clips; 100 are needed"):
        fit_usual_length(clips(99, 0))


def test_the_default_model_knows_what_its_actions_last() -> None:
    found = usual_seconds(
        ["a person runs", "raises the left hand", "a man waves with both hands"], load_card()
    )
    run, lift, wave = found.values()
    assert run < wave and lift < wave and all(1 <= seconds <= 8 for seconds in found.values())
    # Steps of a quarter octave, so that many prompts have windows of one length; at the ends the model's limits.
    assert all(abs(4 * np.log2(s) - round(4 * np.log2(s))) < 1e-9 or s in (1, 8) for s in found.values())
    assert usual_seconds(["", "?!", "the of and"], load_card()).keys() == {"", "?!", "the of and"}


@pytest.mark.parametrize(("bias", "seconds"), [(1e300, 6.0), (-1e300, 1.0), (np.log(2.0), 2.0)])
def test_usual_lengths_are_within_the_limits(folder: Path, bias: float, seconds: float) -> None:
    card = replace(read_card(folder), usual_length=WordNetwork(bias, (0.0,) * WIDTH))
    assert usual_seconds(["a person walks"], card) == {"a person walks": pytest.approx(seconds)}


def test_what_a_card_knows_by_hand(folder: Path) -> None:
    known = {"bias": 0.5, "weights": [1.0, -1.0], "units": [[2.0, 0.25, 1.0, 0.0], [-1.0, 0.0, 0.0, 3.0]]}
    card = read_card(with_line(folder, known))
    assert card.usual_length is not None
    told = value_of(card.usual_length, np.array([0.5, 0.2]))
    assert told == pytest.approx(0.5 + 0.3 + 2 * np.tanh(0.75) - np.tanh(0.6))


def test_a_model_that_does_not_know_has_none(folder: Path) -> None:
    card = read_card(folder)
    assert card.usual_length is None and usual_seconds(["a person walks"], card) == {}
    assert card.usual_pace is None and not travels("a person walks", card)


@pytest.mark.parametrize("name", ["usual_length", "usual_pace"])
def test_weights_of_another_width_are_refused(folder: Path, name: str) -> None:
    card = read_card(with_line(folder, {"bias": 1, "weights": [0.5] * 7}, name))
    with pytest.raises(ModelError, match=rf"'{name}.weights' of the card are 7, the word vectors have 96"):
        travels("walks", card) if name == "usual_pace" else usual_seconds(["walks"], card)


@pytest.mark.parametrize(
    "value",
    [
        [1],
        {"bias": 1},
        {"bias": None, "weights": []},
        {"bias": 1, "weights": ["2"]},
        {"bias": True, "weights": [1]},
        {"bias": float("inf"), "weights": [1]},
        {"bias": 0, "weights": [float("nan")]},
        {"bias": 10**400, "weights": [1]},
        {"bias": 0, "weights": [1], "units": [[1, 2]]},
        {"bias": 0, "weights": [1], "units": [1]},
        {"bias": 0, "weights": [1], "units": {"a": 1}},
        {"bias": 0, "weights": [1], "units": [[1, 2, float("nan")]]},
    ],
)
def test_a_broken_field_is_one_error(folder: Path, value: object) -> None:
    for name in ("usual_pace", "usual_length"):
        with pytest.raises(ModelError, match=rf"'{name}' is .*allowed is an object with 'bias'"):
            read_card(with_line(folder, value, name))
        with_line(folder, None, name)


def test_windows_follow_the_usual_length_unless_their_own_is_set(folder: Path) -> None:
    with_line(folder, {"bias": float(np.log(2.0)), "weights": [0.0] * WIDTH})
    model = load_model(folder)
    plan = plan_from_prompts(["a person walks::9"])

    def lengths(**chosen: object) -> list[int]:
        settings = Settings(overlap=0.5, **chosen)
        return [len(window.frames) for window in settings.graph(plan, model.card).windows]

    # By hand: 180 frames are 4.5 x 40, so 4 windows in steps of 42.5 with 10 shared.
    assert all(length in (52, 53) for length in lengths())
    assert max(lengths(window="longest")) > 90 and 60 >= max(lengths(window=3)) > 45
    usual, longest = (
        generate(plan, model, steps=2, overlap=0.5, window=window) for window in ("usual", "longest")
    )
    assert usual.settings["window"] == "usual" and not np.allclose(usual.features, longest.features)


def test_windows_of_what_travels_are_staggered_unless_told_not_to(folder: Path) -> None:
    with_line(folder, {"bias": 1.0, "weights": [0.0] * WIDTH}, "usual_pace")
    model, plan = load_model(folder), plan_from_prompts(["a person walks::14"])
    moved, fixed = (
        generate(plan, model, steps=3, overlap=0.5, stagger_below=level).features for level in (6.0, 0.0)
    )
    assert not np.array_equal(moved, fixed)
    with_line(folder, {"bias": 0.0, "weights": [0.0] * WIDTH}, "usual_pace")
    assert np.array_equal(generate(plan, load_model(folder), steps=3, overlap=0.5).features, fixed)


def test_sliding_windows_are_no_longer_than_those_of_the_graph(folder: Path) -> None:
    with_line(folder, {"bias": float(np.log(2.0)), "weights": [0.0] * WIDTH})
    card = read_card(folder)
    plan = plan_from_prompts(["a person walks::9", "a person runs::2"])
    graph = Settings(overlap=0.5).graph(plan, card)
    longest = max(len(window.frames) for window in graph.windows)
    stretches = list(stretches_of(graph, card.limits))
    assert all(s.stop - s.start <= longest for s in stretches[:-1]) and longest < 60
    assert [s.stop for s in stretches][-1] == graph.n_frames
    whole = list(stretches_of(Settings(overlap=0.5, window="longest").graph(plan, card), card.limits))
    assert len(whole) < len(stretches)


@pytest.mark.parametrize("seconds", [3.25, 3.85, 5.0, 7.3, 11.0])
@pytest.mark.parametrize("usual", [1.0, 1.4, 2.0, 3.3])
def test_sliding_windows_are_within_the_limits(folder: Path, seconds: float, usual: float) -> None:
    with_line(folder, {"bias": float(np.log(usual)), "weights": [0.0] * WIDTH})
    card = read_card(folder)
    for prompts in (["a person runs"], ["a person runs", "a person walks"]):
        plan = plan_from_prompts([f"{prompt}::{seconds}" for prompt in prompts])
        stretches = list(stretches_of(Settings(overlap=0.5).graph(plan, card), card.limits))
        assert all(card.min_frames <= s.stop - s.start <= card.max_frames for s in stretches)
        assert [s.fresh for s in stretches] == [0, *(s.stop for s in stretches[:-1])]


def test_the_graph_of_an_evaluation_is_that_of_the_settings(folder: Path) -> None:
    from collage_motion.eval import sampling
    from collage_motion.eval.protocols import Script

    with_line(folder, {"bias": float(np.log(2.0)), "weights": [0.01] * WIDTH})
    model = load_model(folder)
    for words in (("a person walks",), ("a person runs", "waves", "a person runs")):
        frames = (200, 90, 150)[: len(words)]
        script, settings = Script(words, frames, 0, ()), Settings(overlap=0.5)
        plan = plan_from_prompts([f"{word}::{n / 20}" for word, n in zip(words, frames, strict=True)])
        one, other = sampling.graph_of(script, model, settings), settings.graph(plan, model.card)
        assert [r.frames for r in one.regions] == [r.frames for r in other.regions]
        assert len(one.windows) > len(words)


def test_branches_of_a_tree_follow_the_usual_length(folder: Path) -> None:
    limits = read_card(folder).limits
    root = Branch(plan_from_prompts(["walks::5"]), (Branch(plan_from_prompts(["runs::5"])),))
    assert sorted(segment.prompt for segment in segments_of(root)) == ["runs", "walks"]
    counts = []
    for usual in ({}, {"runs": 2.0}):
        graph = tree(root, limits, 0.5, usual=usual)
        counts.append(
            [sum(graph.prompts[w.prompt] == word for w in graph.windows) for word in ("walks", "runs")]
        )
    assert counts == [[1, 1], [1, 2]]


def test_a_mean_word_is_a_unit_vector_or_nothing() -> None:
    assert np.linalg.norm(mean_word("walks")) == pytest.approx(1.0) and not mean_word("").any()
