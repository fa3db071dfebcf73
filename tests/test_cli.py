"""The command line end to end: what it writes, what it says, and how each wrong input ends."""

import json
import os
import pty
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import time
from inspect import signature
from pathlib import Path

import pytest
from command_line import QUICK, refused

from collage_motion import __version__
from collage_motion.export import read_npz
from collage_motion.plan import read_plan

PROMPTS = ["a person walks::2", "a person runs::2"]


def started(arguments, **more):
    """The command as a process of its own, in the working folder."""
    return subprocess.Popen(
        [sys.executable, "-m", "collage_motion", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


# What it makes


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
        unset = {"blend", "reconstruction_weight"} & set(given)
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


# What it tells


def test_inspect_draws_plan_and_graph(command):
    code, out, err = command("inspect", *PROMPTS, "--overlap", "0.5", "--model", "tiny")
    assert (code, err) == (0, "")
    assert "plan: 4 s, no loop" in out
    assert "  2     2.0 to    4.0 s  a person runs" in out
    assert "in 2 windows and 1 overlap on a line" in out
    assert "####" in out
    assert "model tiny: windows of 1 to 6 s at 20 frames a second" in out
    assert max(map(len, out.splitlines())) <= 110


def test_inspect_tells_how_to_make_what_it_showed(command):
    _, out, _ = command(
        "inspect", *PROMPTS, "--overlap", 0.5, "--variables", "null", "--model", "tiny", "--save", "p.yml"
    )
    assert "to make it: collage-motion generate p.yml --overlap 0.5 --variables null --model tiny\n" in out


def test_inspect_splits_at_the_longest_window(command):
    asked = (
        "inspect",
        "a person walks::10",
        "--window",
        3,
        "--overlap",
        0.5,
        "--model",
        "tiny",
        "--save",
        "p.yml",
    )
    code, out, _ = command(*asked)
    assert code == 0
    assert "windows of 1 to 3 s at 20 frames a second" in out
    assert "to make it: collage-motion generate p.yml --overlap 0.5 --window 3 --model tiny\n" in out
    code, _, err = command("inspect", "a person walks::10", "--window", 9, "--model", "tiny")
    assert (code, err) == (
        2,
        "collage-motion: error: window: got 9 s; this model's windows hold 1 to 6 s; choose among these\n",
    )


def test_inspect_needs_no_torch_and_little_time(home):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from collage_motion.cli import main\n"
        "assert main(['inspect', 'a person walks', 'a person runs', '--model', 'tiny', '--loop']) == 0\n"
        "assert main(['models', 'list']) == 0\n"
        "assert 'scipy' not in sys.modules\n"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert "2 windows" in done.stdout
    # Processor time, because the machine that runs the tests may be busy.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0


def test_far_prompts_are_warned_of_and_made(command):
    code, out, err = command(
        "inspect", "the stock market crashes", "a person walks", "the stock market crashes", "--model", "tiny"
    )
    assert code == 0
    assert "2 overlaps" in out
    assert err.count("\n") == 1  # once for a prompt that comes twice
    assert err.startswith("collage-motion: warning: prompt 'the stock market crashes' is far from")
    assert all(action in err for action in ("walk", "run", "wave"))
    code, _, err = command("generate", "the stock market crashes::2", *QUICK, "-o", "a.npz")
    assert code == 0
    assert "warning" in err


def test_models_list_says_what_a_model_knows(command):
    code, out, err = command("models", "list")
    assert (code, err) == (0, "")
    part = out[out.index("tiny\n") :]
    for fact in ("windows: 1 to 6 s", "licence: MIT", "random weights", "knows 3 actions: walk, run, wave"):
        assert fact in part


def test_models_list_shows_the_others_when_one_is_broken(command, home, tmp_path, monkeypatch):
    shutil.copytree(home, tmp_path / "home")
    monkeypatch.setenv("COLLAGE_MOTION_HOME", str(tmp_path / "home"))
    broken = tmp_path / "home" / "models" / "broken"
    broken.mkdir()
    (broken / "card.json").write_text("{")
    code, out, err = command("models", "list")
    assert code == 2
    assert "\ntiny\n" in "\n" + out
    assert "broken/card.json: the card is not JSON" in err and err.count("\n") == 1


def test_version_and_help(command):
    assert command("--version") == (0, f"collage-motion {__version__}\n", "")
    for arguments in (
        [],
        ["--help"],
        ["generate", "--help"],
        ["inspect", "-h"],
        ["models"],
        ["models", "list", "-h"],
    ):
        code, out, err = command(*arguments)
        assert (code, err) == (0, "")
        assert out.startswith("Usage: collage-motion")


def test_help_gives_units_ranges_and_defaults(command):
    text = " ".join(command("generate", "--help")[1].split())
    for words in (
        '"a person walks::3" for 3 seconds',
        "in seconds",
        "0 sets clips side by side; else at least the model's least overlap (0.5 s for the default model)",
        "usually 0.5 to 1.",
        "[default: 1.5]",
        "Denoising steps, 1 to 1000",
        "0 to 100, usually 1.5 to 4",
        "0 to 2^64 - 1",
        "[default: motion.mp4]",
        ".bvh",
        "auto|null|prompt",
        "--overwrite",
    ):
        assert words in text


@pytest.mark.slow
def test_a_terminal_gets_a_progress_bar(home):
    leader, follower = pty.openpty()
    # A narrow reason for 300 steps: the bar must have time to show that it moves.
    done = subprocess.Popen(
        [sys.executable, "-c", PROGRESS_PROGRAM], stdout=subprocess.DEVNULL, stderr=follower,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
    )  # fmt: skip
    os.close(follower)
    seen = b""
    while select.select([leader], [], [], 20)[0]:
        try:
            piece = os.read(leader, 4096)
        except OSError:
            break
        if not piece:
            break
        seen += piece
    os.close(leader)
    assert done.wait(20) == 0
    assert b"sampling" in seen and b"40%" in seen and b"80%" in seen


PROGRESS_PROGRAM = """
import time
from collage_motion.cli.messages import Progressing
with Progressing() as progress:
    progress.begin("sampling")
    for step in range(1, 6):
        progress.step(step, 5)
        time.sleep(0.15)
"""


def test_without_a_terminal_long_work_speaks_now_and_then(capfd, monkeypatch):
    from collage_motion.cli import messages

    now = [0.0]
    monkeypatch.setattr(messages.time, "monotonic", lambda: now[0])
    with messages.Progressing() as progress:
        progress.begin("sampling")
        for step in range(1, 26):
            now[0] += 1.0
            progress.step(step, 25)
    assert capfd.readouterr().err.splitlines() == [
        "collage-motion: sampling: 10 of 25",
        "collage-motion: sampling: 20 of 25",
    ]


# Wrong input


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


# What the machine does to it


def limit_file_size():
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def without_progress(err):
    """The lines on stderr that are not about progress, which a busy machine makes long enough to tell."""
    return [line for line in err.splitlines() if not re.search(r": \d+ of \d+$", line)]


@pytest.mark.slow
@pytest.mark.parametrize("output", ["a.npz", "a.mp4"])
def test_a_write_that_fails_leaves_nothing(home, output):
    arguments = ["generate", "a person walks::2", *QUICK, "-o", output]
    process = started(arguments, preexec_fn=limit_file_size)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2, err
    (line,) = without_progress(err)
    assert line.startswith(f"collage-motion: error: {output}: cannot be written")
    assert os.listdir() == []


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="only root can mount a small disk")
@pytest.mark.parametrize("output", ["a.npz", "a.bvh", "a.mp4", "a.gif"])
def test_a_full_disk_is_said_and_leaves_nothing(home, tmp_path, output):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        process = started(["generate", "a person walks::3", *QUICK, "-o", str(disk / output)])
        _, err = process.communicate(timeout=60)
        assert process.returncode == 2, err
        (line,) = without_progress(err)
        assert line.startswith("collage-motion: error: ") and "full" in line
        assert os.listdir(disk) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_in_the_middle_keeps_the_whole_files(command, monkeypatch):
    import errno

    from collage_motion import export

    def full(motion, path):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(export, "write_bvh", full)
    code, out, err = command("generate", "a person walks::2", *QUICK, "-o", "a.npz", "-o", "a.bvh")
    assert (code, err) == (
        2,
        "collage-motion: error: a.bvh: cannot be written (the disk is full); nothing was kept\n",
    )
    assert "wrote a.npz" in out
    assert os.listdir() == ["a.npz"]


def wait_for(path_is_there, process):
    """Until a temporary file appears, or the process ends."""
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        if path_is_there():
            return
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="sees by /proc how far the program is")
@pytest.mark.parametrize("moment", ["loading", "sampling", "writing"])
def test_a_signal_ends_it_cleanly(home, number, code, moment):
    seconds = "60" if moment == "writing" else "20"
    steps = "2" if moment == "writing" else "1000"
    process = started(
        ["generate", f"a person walks::{seconds}", "--model", "tiny", "--steps", steps, "-o", "a.gif"]
    )
    if moment == "writing":
        wait_for(lambda: any(name.endswith(".gif") for name in os.listdir()), process)
    else:
        maps = Path(f"/proc/{process.pid}/maps")
        wait_for(lambda: "libtorch" in maps.read_text(), process)
        time.sleep(4.0 if moment == "sampling" else 0.0)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert out == ""
    assert os.listdir() == []
    said = ["collage-motion: stopped by Ctrl-C; no half-written file is left"]
    assert without_progress(err) == (said if number == signal.SIGINT else [])


def test_ctrl_c_while_sampling_or_writing_keeps_the_old_file(command, monkeypatch):
    from collage_motion import export, pipeline

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    Path("a.npz").write_text("old")
    for module, name in ((pipeline, "sample"), (export, "write_npz")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, interrupted)
            code, out, err = command("generate", *PROMPTS, *QUICK, "-o", "a.npz", "--overwrite")
        assert (code, out) == (130, "")
        assert err == "collage-motion: stopped by Ctrl-C; no half-written file is left\n"
    assert os.listdir() == ["a.npz"]
    assert Path("a.npz").read_text() == "old"


def test_the_unforeseen_is_one_line_and_a_traceback_on_demand(command, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("ha\nha")

    monkeypatch.setattr("collage_motion.cli.inspect.plan_table", broken)
    code, out, err = command("inspect", "a person walks", "--model", "tiny")
    assert (code, out) == (1, "")
    assert err == (
        "collage-motion: unexpected error: ZeroDivisionError: ha ha; set COLLAGE_DEBUG=1 to see where\n"
    )
    monkeypatch.setenv("COLLAGE_DEBUG", "1")
    code, _, err = command("inspect", "a person walks", "--model", "tiny")
    assert code == 1
    assert "Traceback" in err and err.endswith("unexpected error: ZeroDivisionError: ha ha\n")


def test_a_reader_that_leaves_early_is_no_error(home):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "collage_motion", "models", "list"],
        stdout=writer, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode == 1


def test_the_default_model_is_complete(command):
    """The model that ships: its card, its weights, and a motion from them."""
    from collage_motion.card import find_models

    if "default" not in find_models():
        pytest.skip("no default model in this checkout yet")
    card = json.loads((find_models()["default"] / "card.json").read_text())
    assert (find_models()["default"] / "LICENSE").is_file()
    assert card["licence"].startswith("CC BY-NC 4.0")
    code, _, err = command("generate", f"{card['actions'][0]}::2", "--steps", 2, "-o", "a.npz")
    assert (code, err) == (0, "")
    assert read_npz("a.npz").n_frames == 40
