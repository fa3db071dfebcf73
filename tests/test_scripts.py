"""The commands of the README: the scripts, the pinned versions, and the package as a wheel."""

import configparser
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from tiny_model import write_tiny_model

from collage_motion.card import find_models
from collage_motion.cli import main
from collage_motion.export import read_npz

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "scripts"
SHELL = [*sorted(SCRIPTS.glob("*.sh")), ROOT / ".ci" / "run"]
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")
PACKAGES = SETUP["options"]["packages"].split()


def run(*command, **more):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **more)


def pins():
    """Name (normalised) and version of every line of the constraints."""
    lines = (SCRIPTS / "constraints.txt").read_text().splitlines()
    return dict(map(pin, (line for line in lines if line and not line.startswith("#"))))


def pin(line):
    name, _, version = line.partition("==")
    return normal(name), version


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


# The shell scripts


@pytest.mark.parametrize("path", SHELL, ids=lambda path: path.name)
def test_shell_scripts_parse_and_name_no_host(path):
    done = run("bash", "-n", path)
    assert (done.returncode, done.stderr) == (0, "")
    text = path.read_text()
    assert not re.search(r"https?://|index-url|find-links|trusted-host", text)
    assert path.name == "setup_env.sh" or "set -euo pipefail" in text
    assert path.name == "setup_env.sh" or os.access(path, os.X_OK)


def test_continuous_integration_runs_the_test_command():
    assert "bash scripts/test.sh" in (ROOT / ".ci" / "run").read_text()
    assert "bash scripts/test.sh" in (ROOT / "README.md").read_text()
    assert "bash scripts/demo.sh" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize(("arguments", "part"), [(["--fast"], "--fast"), (["a", "b"], "2 folders")])
def test_the_demo_refuses_what_it_does_not_know(arguments, part, tmp_path):
    done = run("bash", SCRIPTS / "demo.sh", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert part in done.stderr and done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("script", ["demo.sh", "test.sh"])
def test_a_folder_of_somebody_else_is_no_environment(script, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "letter.txt").write_text("dear")
    arguments = [tmp_path / "out"] if script == "demo.sh" else []
    done = run("bash", SCRIPTS / script, *arguments, env=os.environ | {"COLLAGE_VENV": str(folder)})
    assert done.returncode == 2
    assert f"{folder} exists and was not made by this script" in done.stderr
    assert [path.name for path in folder.iterdir()] == ["letter.txt"]


def test_a_missing_python_is_said(tmp_path):
    old = tmp_path / "old-python"
    old.write_text("#!/bin/sh\nexit 1\n")  # as a Python 3.9 answers when it is asked for 3.11
    old.chmod(0o755)
    environment = os.environ | {"PYTHON": str(old), "COLLAGE_VENV": str(tmp_path / "venv")}
    done = run("bash", SCRIPTS / "demo.sh", tmp_path / "out", env=environment)
    assert done.returncode == 2
    assert "no Python 3.11 or newer found" in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "venv").exists()


@pytest.fixture
def ready(tmp_path, monkeypatch):
    """An environment as the set-up leaves it behind, whose Python is the one that runs the tests."""
    folder = tmp_path / "venv"
    (folder / "bin").mkdir(parents=True)
    (folder / ".made-by-collage-motion").touch()
    python = folder / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    parts = [
        (ROOT / name).read_bytes() for name in ("setup.cfg", "pyproject.toml", "scripts/constraints.txt")
    ]
    version = run(sys.executable, "--version").stdout
    stamp = hashlib.sha256(b"".join(parts) + f"{ROOT} {version}".encode()).hexdigest()
    (folder / ".collage-motion-dev").write_text(stamp + "\n")
    monkeypatch.setenv("COLLAGE_VENV", str(folder))
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # whoever installs something now fails
    return folder


@pytest.mark.slow
def test_the_test_command_hands_its_arguments_to_pytest(ready, tmp_path):
    """Style and types are checked before the tests; here they are made to pass at once."""
    (ready / "bin" / "python").write_text(
        f'#!/bin/sh\ncase "$*" in "-m ruff"*|"-m mypy"*|"-m pytest"*) echo "$@" ;; '
        f'*) exec "{sys.executable}" "$@" ;; esac\n'
    )
    done = run("bash", SCRIPTS / "test.sh", "tests/test_plan.py", "-k", "a loop", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "-m ruff check .",
        "-m ruff format --check .",
        "-m mypy",
        "-m pytest -m not gpu -n 2 --dist worksteal tests/test_plan.py -k a loop",
    ]


@pytest.mark.slow
def test_the_demo_keeps_files_that_are_not_its_own(ready, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "demo.mp4").write_text("my own film")
    done = run("bash", SCRIPTS / "demo.sh", out)
    assert done.returncode == 2
    assert f"{out}/demo.mp4 exists and is not from an earlier demo" in done.stderr
    assert (out / "demo.mp4").read_text() == "my own film"


@pytest.mark.slow
def test_the_demo_makes_its_three_files_anew(ready, tmp_path, monkeypatch):
    if "default" not in find_models():  # then a small random one stands in
        write_tiny_model(tmp_path / "home" / "models" / "default")
        monkeypatch.setenv("COLLAGE_MOTION_HOME", str(tmp_path / "home"))
    out = tmp_path / "a new folder"
    out.mkdir()
    names = ["demo.bvh", "demo.mp4", "demo.npz"]
    for name in (*names[:2], "keep.txt"):
        (out / name).write_text("old")
    # An earlier demo's numbers beside them: then the films are its own, and may go.
    assert main(["generate", "a person walks::2", "--steps", "1", "-o", str(out / "demo.npz")]) == 0
    done = run("bash", SCRIPTS / "demo.sh", out, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in out.iterdir()) == [*names, "keep.txt"]
    motion = read_npz(out / "demo.npz")
    assert motion.duration_s >= 20
    assert len(motion.segments) == 3
    assert (out / "demo.bvh").read_text().startswith("HIERARCHY")
    assert b"ftyp" in (out / "demo.mp4").read_bytes()[:16]
    assert (out / "keep.txt").read_text() == "old"


# The versions


def test_every_requirement_is_pinned():
    required = [
        *SETUP["options"]["install_requires"].split(),
        *SETUP["options.extras_require"]["dev"].split(),
    ]
    names = {normal(re.split(r"[<>=!~\[; ]", line)[0]) for line in required}
    assert len(names) >= 15
    assert names <= pins().keys()
    assert pins()["torch"] == "2.13.0"


def test_pins_are_exact_and_meet_what_the_package_asks_for():
    for name, version in pins().items():
        assert re.fullmatch(r"\d+(\.\d+)*", version), f"{name}: {version!r}"
    for line in SETUP["options"]["install_requires"].split():
        name, _, least = line.partition(">=")
        assert [*map(int, pins()[normal(name)].split("."))] >= [*map(int, least.split("."))], line


# The package


def test_every_folder_of_modules_is_installed():
    folders = {
        ".".join(("collage_motion", *path.parent.relative_to(ROOT / "collage_motion").parts))
        for path in (ROOT / "collage_motion").rglob("__init__.py")
    }
    assert folders | {"collage_motion.eval"} == set(PACKAGES)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel, built from a copy, so that no old build folder adds to it."""
    setuptools = pytest.importorskip("setuptools")
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"][0]
    if int(setuptools.__version__.split(".")[0]) < int(needed.split(">=")[1]):
        pytest.skip(f"building needs {needed}")
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in ("collage_motion", "eval", "third_party"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    done = run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        copy,
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
        out,
    )
    assert done.returncode == 0, done.stderr
    (path,) = out.glob("*.whl")
    return path


@pytest.mark.slow
def test_the_wheel_holds_everything_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        f"{new}/{path.relative_to(ROOT / old)}"
        for old, new in (("collage_motion", "collage_motion"), ("eval", "collage_motion/eval"))
        for path in (ROOT / old).rglob("*")
        if path.is_file()
        and not {"__pycache__", "results"} & set(path.parts)  # results are read, not installed
    }
    assert wanted <= names, sorted(wanted - names)
    rest = names - wanted
    assert {name.split("/")[0] for name in names} == {"collage_motion", sorted(rest)[0].split("/")[0]}
    assert all(".dist-info/" in name for name in rest), sorted(rest)
    licences = {name.split("/licenses/", 1)[1] for name in rest if "/licenses/" in name}
    assert licences >= {
        "LICENSE", "third_party/licenses/Apache-2.0.txt", "third_party/licenses/CC-BY-NC-4.0.txt",
    }  # fmt: skip
    assert wheel.stat().st_size < 35e6


@pytest.mark.slow
def test_the_installed_wheel_works_from_another_folder(wheel, tmp_path):
    site, home = tmp_path / "site", tmp_path / "home"
    done = run(sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", site, wheel)
    assert done.returncode == 0, done.stderr
    write_tiny_model(home / "models" / "tiny")
    environment = os.environ | {"PYTHONPATH": str(site), "COLLAGE_MOTION_HOME": str(home)}
    environment.pop("COLLAGE_DEBUG", None)
    (tmp_path / "work").mkdir()

    def command(*arguments):
        done = run(*arguments, cwd=tmp_path / "work", env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = command(sys.executable, "-c", "import collage_motion.eval as e; print(e.__file__)")
    assert Path(where.strip()) == site / "collage_motion" / "eval" / "__init__.py"
    program = site / "bin" / "collage-motion"
    assert re.fullmatch(r"collage-motion \d+\.\d+\.\d+\n", command(program, "--version"))
    model = "default" if "default" in find_models() else "tiny"
    assert model in command(program, "models", "list")
    prompts = ["a person walks forward::2", "a person runs::2"]
    assert "2 windows" in command(program, "inspect", *prompts, "--model", model)
    command(program, "generate", *prompts, "--model", model, "--steps", "2", "-o", "a.npz", "-o", "a.bvh")
    assert read_npz(tmp_path / "work" / "a.npz").n_frames == 80
    assert (tmp_path / "work" / "a.bvh").read_text().startswith("HIERARCHY")


# Licences


def test_licence_texts_are_the_real_ones():
    texts = ROOT / "third_party" / "licenses"
    apache = " ".join((texts / "Apache-2.0.txt").read_text().split())
    assert "Apache License Version 2.0, January 2004" in apache and "END OF TERMS AND CONDITIONS" in apache
    creative = " ".join((texts / "CC-BY-NC-4.0.txt").read_text().split())
    assert (
        "Attribution-NonCommercial 4.0 International" in creative
        and "Section 8 -- Interpretation" in creative
    )
    assert "Copyright (c) 2026 the collage_motion authors" in (ROOT / "LICENSE").read_text()


def test_what_ships_says_its_licence_and_its_makers():
    weights = (ROOT / "collage_motion" / "assets" / "default" / "LICENSE").read_text()
    for words in (
        "CC BY-NC 4.0",
        "Bandai-Namco-Research-Motiondataset",
        "2306.08861",
        "mocap.cs.cmu.edu",
        "EIA-0196217",
    ):
        assert words in weights
    assert "Apache License" in (ROOT / "collage_motion" / "assets" / "words" / "LICENSE").read_text()
    sources = (ROOT / "third_party" / "README.md").read_text()
    for name in (
        "MDM",
        "HumanML3D",
        "DiffCollage",
        "Bandai-Namco",
        "CMU",
        "MiniLM",
        "GloVe",
        "CLIP",
        "SMPL",
        "ffmpeg",
    ):
        assert name in sources
    for link in re.findall(r"\]\(([^)]+)\)", sources):
        assert (ROOT / "third_party" / link).exists(), link
