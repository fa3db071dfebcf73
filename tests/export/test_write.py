"""`check_output` and `write`: what is refused, and that files appear whole or not at all."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from collage_motion import export
from collage_motion.errors import OutputError
from collage_motion.export import SUFFIXES, check_output, write
from collage_motion.export.atomic import replacing


@pytest.mark.parametrize("name", ["clip.fbx", "clip", "clip.", "archive.npz.zip"])
def test_an_unknown_suffix_names_the_ones_that_work(name, tmp_path):
    with pytest.raises(OutputError) as caught:
        check_output(tmp_path / name)
    assert all(suffix in str(caught.value) for suffix in SUFFIXES)


def test_what_stands_in_the_way_is_named(tmp_path):
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "there.bvh").write_text("old")
    (tmp_path / "link.bvh").symlink_to(tmp_path / "nowhere.bvh")
    for name, says in (
        ("folder.npz", "is a folder"),
        ("there.bvh", "exists already"),
        ("link.bvh", "exists already"),
        ("missing/a.npz", "does not exist"),
        ("there.bvh/a.npz", "is not a folder"),
        ("x" * 300 + ".npz", "cannot be used"),
    ):
        with pytest.raises(OutputError, match=says) as caught:
            check_output(tmp_path / name)
        assert "\n" not in str(caught.value)
    assert check_output(tmp_path / "there.bvh", overwrite=True) == tmp_path / "there.bvh"
    with pytest.raises(OutputError, match="is a folder"):
        check_output(tmp_path / "folder.npz", overwrite=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="not writable"):
            check_output(tmp_path / "a.npz")
    finally:
        tmp_path.chmod(0o700)


def test_a_folder_that_takes_no_files_is_named_before_the_long_work():
    # To the superuser /proc looks writable.
    with pytest.raises(OutputError, match=r"/proc/a\.npz: the folder /proc (takes no file|is not writable)"):
        check_output("/proc/a.npz")


def test_checking_makes_nothing(tmp_path):
    check_output(tmp_path / "a.NPZ")
    assert not list(tmp_path.iterdir())


def test_writing_twice_needs_overwrite(motion, tmp_path):
    path = tmp_path / "a.bvh"
    write(motion, path)
    first = path.read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        write(motion, path)
    path.write_text("spoilt")
    write(motion, path, overwrite=True)
    assert path.read_bytes() == first and list(tmp_path.iterdir()) == [path]


def test_a_link_keeps_pointing_at_the_file(motion, tmp_path):
    (tmp_path / "real.npz").write_bytes(b"old")
    (tmp_path / "link.npz").symlink_to("real.npz")
    write(motion, tmp_path / "link.npz", overwrite=True)
    assert (tmp_path / "link.npz").is_symlink() and (tmp_path / "real.npz").stat().st_size > 1000


def test_a_full_disk_leaves_nothing_and_says_so(motion, tmp_path, monkeypatch):
    def full(motion, path):
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(export, "write_npz", full)
    old = tmp_path / "a.npz"
    old.write_bytes(b"old")
    with pytest.raises(OutputError, match=r"a\.npz: cannot be written \(the disk is full\)"):
        write(motion, old, overwrite=True)
    assert old.read_bytes() == b"old" and list(tmp_path.iterdir()) == [old]


@pytest.mark.parametrize("trouble", [KeyboardInterrupt, ValueError, SystemExit])
def test_any_exception_removes_the_temporary_file(trouble, tmp_path):
    with pytest.raises(trouble), replacing(tmp_path / "a.npz") as part:
        part.write_bytes(b"half")
        assert part.parent == tmp_path and part.suffix == ".npz"
        raise trouble
    assert not list(tmp_path.iterdir())


def test_a_file_that_appears_meanwhile_is_kept(tmp_path):
    target = tmp_path / "a.npz"
    with pytest.raises(OutputError, match="exists already"), replacing(target) as part:
        part.write_bytes(b"new")
        target.write_bytes(b"somebody else's")
    assert target.read_bytes() == b"somebody else's" and list(tmp_path.iterdir()) == [target]


SLOW_VIDEO = """
import sys
sys.path.insert(0, sys.argv[1])
from made_motion import make_motion
from collage_motion.export import write
write(make_motion(4000), sys.argv[2])
"""


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_ctrl_c_in_the_middle_of_a_video_leaves_nothing(suffix, tmp_path):
    goal = tmp_path / f"a{suffix}"
    command = [sys.executable, "-c", SLOW_VIDEO, str(Path(__file__).parent), str(goal)]
    program = subprocess.Popen(command, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(tmp_path.iterdir()), "the video was never begun"
    program.send_signal(signal.SIGINT)
    program.communicate(timeout=30)
    assert program.returncode != 0 and not list(tmp_path.iterdir())


def test_importing_export_loads_neither_torch_nor_pillow():
    check = "import sys, collage_motion.export; print(sorted({'torch', 'PIL', 'imageio_ffmpeg'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
