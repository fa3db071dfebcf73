"""The numbered examples: each runs as written, writes what it says, and shows what it is there to show."""

import ast
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import collage_motion
from collage_motion.data.archive import read_members
from collage_motion.methods import METHODS
from collage_motion.samplers import SAMPLERS

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((ROOT / "scripts" / "examples").iterdir())
NAMES = [path.stem for path in EXAMPLES if path.suffix == ".py"]


@pytest.fixture
def example(tmp_path, monkeypatch, capsys):
    """Run an example by its number with few steps: what it printed, and the names of what it wrote."""

    def run(number, *more, steps=2):
        (path,) = (path for path in EXAMPLES if path.name.startswith(f"{number:02d}_"))
        monkeypatch.setattr(
            sys, "argv", [str(path), str(tmp_path / "out"), "--steps", str(steps), *map(str, more)]
        )
        runpy.run_path(str(path), run_name="__main__")
        written = {file.name for file in (tmp_path / "out").iterdir()}
        assert all(name.startswith(f"{number:02d}_") for name in written)
        return capsys.readouterr().out, {name[3:] for name in written}

    return run


def numbers(text, pattern):
    return [float(found) for found in re.findall(pattern, text)]


def test_they_are_numbered_and_short():
    assert [int(name[:2]) for name in NAMES] == list(range(1, len(NAMES) + 1)) and len(NAMES) >= 12
    for path in EXAMPLES:
        if path.suffix == ".py":
            assert len(path.read_text().splitlines()) <= 70, path.name


@pytest.mark.parametrize("name", NAMES)
def test_they_use_what_is_public_only(name):
    tree = ast.parse((ROOT / "scripts" / "examples" / f"{name}.py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert all(
                alias.name.split(".")[0] in (*sys.stdlib_module_names, "numpy", "torch")
                for alias in node.names
            )
        if isinstance(node, ast.ImportFrom):
            home, taken = str(node.module), [alias.name for alias in node.names]
            assert home.split(".")[0] in (*sys.stdlib_module_names, "torch", "collage_motion")
            assert not any(part.startswith("_") for part in (*home.split("."), *taken))
            if home == "collage_motion":
                assert set(taken) <= set(collage_motion.__all__)
    said = ast.get_docstring(tree)
    assert said and f"python scripts/examples/{name}.py out" in said


def test_the_readme_lists_them_in_order():
    text = (ROOT / "README.md").read_text()
    assert re.findall(r"`(\d\d_\w+)\.py`", text) == NAMES


@pytest.mark.slow  # a film
def test_one_clip(example):
    out, written = example(1)
    assert written == {"clip.gif", "clip.bvh", "clip.npz"}
    assert "joints (60, 22, 3)" in out and "3 s at 20 frames a second, made with seed 1" in out


def test_a_chain(example, tmp_path):
    out, written = example(2)
    assert written == {"chain.bvh", "plan.yaml"}
    # Three prompts, one of which is longer than what it asks for usually is.
    assert "in 4 windows and 3 overlaps on a line" in out
    assert "frames  60 to 119: a person waves with both hands" in out
    assert collage_motion.read_plan(tmp_path / "out" / "02_plan.yaml").segments[1].overlap == 1.0


@pytest.mark.slow
def test_a_loop(example):
    out, written = example(3, steps=6)
    assert written == {"line.bvh", "loop.bvh"}
    line, loop = numbers(out, r"to the first (\S+),")
    assert loop < line


@pytest.mark.slow
def test_samplers(example):
    out, written = example(4)
    assert {name.split("_")[0].removesuffix(".npz") for name in written} == set(SAMPLERS)
    assert {"ddim_eta.npz", "deis_order.npz", "gddim_order.npz", "edm_churn.npz"} <= written
    assert all(np.isfinite(numbers(out, r"(\S+) cm from 12 steps"))) and len(out.splitlines()) == len(written)


@pytest.mark.slow
def test_methods(example):
    out, written = example(5)
    assert written == {f"{name}.bvh" for name in METHODS}
    assert [line.split()[0] for line in out.splitlines()] == list(METHODS)
    assert min(numbers(out, r"(\S+) m/s\^3")) > 0


@pytest.mark.slow
def test_seams(example):
    out, written = example(6)
    assert written == {"sum.bvh", "seam_factors.bvh", "blend.bvh", "average.bvh"}
    assert "in 3 windows and 2 overlaps" in out and len(numbers(out, r"(\S+) m/s\^3")) == 4


@pytest.mark.slow
def test_known_frames(example):
    out, written = example(7, steps=8)
    assert written == {
        "given.bvh", *(f"{what}_{how}.bvh" for what in ("ends", "way") for how in ("replacement", "reconstruction"))
    }  # fmt: skip
    off = numbers(out, r"(\S+) % as far off")
    assert off[0] == off[2] == 0.0 and off[1] < 100 > off[3]


@pytest.mark.slow
def test_edit(example):
    out, written = example(8, steps=4)
    assert written == {"before.bvh", "edited_0.3.bvh", "edited_0.6.bvh", "edited_0.9.bvh"}
    off = numbers(out, r"differ by (\S+) cm")
    assert 0 < off[0] < off[2]


@pytest.mark.slow
def test_bridge(example):
    out, written = example(9)
    assert written == {"first.bvh", "second.bvh", "joined.bvh"}
    assert "58 + 40 + 58 frames" in out and "the first as it was: True; new frames 58 to 97" in out


@pytest.mark.slow
def test_bridge_of_recordings(example, shared, tmp_path):
    archive = shared / "data" / "cmu-mocap.tar.xz"
    if not archive.is_file():
        pytest.skip(f"no archive at {archive}")
    members = read_members(archive)
    files = []
    for name, content in members:
        if name.endswith(".bvh"):
            files.append(tmp_path / Path(name).name)
            files[-1].write_bytes(content)
        if len(files) == 2:
            break
    members.close()
    out, written = example(9, "--motions", *files)
    assert written == {"joined.bvh"} and "the first as it was: True" in out


def test_morph(example):
    out, written = example(10)
    assert written == {"morph.bvh"}
    assert len(numbers(out.splitlines()[-1], r" (\d\S+)")) == 9


@pytest.mark.slow
def test_tree(example):
    out, written = example(11)
    assert written == {"way_0.bvh", "way_1.bvh", "way_2.bvh"}
    assert "way 1: a person walks forward, then a person waves, then a person bows" in out
    assert "all ways begin with the same 3 s: True" in out and ", -2: (null)" in out


@pytest.mark.slow
def test_gaussian_fields(example, tmp_path):
    out, written = example(12, steps=100)
    assert written == {f"{name}_{how}.npy" for name in ("grid", "cube") for how in ("composed", "one")}
    assert "grid: 121 pixels, 9 windows, 16 shared pieces" in out
    assert "cube: 96 pixels, 18 windows, 24 shared pieces" in out
    grid, alone, cube, alike = numbers(out, r": (\S+) % from")
    # As tests/test_gaussian_fields.py has it: what is left with one window is the sampler's.
    assert (
        grid == pytest.approx(29.5, abs=0.7)
        and cube == pytest.approx(28.9, abs=0.7)
        and max(alone, alike) < 1
    )
    saved = np.load(tmp_path / "out" / "12_grid_composed.npy")
    np.testing.assert_allclose(saved, saved.T, atol=1e-9)


@pytest.mark.slow
def test_one_as_a_process_of_its_own(tmp_path):
    path = ROOT / "scripts" / "examples" / "02_chain.py"
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path), str(tmp_path / "new" / "out"), "--steps", "2"],
        capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": ""},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in (tmp_path / "new" / "out").iterdir()} == {"02_chain.bvh", "02_plan.yaml"}
