"""What the command line writes from prompts and plans."""

import os
from inspect import signature
from pathlib import Path

import pytest
from command_line import PROMPTS, QUICK

from collage_motion.export import read_npz
from collage_motion.plan import read_plan


def test_generate_writes_every_output_and_says_so(command):
    outputs = ["a.npz", "a.bvh", "b.npz"]
    code, out, err = command("generate", *PROMPTS, *QUICK, "--seed", 4, *(f"-o{name}" for name in outputs))
    assert (code, err) == (0, "")
    assert sorted(os.listdir()) == sorted(outputs)
    for name in outputs:
        assert f"wrote {name} (" in out
    assert "4 s of motion (80 frames at 20 a second, seed 4) in " in out
    motion = read_npz("a.npz")
    assert motion.n_frames == 80
    assert set(motion.prompts) == {"a person walks", "a person runs"}
    assert motion.settings["seed"] == 4
    assert motion.settings["steps"] == 2
    assert Path("a.npz").read_bytes() == Path("b.npz").read_bytes()


@pytest.mark.slow
def test_without_output_a_film_is_made(command):
    code, out, _ = command("generate", "a person walks::2", *QUICK)
    assert code == 0
    assert os.listdir() == ["motion.mp4"]
    assert b"ftyp" in Path("motion.mp4").read_bytes()[:16]
    assert "wrote motion.mp4" in out
    before = Path("motion.mp4").read_bytes()
    code, _, err = command("generate", "a person walks::2", *QUICK)
    assert code == 2 and "motion.mp4: exists" in err
    assert Path("motion.mp4").read_bytes() == before


def test_options_reach_the_motion(command):
    options = {"guidance": 1.5, "overlap": 0.6, "variables": "null", "sampler": "euler", "seed": 7}
    flags = [str(x) for name, value in options.items() for x in (f"--{name}", value)]
    code, _, err = command("generate", *PROMPTS, *QUICK, "--loop", "--device", "cpu", *flags, "-o", "a.npz")
    assert (code, err) == (0, "")
    settings = read_npz("a.npz").settings
    assert {name: settings[name] for name in options} == options
    assert settings["plan"]["loop"] is True


def test_defaults_are_those_of_the_pipeline():
    from collage_motion.cli.bridge import bridge
    from collage_motion.cli.edit import edit
    from collage_motion.cli.generate import generate
    from collage_motion.cli.inspect import inspect
    from collage_motion.cli.sampling import ALL
    from collage_motion.pipeline import Settings

    fields = set(Settings.__dataclass_fields__)
    assert fields - set(ALL) == {"sigma_start", "sigma_end", "max_tokens"}
    for function, least in ((generate, len(ALL)), (bridge, 12), (edit, 12), (inspect, 2)):
        given = {
            name: option.default for name, option in signature(function).parameters.items() if name in fields
        }
        assert len(given) >= least
        # Options that belong to one method only have no value unless they are given.
        unset = {"taper", "apart_above", "stagger_below", "spread", "blend", "reconstruction_weight"} & set(
            given
        )
        assert {given.pop(name) for name in unset} <= {None}
        assert given == {name: getattr(Settings, name) for name in given}


def test_overwrite_replaces(command):
    Path("a.npz").write_text("old")
    code, _, _ = command("generate", "a person walks::2", *QUICK, "-o", "a.npz", "--overwrite")
    assert code == 0
    assert read_npz("a.npz").n_frames == 40


def test_a_saved_plan_makes_the_same_motion(command):
    code, out, _ = command("inspect", *PROMPTS, "--loop", "--model", "tiny", "--save", "plan.yaml")
    assert code == 0
    assert "collage-motion generate plan.yaml --model tiny" in out
    assert read_plan("plan.yaml").loop
    assert command("generate", "plan.yaml", *QUICK, "-o", "from_file.npz")[0] == 0
    assert command("generate", *PROMPTS, "--loop", *QUICK, "-o", "from_words.npz")[0] == 0
    assert (read_npz("from_file.npz").joints == read_npz("from_words.npz").joints).all()
    assert command("generate", "plan.yaml", "--no-loop", *QUICK, "-o", "open.npz")[0] == 0
    assert read_npz("open.npz").seams == (40,)
    assert read_npz("from_file.npz").seams == (0, 40)
