"""`generate` with every method, sampler and setting: what reaches the motion, and what cannot be combined."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import QUICK, refused

from collage_motion.errors import CollageError
from collage_motion.export import read_npz
from collage_motion.methods import METHODS, ON_CYCLES
from collage_motion.plan import plan_from_prompts, write_plan
from collage_motion.samplers import OPTIONS, SAMPLERS, get_sampler
from collage_motion.settings import Settings

PROMPTS = ["a person walks::3", "a person runs::2.5"]


@pytest.fixture
def made(command):
    """The features that `generate` makes with some options, and its settings."""

    def make(*options, prompts=PROMPTS, warnings=0):
        code, _, err = command("generate", *prompts, *QUICK, "-o", "a.npz", "--overwrite", *options)
        assert code == 0 and err.count("warning") == warnings
        motion = read_npz("a.npz")
        return motion.features, motion.settings

    return make


@pytest.mark.slow
def test_every_method_and_every_sampler_by_name(made):
    found = {}
    for name in METHODS:
        found[name], settings = made("--method", name)
        assert settings["method"] == name
    for name in SAMPLERS:
        assert made("--sampler", name)[1]["sampler"] == name
    apart = {name for name in METHODS if not np.array_equal(found[name], found["collage"])}
    assert apart == set(METHODS) - {"collage"}


@pytest.mark.parametrize(
    ("flags", "field", "value"),
    [
        (["--method", "blend", "--blend", "0.2"], "blend", 0.2),
        (["--taper", "0"], "taper", 0.0),
        (["--apart-above", "1e6"], "apart_above", 1e6),
        (["--method", "replacement", "--spread", "0"], "spread", 0.0),
        (["--seam-factors"], "seam_factors", True),
        (["--no-share-guidance"], "share_guidance", False),
        (["--spacing", "uniform"], "spacing", "uniform"),
        (["--spacing", "ddim"], "spacing", "ddim"),
        (["--sampler", "ddim", "--eta", "0.7"], "eta", 0.7),
        (["--sampler", "deis", "--order", "1"], "order", 1),
        (["--sampler", "gddim", "--order", "1"], "order", 1),
        (["--sampler", "edm", "--churn", "30"], "churn", 30.0),
        (["--restarts", "2"], "restarts", 2),
    ],
)
def test_every_setting_reaches_the_motion(made, flags, field, value):
    features, settings = made(*flags, "--steps", 5)
    assert settings[field] == value
    # The same flags without the last one (and its value) make another motion.
    others = [flag for flag in flags if flag not in (f"--{field.replace('_', '-')}", flags[-1])]
    assert not np.array_equal(features, made(*others, "--steps", 5)[0])


def test_the_level_below_which_windows_are_staggered_reaches_it(made):
    assert made()[1]["stagger_below"] == 6.0 and made("--stagger-below", "0")[1]["stagger_below"] == 0.0


def test_the_weight_of_reconstruction_reaches_it(made):
    flags = ["--method", "reconstruction"]
    features, settings = made(*flags, "--reconstruction-weight", "0.2")
    assert settings["reconstruction_weight"] == 0.2
    assert not np.array_equal(features, made(*flags)[0])


@pytest.mark.slow
def test_a_morph_passes_from_prompt_to_prompt(made):
    features, settings = made("--morph")
    assert settings["morph"] is True and len(features) == 110
    assert not np.array_equal(features, made()[0])
    assert made("--morph", "--loop")[1]["plan"]["loop"] is True


def test_a_morph_says_that_the_overlaps_of_a_plan_are_not_used(made, home):
    Path("plan.yaml").write_text(
        "segments:\n- {prompt: a person walks, seconds: 3, overlap: 0.5}\n- {prompt: a person runs, seconds: 3}\n"
    )
    made("--morph", prompts=["plan.yaml"], warnings=1)


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (["--blend", "0.5"], ["--blend 0.5", "--method blend", "the method is collage", "leave --blend away"]),
        (["--method", "blend", "--blend", "1.5"], ["--blend", "'1.5'", "0 to 1"]),
        (["--method", "naive", "--taper", "0"], ["--taper 0", "--method collage or blend", "leave --taper away"]),
        (["--spread", "0.2"], ["--spread 0.2", "--method replacement", "collage", "leave --spread away"]),
        (["--taper", "-1"], ["--taper", "'-1'", "0 to 60"]),
        (["--method", "blend", "--apart-above", "5"], ["--apart-above 5", "--method collage", "--apart-above away"]),
        (["--apart-above", "-1"], ["--apart-above", "'-1'", "noise levels from 0"]),
        (["--method", "magic"], ["--method", "'magic'", "collage, naive"]),
        (["--morph", "--method", "naive"], ["method naive", "pass between prompts", "collage, consensus, blend"]),
        (["--morph", "--method", "handshake"], ["method handshake", "pass between prompts"]),
        (["--morph", "--seam-factors"], ["seam factors: where prompts pass gradually", "leave them away"]),
        (["--morph", "--variables", "null"], ["variables null: where prompts pass gradually", "leave that away"]),
        (["--morph", "--overlap", "2.8"], ["the motion lasts 5.5 s with overlaps of 2.8 s", "two of them, 5.6 s"]),
        (["--method", "naive", "--seam-factors"], ["seam factors", "'naive'", "collage, consensus, blend"]),
        (["--overlap", "2.6", "--seam-factors"], ["seam factors", "at 3 s", "lengthen the segments"]),
        (["--reconstruction-weight", "1"], ["--reconstruction-weight 1", "--method reconstruction", "collage"]),
        (["--sampler", "euler", "--eta", "0.5"], ["eta: sampler euler has none", "ddim"]),
        (["--order", "2"], ["order: sampler dpmpp has none", "deis, gddim"]),
        (["--churn", "2"], ["churn: sampler dpmpp has none", "edm"]),
        (["--eta", "2"], ["--eta", "'2'", "0 to 1"]),
        (["--sampler", "deis", "--order", "4"], ["--order", "'4'", "1, 2 or 3"]),
        (["--spacing", "even"], ["--spacing", "'even'", "uniform, karras, ddim"]),
        (["--sampler", "unknown"], ["--sampler", "'unknown'", "euler, ddim, deis"]),
    ],
)  # fmt: skip
def test_what_contradicts_is_one_line_before_any_work(command, monkeypatch, flags, parts):
    monkeypatch.setattr("collage_motion.models.load_model", None)  # would be an unexpected error
    refused(command("generate", *PROMPTS, *QUICK, *flags, "-o", "a.npz"), *parts)


@pytest.mark.parametrize("name", METHODS)
def test_only_some_methods_close_a_loop(command, monkeypatch, name):
    plan = plan_from_prompts(PROMPTS, loop=True)
    write_plan(plan, "../plan.yaml")
    if name in ON_CYCLES:
        assert command("generate", *PROMPTS, *QUICK, "--loop", "--method", name, "-o", "a.npz")[0] == 0
        return
    monkeypatch.setattr("collage_motion.models.load_model", None)
    for asked in ([*PROMPTS, "--loop"], ["../plan.yaml"]):
        result = command("generate", *asked, *QUICK, "--method", name, "-o", "a.npz")
        refused(result, f"method {name}: ", "cannot close a loop", "collage, consensus, handshake, blend")


def test_a_contradiction_is_told_without_torch(home):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from collage_motion.cli import main\n"
        "for flags in (['--blend', '0.5'], ['--method', 'naive', '--loop'], ['--morph', '--method', 'naive'],\n"
        "              ['--order', '2'], ['--overlap', '2.6', '--seam-factors'], ['--morph', '--overlap', '2.8']):\n"
        "    assert main(['generate', 'a person walks::3', 'a person runs::2.5', '--model', 'tiny', *flags]) == 2\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("collage-motion: error: ") == 6


def test_a_loop_too_short_for_its_windows_is_refused(command):
    for seconds, part in (("0.8", "take 1 s of it"), ("1.1", "windows of 1.05 s"), ("0.4", "lasts 0.4 s")):
        result = command(
            "generate", f"a person walks::{seconds}", "--loop", "--overlap", "1", *QUICK, "-o", "a.npz"
        )
        if seconds == "1.1":  # two windows of 1.05 s, each holding both overlaps of 1 s: not possible either
            refused(result, "in 2 windows", "its overlaps")
        else:
            refused(result, part)


SLOW = pytest.mark.slow


@pytest.mark.slow
@pytest.mark.parametrize(
    "flags", [[], pytest.param(["--loop"], marks=SLOW), pytest.param(["--morph"], marks=SLOW)]
)
def test_a_plan_of_5000_segments_is_inspected_and_checked_in_moments(command, flags):
    plan = plan_from_prompts([f"a person {('walks', 'runs', 'waves')[i % 3]}::4" for i in range(5000)])
    write_plan(plan, "../plan.yaml")
    began = time.process_time()
    if "--morph" not in flags:
        code, out, _ = command("inspect", "../plan.yaml", "--model", "tiny", *flags)
        assert code == 0 and "5,000 windows" in out
    # What generate does before it loads the network: all but the last check, which fails on purpose.
    refused(command("generate", "../plan.yaml", *QUICK, *flags, "-o", "a.npz", "--device", "tpu9"), "tpu9")
    assert time.process_time() - began < 12  # about three seconds on an idle core


def test_options_of_samplers_are_checked_in_the_library_too():
    for option, names in OPTIONS.items():
        for name in SAMPLERS:
            if name in names:
                assert get_sampler(name, **{option: 1}).keywords == {option: 1}  # type: ignore[attr-defined]
                continue
            with pytest.raises(CollageError, match=f"{option}: sampler {name} has none"):
                Settings(sampler=name, **{option: 1})
    with pytest.raises(CollageError, match=r"order: got 4; allowed: 1, 2 or 3"):
        Settings(sampler="deis", order=4)
    with pytest.raises(CollageError, match=r"eta: got nan; allowed: 0"):
        Settings(sampler="ddim", eta=float("nan"))
    with pytest.raises(CollageError, match=r"sampler: got 'magic'; allowed: euler"):
        Settings(sampler="magic")
    with pytest.raises(CollageError, match=r"spacing: got 'even'; allowed: uniform"):
        Settings(spacing="even")
    with pytest.raises(CollageError, match="beat: sampler edm has none; it belongs to: none"):
        get_sampler("edm", beat=3)
