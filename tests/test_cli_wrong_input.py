"""How wrong input to the command line ends: one line, and nothing changed."""

import os
import shutil
from pathlib import Path

import pytest
from command_line import PROMPTS, QUICK, refused


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([""], ["prompt 1: a prompt is empty"]),
        (["a person walks", "   ::3"], ["prompt 2: a prompt is empty"]),
        (["a person walks::-3"], ["prompt 1", "lasts -3 s", "above 0"]),
        (["a person walks::0"], ["lasts 0 s", "above 0"]),
        (["a person walks::three"], ["'three'", "a number above 0", "'a person walks::3'"]),
        (["a person walks::nan"], ["'nan'", "a number above 0"]),
        (["a person walks::1e999"], ["endless"]),
        (["a person walks::0.2"], ["lasts 0.2 s", "1 to 6 s", "lengthen it"]),
        ([], ["Missing argument 'PROMPT'"]),
        (["missing.yaml"], ["missing.yaml: the plan cannot be read: No such file"]),
        (["plan.yaml", "a person walks"], ["'plan.yaml'", "one plan file alone"]),
        (["a person walks", "--seed", "-1"], ["--seed", "'-1'", "0 to 2^64 - 1"]),
        (["a person walks", "--seed", "x"], ["--seed", "'x'"]),
        (["a person walks", "--steps", "0"], ["--steps", "'0'", "1 to 1000"]),
        (["a person walks", "--steps", "2.5"], ["--steps", "'2.5'", "whole numbers"]),
        (["a person walks", "--guidance", "nan"], ["--guidance", "'nan'", "0 to 100"]),
        (["a person walks", "--guidance", "-1"], ["--guidance", "'-1'"]),
        (["a person walks", "--overlap", "-1"], ["--overlap", "'-1'", "seconds from 0 to 60"]),
        (["a person walks", "--overlap", "0.01"], ["overlap", "0.01 s", "at least 0.5 s"]),
        (["a person walks", "--variables", "some"], ["--variables", "'some'", "auto, null, prompt"]),
        (["a person walks", "--sampler", "dpm"], ["--sampler", "'dpm'", "euler, ddim"]),
        (["a person walks", "--device", "tpu9"], ["device 'tpu9'", "use cpu"]),
        (["a person walks", "--model", "tinny"], ["no model 'tinny'", "did you mean 'tiny'"]),
        (["a person walks", "--stepz", "3"], ["--stepz", "--steps"]),
    ],
)  # fmt: skip
def test_wrong_arguments_end_in_one_line(command, arguments, parts):
    model = [] if "--model" in arguments else ["--model", "tiny"]
    refused(command("generate", *arguments, *model, "-o", "a.npz"), *parts)


def test_an_unknown_command_ends_in_one_line(command):
    refused(command("generat", "a person walks"), "generat", "Did you mean 'generate'")
    refused(command("models", "lst"), "lst", "'list'")


@pytest.mark.parametrize(
    ("output", "part"),
    [
        ("a.xyz", "suffix '.xyz'"),
        ("a", "no suffix"),
        ("no/a.npz", "folder no does not exist"),
        ("a.npz/b.bvh", "exist"),
    ],
)
def test_an_output_that_cannot_be_is_refused(command, output, part):
    refused(command("generate", *PROMPTS, *QUICK, "-o", output), output, part)


def test_a_folder_or_a_file_in_the_way_is_refused_before_any_work(command, monkeypatch):
    monkeypatch.setattr("collage_motion.models.load_model", None)  # would be an unexpected error
    Path("folder.npz").mkdir()
    Path("old.bvh").write_text("mine")
    for output, part in (("folder.npz", "is a folder"), ("old.bvh", "exists already")):
        code, out, err = command("generate", *PROMPTS, *QUICK, "-o", "new.npz", "-o", output)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert output in err and part in err
    assert sorted(os.listdir()) == ["folder.npz", "old.bvh"]
    assert Path("old.bvh").read_text() == "mine"


def test_one_output_named_twice_is_refused(command):
    refused(command("generate", *PROMPTS, *QUICK, "-o", "a.npz", "-o", "./a.npz"), "named twice")


@pytest.mark.parametrize("name", ["plan.npz", "plan", "plan.yaml.txt"])
def test_a_plan_is_saved_only_where_it_is_read_back(command, name):
    result = command("inspect", *PROMPTS, "--model", "tiny", "--save", name)
    refused(result, f"{name}: ", ".yaml or .yml")


@pytest.mark.parametrize("name", ["folder", "old.yaml", "no/plan.yaml"])
def test_a_plan_that_cannot_be_saved_is_refused(command, name):
    Path("folder").mkdir()
    Path("old.yaml").write_text("mine")
    code, out, err = command("inspect", *PROMPTS, "--model", "tiny", "--save", name)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"collage-motion: error: {name}: ")
    assert Path("old.yaml").read_text() == "mine"
    assert sorted(os.listdir()) == ["folder", "old.yaml"]


def test_a_broken_plan_names_file_and_line(command):
    Path("../plan.yaml").write_text("segments:\n- prompt: a person walks\n  speed: 3\n")
    refused(command("generate", "../plan.yaml", *QUICK, "-o", "a.npz"), "../plan.yaml:3: ", "speed")


def cut(path, length):
    path.write_bytes(path.read_bytes()[:length])


def no_header(path):
    path.write_bytes(b"\xff" * 64)


def a_folder(path):
    path.unlink()
    path.mkdir()


def not_finite(path):
    from safetensors.numpy import load_file, save_file

    weights = load_file(path)
    weights["output_process.poseFinal.bias"] = weights["output_process.poseFinal.bias"] * float("nan")
    save_file(weights, path)


@pytest.mark.parametrize(
    ("file", "harm"),
    [
        ("model.safetensors", Path.unlink),
        ("model.safetensors", a_folder),
        ("model.safetensors", lambda path: cut(path, 0)),
        ("model.safetensors", lambda path: cut(path, 100)),
        ("model.safetensors", lambda path: cut(path, path.stat().st_size - 1)),
        ("model.safetensors", no_header),
        ("model.safetensors", not_finite),
        ("card.json", Path.unlink),
        ("card.json", a_folder),
        ("card.json", lambda path: cut(path, 0)),
        ("card.json", lambda path: cut(path, 400)),
        ("card.json", no_header),
    ],
)
def test_broken_weights_and_cards_are_named(command, home, tmp_path, file, harm):
    model = tmp_path / "model"
    shutil.copytree(home / "models" / "tiny", model)
    harm(model / file)
    refused(command("generate", *PROMPTS, "--steps", 2, "--model", model, "-o", "a.npz"), str(model / file))


def test_a_file_as_a_model_is_refused(command, home):
    weights = home / "models" / "tiny" / "model.safetensors"
    refused(command("generate", *PROMPTS, "--model", weights, "-o", "a.npz"), "a model is a folder")


def test_control_characters_never_reach_the_terminal(command):
    _, _, err = command("generate", "\x1b[2J bad", *QUICK, "-o", "a.npz")
    assert "\x1b" not in err and err.count("\n") == 1
