"""What the command line says: plans and graphs, models, help, warnings and progress."""

import os
import pty
import resource
import select
import shutil
import subprocess
import sys

import pytest
from command_line import PROMPTS, QUICK

from collage_motion import __version__


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
