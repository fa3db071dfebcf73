"""Protocols: what is asked for becomes scripts, and scripts become motions that depend on themselves alone."""

import json
import re
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from tiny_model import write_tiny_model

from collage_motion.card import WordNetwork
from collage_motion.errors import CollageError
from collage_motion.eval import sampling
from collage_motion.eval.entrants import ENTRANTS, rows_of, settings_of
from collage_motion.eval.protocols import (
    PROTOCOLS,
    Held,
    Piece,
    Script,
    derived,
    get_protocol,
    listed_prompts,
    listed_scripts,
    scripts_of,
    short_scripts,
)
from collage_motion.eval.testbed import Asked
from collage_motion.features import ROOT_HEIGHT, ROOT_XZ, ROOT_YAW
from collage_motion.lengths import mean_word
from collage_motion.methods import METHODS
from collage_motion.methods.sliding import stretches_of
from collage_motion.methods.staggered import staggered
from collage_motion.models import load_model
from collage_motion.pipeline import generate
from collage_motion.plan import Plan, Segment
from collage_motion.settings import Settings
from collage_motion.topology import build


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_model(write_tiny_model(tmp_path_factory.mktemp("models") / "tiny"))


def asked(*lengths):
    rng = np.random.default_rng(len(lengths))
    return [
        Asked(
            f"a person walks {n} times", rng.normal(size=(length, 263)).astype(np.float32), f"m{n}", f"c{n}"
        )
        for n, length in enumerate(lengths)
    ]


# What is asked for becomes scripts


def test_short_is_one_window_a_caption():
    scripts = short_scripts(asked(40, 64), "short", 0, 0, None)
    assert [(s.prompts, s.frames, s.told) for s in scripts] == [
        (("a person walks 0 times",), (40,), None),
        (("a person walks 1 times",), (64,), None),
    ]
    on_canvas = short_scripts(asked(40, 64), "short", 0, 0, 120)
    assert [(s.frames, s.told, s.pieces[0].length) for s in on_canvas] == [((120,), 40, 40), ((120,), 64, 64)]


def test_long_is_24_s_a_caption_of_which_a_crop_as_long_as_the_clip_counts():
    rows = asked(*[40] * 60)
    scripts = scripts_of(get_protocol("long"), rows, 0, 3)
    assert [s.frames for s in scripts] == [(480,)] * 60
    starts = [piece.start for s in scripts for piece in s.pieces]
    assert [piece.asked for s in scripts for piece in s.pieces] == list(range(60))
    assert all(0 <= start <= 440 for start in starts) and len(set(starts)) > 40
    assert min(starts) < 100 and max(starts) > 340  # crops come from everywhere


def test_compose_takes_the_captions_in_their_order_and_scores_each_in_its_place():
    protocol = replace(get_protocol("compose"), prompts=3)
    scripts = scripts_of(protocol, asked(60, 64, 100, 72, 60, 60, 80), 0, 0)
    assert [s.frames for s in scripts] == [(60, 64, 100), (72, 60, 60)]  # the seventh fills no motion
    assert [(p.asked, p.start, p.length) for p in scripts[1].pieces] == [
        (3, 0, 72),
        (4, 72, 60),
        (5, 132, 60),
    ]


def test_the_path_is_that_of_the_real_clips_in_a_row():
    rows = asked(60, 80, 64)
    (script,) = scripts_of(get_protocol("path"), rows, 0, 0)
    held = script.held
    np.testing.assert_array_equal(held.features, np.concatenate([row.features for row in rows]))
    for group in (ROOT_YAW, ROOT_XZ, ROOT_HEIGHT):
        assert held.mask[:, group].all()
    assert held.keyframes == (30, 100, 172)
    assert np.flatnonzero(held.mask.all(axis=1)).tolist() == list(held.keyframes)


def test_extrapolation_repeats_prompts_of_the_published_list():
    prompts = listed_prompts("extrapolate")
    assert len(prompts) == len({prompt for prompt, _ in prompts}) == 32
    first, *_, last = listed_scripts(get_protocol("extrapolate"), 33, 0, 0)
    assert first.prompts == (prompts[0][0],) * 32 and first.frames == (80,) * 32
    assert last.prompts == first.prompts and last.seed != first.seed


def test_replications_of_few_prompts_reach_the_whole_list():
    prompts = [prompt for prompt, _ in listed_prompts("extrapolate")]
    protocol = get_protocol("extrapolate")
    count = 256 // protocol.repeats
    asked = [[s.prompts[0] for s in listed_scripts(protocol, count, 0, r)] for r in range(5)]
    assert [len(set(own)) for own in asked] == [8] * 5
    assert set().union(*asked[:4]) == set(prompts)
    assert len({own[0] for own in asked}) == 5
    # More samples in the same folder are further ones.
    for replication in range(5):
        few, more = (listed_scripts(protocol, n, 0, replication) for n in (4, 16))
        assert [s.mark for s in more[:4]] == [s.mark for s in few]
    one_each = [listed_scripts(protocol, 1, 0, r)[0].prompts[0] for r in range(32)]
    assert sorted(one_each) == sorted(prompts)


def test_a_mark_stands_for_all_that_a_motion_is_made_of():
    rows = np.zeros((100, 263), dtype=np.float32)
    held = Held(rows, np.eye(100, 263, dtype=bool), (50,))
    script = Script(("a", "b"), (50, 50), 3, (), held=held)
    others = [
        replace(script, prompts=("a", "c")),
        replace(script, frames=(46, 54)),
        replace(script, seed=4),
        replace(script, loop=True),
        replace(script, told=40),
        replace(script, held=None),
        replace(script, held=replace(held, keyframes=(51,))),
        replace(script, held=replace(held, mask=~held.mask)),
    ]
    assert len({s.mark for s in (script, *others)}) == 9
    # Where it is cropped is a matter of scoring; last digits of real clips differ from machine to machine.
    assert replace(script, pieces=(Piece(0, 3, 40),)).mark == script.mark
    assert replace(script, held=replace(held, features=rows + 1e-7)).mark == script.mark
    assert script.mark == Script(("a", "b"), (50, 50), 3, (), held=held).mark


def test_seeds_depend_on_the_sample_alone():
    rows = asked(60, 60, 60, 60)
    long = get_protocol("long")
    few, more = (scripts_of(long, rows[:n], 7, 2) for n in (2, 4))
    assert [s.seed for s in few] == [s.seed for s in more][:2] == [derived(7, "long", 2, k) for k in range(2)]
    seeds = {
        script.seed
        for seed in (7, 8)
        for replication in (0, 1)
        for name in ("long", "short")
        for script in short_scripts(rows, name, seed, replication, None)
    }
    assert len(seeds) == 2 * 2 * 2 * 4
    assert derived("a", 1) == 8588983153282268942  # published: must never change


def test_quick_is_the_same_in_small():
    for protocol in PROTOCOLS.values():
        quick = protocol.quick()
        assert (quick.name, quick.loop, quick.held, quick.methods) == (
            protocol.name, protocol.loop, protocol.held, protocol.methods
        )  # fmt: skip
        assert quick.prompts <= 8 and quick.repeats <= 4 and (quick.seconds or 0) <= 9


# Who takes part


def test_a_method_that_nobody_has_tuned_has_the_librarys_settings(monkeypatch):
    monkeypatch.delitem(ENTRANTS, "blend")
    assert settings_of("blend", get_protocol("long")) == Settings(method="blend", variables="prompt")


def test_rows_are_real_short_and_the_methods_in_the_librarys_order():
    long, loop = get_protocol("long"), get_protocol("loop")
    assert rows_of(long, "all") == ["real", "short", *METHODS]
    assert rows_of(long, "naive, collage") == ["real", "short", "collage", "naive"]
    assert rows_of(loop, "all") == ["real", "short", "collage", "consensus", "handshake", "blend"]
    assert rows_of(get_protocol("short"), "all") == ["real", "short"]
    assert rows_of(get_protocol("extrapolate"), "collage") == ["real", "collage"]
    for protocol, names, message in (
        (long, "magic", "got 'magic'; allowed: all, or real, short, collage"),
        (loop, "naive", "naive cannot do what protocol loop asks; allowed: real, short, collage, consensus"),
        (long, " , ", "got none"),
    ):
        with pytest.raises(CollageError, match=re.escape(message)):
            rows_of(protocol, names)
    with pytest.raises(CollageError, match="got 'wide'; allowed: short, long, compose, loop"):
        get_protocol("wide")


def test_methods_run_at_their_settings_and_common_ones_overrule():
    settings = settings_of("reconstruction", get_protocol("long"), steps=3)
    assert (settings.method, settings.variables, settings.steps) == ("reconstruction", "prompt", 3)
    assert settings_of("short", get_protocol("compose")) == Settings(window="longest")
    # Its clips are one window each, whatever is asked of the others.
    assert settings_of("short", get_protocol("long"), window=3.0).window == "longest"
    assert settings_of("collage", get_protocol("long"), window=3.0).window == 3.0


# Scripts become motions


def test_batches_hold_one_layout_and_grow_by_their_ends():
    scripts = [s for n in (40, 60, 40, 40, 60) for s in short_scripts(asked(n), "short", 0, 0, None)]
    assert sampling.batches_of(scripts, 80) == [[1], [4], [0, 2], [3]]
    assert sampling.batches_of(scripts[:4], 80) == [[1], [0, 2], [3]]
    # Windows of motions that are made together are the same, so their prompts have the same usual length.
    apart = {id(scripts[0]): 2.0, id(scripts[2]): 4.0}
    assert sampling.batches_of(scripts[:4], 80, lambda s: apart.get(id(s))) == [[1], [0], [2], [3]]


def test_windows_of_what_travels_are_not_made_with_those_of_what_stays(model):
    pace = WordNetwork(0.0, tuple(mean_word("walks").tolist()))
    model = replace(model, card=replace(model.card, usual_pace=pace))
    walks, waves = Script(("walks",), (480,), 0, ()), Script(("waves",), (480,), 0, ())
    likeness = partial(sampling.likeness_of, model=model, settings=Settings(overlap=0.6))
    assert sampling.batches_of([walks, waves, walks], 2000, likeness) == [[0, 2], [1]]
    graph = sampling.graph_of(walks, model, Settings(overlap=0.6))
    assert [sampling.going_of(script, graph, model) for script in (walks, waves)] == [(0,), ()]
    alone = [sampling.perform(model, [script], Settings(steps=3, overlap=0.6)) for script in (walks, waves)]
    fixed = [
        sampling.perform(model, [script], Settings(steps=3, overlap=0.6, stagger_below=0.0))
        for script in (walks, waves)
    ]
    assert not np.array_equal(alone[0], fixed[0]) and np.array_equal(alone[1], fixed[1])


def alone(model, script, settings):
    plan = Plan(
        tuple(Segment(p, f / 20) for p, f in zip(script.prompts, script.frames, strict=True)), script.loop
    )
    options = {key: getattr(settings, key) for key in ("steps", "overlap", "variables", "method")}
    return generate(plan, model, seed=script.seed, device="cpu", **options).features


@pytest.mark.parametrize("method", METHODS)
def test_a_sample_is_what_its_words_and_seed_make_alone(model, method):
    words = (
        ("a person walks", "a person runs", "a person walks"),
        ("an old man waves {0}", "someone bows", "an old man waves {0}"),  # braces are words like others
    )
    scripts = [Script(prompts, (50, 60, 44), seed, ()) for seed, prompts in enumerate(words)]
    settings = Settings(steps=2, overlap=0.6, method=method)
    together = sampling.perform(model, scripts, settings)
    for features, script in zip(together, scripts, strict=True):
        np.testing.assert_allclose(features, alone(model, script, settings), atol=2e-5)
    assert np.abs(together[0] - together[1]).max() > 1e-3
    np.testing.assert_array_equal(sampling.perform(model, scripts, settings), together)


def test_equal_words_in_other_places_make_another_layout():
    one = Script(("a", "b", "a"), (50, 50, 50), 0, ())
    assert one.layout == Script(("x", "y", "x"), (50, 50, 50), 5, ()).layout
    assert one.layout != Script(("x", "y", "z"), (50, 50, 50), 0, ()).layout
    assert one.layout != replace(one, loop=True).layout
    assert one.words == ("a", "b")


def test_a_small_memory_budget_changes_nothing(model):
    scripts = [Script((f"walks {n}", "runs"), (90, 70), n, ()) for n in range(3)]
    settings = Settings(steps=2, overlap=0.6)
    whole = sampling.perform(model, scripts, settings)
    np.testing.assert_allclose(
        sampling.perform(model, scripts, replace(settings, max_tokens=150)), whole, atol=2e-5
    )


def test_a_network_told_of_fewer_frames_makes_them_as_if_there_were_no_more(model):
    settings = Settings(steps=2)
    (short,) = sampling.perform(model, [Script(("a person walks",), (60,), 4, ())], settings)
    (canvas,) = sampling.perform(model, [Script(("a person walks",), (100,), 4, (), told=60)], settings)
    (untold,) = sampling.perform(model, [Script(("a person walks",), (100,), 4, ())], settings)
    np.testing.assert_allclose(canvas[:60], short, atol=2e-5)
    assert np.abs(untold[:60] - short).max() > 1e-3


def test_what_is_held_is_in_the_motion(model):
    rng = np.random.default_rng(0)
    scripts = []
    for seed in range(2):
        rows = rng.normal(0, 0.02, size=(120, 263)).astype(np.float32)
        mask = np.zeros((120, 263), dtype=bool)
        mask[:, :4] = mask[60] = True
        scripts.append(Script(("walks", f"runs {seed}"), (60, 60), seed, (), held=Held(rows, mask, (60,))))
    made = sampling.perform(model, scripts, Settings(steps=2, overlap=0.6))
    for features, script in zip(made, scripts, strict=True):
        mask = script.held.mask
        np.testing.assert_allclose(features[mask], script.held.features[mask], atol=1e-5)
        assert np.abs(features[~mask] - script.held.features[~mask]).max() > 1e-3


def test_seams_are_changes_of_prompt_else_where_windows_meet(model):
    composed = Script(("a", "b", "a"), (50, 60, 44), 0, ())
    assert sampling.seams_of(composed, model, Settings(overlap=0.6)) == (50, 110)
    assert sampling.seams_of(replace(composed, loop=True), model, Settings(overlap=0.6)) == (0, 50, 110)
    long = Script(("a",), (480,), 0, ())
    graph = build(long.plan(20), model.card, Settings.overlap, "prompt")
    pace = WordNetwork(1.0, (0.0,) * 96)  # all travels
    model = replace(model, card=replace(model.card, usual_pace=pace))
    for level, ended in ((0.0, graph), (6.0, staggered(graph, model.card.limits, [0]))):
        places = sampling.seams_of(long, model, Settings(variables="prompt", stagger_below=level))
        assert len(places) == len(ended.windows) - 1 >= 3 + bool(level)
        for place, (one, other) in zip(places, pairwise(ended.windows), strict=True):
            shared = sorted(set(one.frames) & set(other.frames))
            assert shared[len(shared) // 2 - 1] <= place <= shared[len(shared) // 2 + 1]
    sliding = sampling.seams_of(long, model, Settings(variables="prompt", method="replacement"))
    assert sliding == tuple(s.fresh for s in stretches_of(graph, model.card.limits))[1:]
    assert sampling.room_for((10, 30, 30, 90, 91), 120, 60) == [30, 90]


def test_the_published_prompts_are_whole():
    from importlib.resources import files

    folder = files("collage_motion.eval").joinpath("prompts")
    for name in ("long", "compose"):
        content = json.loads(folder.joinpath(f"{name}.json").read_text(encoding="utf-8"))
        protocol = get_protocol(name)
        assert content["protocol"] == name and len(content["replications"]) == 5
        for rows in content["replications"]:
            assert len(rows) == 256 // protocol.prompts
            for prompts, frames, pieces in rows:
                assert len(prompts) == len(frames) == len(pieces) == protocol.prompts
                assert all(0 <= start <= start + length <= sum(frames) for start, length in pieces)
