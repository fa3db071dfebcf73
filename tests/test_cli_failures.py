"""The command line when the machine fails it: full disks, signals, closed pipes, the unforeseen."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import PROMPTS, QUICK, started

from collage_motion.export import read_npz


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
    # Long enough that a fast machine still samples when the signal comes: a process that is ending dies of it.
    seconds = "60" if moment == "writing" else "300"
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
