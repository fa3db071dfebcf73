"""`bridge` and `edit`: motions from files, what becomes of them, and files that are none."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import QUICK, refused

from collage_motion.errors import DataError
from collage_motion.export import read_npz
from collage_motion.recordings import read_motion
from collage_motion.skeleton import PARENTS

WALKS, RUNS = "a person walks", "a person runs"
EMPTY_BVH = (
    "HIERARCHY\nROOT Hips\n{\nOFFSET 0 0 0\nCHANNELS 3 Xposition Yposition Zposition\nEnd Site\n{\nOFFSET 0 0 0\n}\n}\n"
    "MOTION\nFrames: 2\nFrame Time: 0.05\n0 0 0\n0 0 0\n"
)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Where the motions of `two` stay for the tests after the first."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def two(command, kept):
    """A motion that walks and one that runs, each as .npz and .bvh, in the folder above."""
    for name, prompt in (("walk", f"{WALKS}::3"), ("run", f"{RUNS}::2.5")):
        files = [kept / f"{name}.npz", kept / f"{name}.bvh"]
        if not all(file.exists() for file in files):
            assert command("generate", prompt, *QUICK, "-o", files[0], "-o", files[1])[0] == 0
        for file in files:
            shutil.copy(file, "..")
    return command


def test_bridge_joins_two_motions_and_keeps_both(two):
    code, out, err = two(
        "bridge", "../walk.npz", "../run.npz", "--seconds", "1.5", *QUICK, "-o", "a.npz", "-o", "a.bvh"
    )
    assert (code, err) == (0, "")
    assert "wrote a.npz (" in out and "wrote a.bvh (" in out
    assert "7 s of motion (140 frames at 20 a second, seed 0) in " in out
    joined, first, second = read_npz("a.npz"), read_npz("../walk.npz"), read_npz("../run.npz")
    np.testing.assert_array_equal(joined.features[:60], first.features)
    np.testing.assert_array_equal(joined.features[90:], second.features)
    assert joined.prompts == (WALKS,) * 75 + (RUNS,) * 65 and joined.seams == (60, 90)


def test_options_reach_a_bridge(two):
    flags = [
        "--method", "blend", "--blend", 0.2, "--sampler", "deis", "--order", 2, "--condition", "reconstruction",
        "--reconstruction-weight", 0.5, "--guidance", 1.5, "--overlap", 0.5, "--seed", 3, "--no-share-guidance",
    ]  # fmt: skip
    told = ["--prompts", "a person waves", "a person jumps"]
    code, _, _ = two("bridge", "../walk.npz", "../run.npz", *told, *flags, *QUICK, "-o", "a.npz")
    assert code == 0
    settings = read_npz("a.npz").settings
    assert settings["bridge"] == {"seconds": 2.0, "prompts": told[1:], "condition": "reconstruction"}
    names = ("method", "blend", "sampler", "order", "reconstruction_weight", "guidance", "overlap", "seed")
    assert [settings[name] for name in names] == ["blend", 0.2, "deis", 2, 0.5, 1.5, 0.5, 3]
    assert settings["share_guidance"] is False


def test_a_bvh_needs_words_and_can_then_be_joined(two):
    refused(
        two("bridge", "../walk.bvh", "../run.npz", *QUICK, "-o", "a.npz"),
        "walk.bvh: nothing says",
        "--prompts",
    )
    refused(
        two("bridge", "../walk.npz", "../run.bvh", *QUICK, "-o", "a.npz"),
        "run.bvh: nothing says",
        "--prompts",
    )
    told = ["--prompts", WALKS, "a person jumps"]
    assert two("bridge", "../walk.bvh", "../run.npz", *told, "--seconds", 1, *QUICK, "-o", "a.npz")[0] == 0
    joined = read_npz("a.npz")
    assert joined.n_frames == 58 + 20 + 50  # the first and the last frame are lost to differences
    assert joined.prompts[:58] == (WALKS,) * 58
    assert joined.prompts[58:78] == (WALKS,) * 10 + ("a person jumps",) * 10
    assert joined.prompts[78:] == (RUNS,) * 50  # what its file says


def angles(motion):
    """Cosines between all bones of a frame (F, 21, 21), which neither bone lengths nor the heading change."""
    bones = motion.joints[:, 1:] - motion.joints[:, PARENTS[1:]]
    bones = bones / np.linalg.norm(bones, axis=-1, keepdims=True)
    return bones @ bones.transpose(0, 2, 1)


def test_our_own_bvh_is_the_motion_again(two):
    saved, read = read_npz("../walk.npz"), read_motion("../walk.bvh", WALKS)
    assert read.n_frames == 58 and set(read.prompts) == {WALKS}
    np.testing.assert_allclose(angles(read), angles(saved)[1:59], atol=0.02)


def test_edit_changes_a_motion(two):
    off = []
    for strength in (0.2, 0.9):
        flags = ["--prompt", "a person waves", "--strength", strength, "--steps", 10, "--model", "tiny"]
        code, out, err = two("edit", "../walk.npz", *flags, "-o", "a.npz", "--overwrite")
        assert (code, err) == (0, "") and "3 s of motion (60 frames" in out
        edited = read_npz("a.npz")
        assert set(edited.prompts) == {"a person waves"}
        assert edited.settings["edit"]["strength"] == strength and edited.settings["edit"]["of"]["steps"] == 2
        off.append(np.abs(edited.features - read_npz("../walk.npz").features).mean())
    assert 0 < off[0] < off[1]


def test_edit_takes_a_plan_and_a_bvh(two):
    Path("../plan.yaml").write_text(
        "segments:\n- {prompt: a person waves, seconds: 1.5, overlap: 0.5}\n- {prompt: a person runs, seconds: 1.5}\n"
    )
    assert (
        two("edit", "../walk.npz", "--prompt", "../plan.yaml", *QUICK, "--seam-factors", "-o", "a.npz")[0]
        == 0
    )
    edited = read_npz("a.npz")
    assert edited.seams == (30,) and edited.settings["seam_factors"] is True
    Path("a.npz").unlink()
    result = two("edit", "../walk.bvh", "--prompt", "../plan.yaml", *QUICK, "-o", "a.npz")
    refused(result, "the plan lasts 3 s, the motion 2.9 s", "one length")
    assert two("edit", "../walk.bvh", "--prompt", WALKS, *QUICK, "-o", "a.npz")[0] == 0
    assert read_npz("a.npz").n_frames == 58


def test_far_prompts_are_warned_of(two):
    code, _, err = two("edit", "../walk.npz", "--prompt", "the stock market crashes", *QUICK, "-o", "a.npz")
    assert code == 0 and err.count("\n") == 1 and "warning: prompt 'the stock market crashes' is far" in err


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("gone.npz", None, ["no such file"]),
        ("gone.bvh", None, ["cannot be read", "No such file"]),
        ("bad.npz", "hello", ["is no .npz file", "made by this program"]),
        ("bad.bvh", "hello", ["bad.bvh:1: unknown word 'hello'"]),
        ("bare.bvh", EMPTY_BVH, ["unknown skeleton with 1 joints (Hips)", "collage_motion's own"]),
        ("cut.bvh", EMPTY_BVH[: EMPTY_BVH.index("MOTION")], ["cut.bvh:", "truncated"]),
        ("film.mp4", "", ["suffix '.mp4'", ".npz or .bvh"]),
        ("words", "", ["no suffix", ".npz or .bvh"]),
    ],
)
def test_files_that_are_no_motion_are_named_in_one_line(command, monkeypatch, name, content, parts):
    monkeypatch.setattr("collage_motion.models.load_model", None)  # would be an unexpected error
    path = Path("..") / name
    if content is not None:
        path.write_text(content)
    refused(command("edit", path, "--prompt", WALKS, *QUICK, "-o", "a.npz"), str(path), *parts)
    told = ["--prompts", WALKS, RUNS]
    refused(command("bridge", path, path, *told, *QUICK, "-o", "a.npz"), str(path), *parts)


def test_a_recording_too_short_is_refused(two):
    lines = Path("../walk.bvh").read_text().splitlines()
    at = next(k for k, line in enumerate(lines) if line.startswith("Frame Time"))

    def shorten(frames):
        head = [*lines[: at - 1], f"Frames: {frames}", lines[at]]
        Path("../short.bvh").write_text("\n".join([*head, *lines[at + 1 : at + 1 + frames]]) + "\n")
        return two("edit", "../short.bvh", "--prompt", WALKS, *QUICK, "-o", "a.npz")

    refused(shorten(2), "short.bvh: joints: got 2 frames")
    refused(shorten(5), "short.bvh: lasts 0.15 s (3 frames)", "edits 1 s or more")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["bridge", "../walk.npz"], ["Missing argument 'B'"]),
        (["bridge", "../walk.npz", "../run.npz", "--seconds", "0"], ["--seconds", "'0'", "0.05 to 3600"]),
        (["bridge", "../walk.npz", "../run.npz", "--seconds", "nan"], ["--seconds", "'nan'"]),
        (
            ["bridge", "../walk.npz", "../run.npz", "--condition", "glue"],
            ["--condition", "'glue'", "replacement"],
        ),
        (["bridge", "../walk.npz", "../run.npz", "--method", "naive"], ["--method", "'naive'", "consensus"]),
        (["bridge", "../walk.npz", "../run.npz", "--blend", "0.1"], ["--blend 0.1", "--method blend"]),
        (
            ["bridge", "../walk.npz", "../run.npz", "--reconstruction-weight", "1"],
            ["--reconstruction-weight 1", "--condition reconstruction", "got --condition replacement"],
        ),
        (["bridge", "../walk.npz", "../run.npz", "--prompts", "", RUNS], ["--prompts: a prompt is empty"]),
        (
            ["bridge", "../walk.npz", "../run.npz", "--prompts", WALKS, "a\nb"],
            ["--prompts: prompt", "U+000A"],
        ),
        (["bridge", "../walk.npz", "../run.npz", "--overlap", "0.1"], ["the overlap is 0.1 s", "0.5 to 3 s"]),
        (["edit", "../walk.npz"], ["Missing option '--prompt'"]),
        (["edit", "../walk.npz", "--prompt", " "], ["--prompt: a prompt is empty"]),
        (["edit", "../walk.npz", "--prompt", "no.yaml"], ["no.yaml: the plan cannot be read"]),
        (["edit", "../walk.npz", "--prompt", WALKS, "--strength", "0"], ["--strength 0", "above 0 to 1"]),
        (["edit", "../walk.npz", "--prompt", WALKS, "--strength", "1.5"], ["--strength", "'1.5'"]),
        (["edit", "../walk.npz", "--prompt", WALKS, "--method", "handshake"], ["--method", "'handshake'"]),
        (["edit", "../walk.npz", "--prompt", WALKS, "--order", "2"], ["order: sampler dpmpp has none"]),
    ],
)
def test_what_cannot_be_is_one_line(two, arguments, parts):
    refused(two(*arguments, *QUICK, "-o", "a.npz"), *parts)


def test_another_frame_rate_is_named_before_the_model_is_loaded(two, monkeypatch):
    with np.load("../walk.npz") as held:
        np.savez("../fast.npz", **{**held, "fps": 30})
    monkeypatch.setattr("collage_motion.models.load_model", None)  # would be an unexpected error
    for what in (["bridge", "../walk.npz", "../fast.npz"], ["edit", "../fast.npz", "--prompt", WALKS]):
        result = two(*what, *QUICK, "-o", "a.npz")
        refused(result, "../fast.npz: has 30 frames a second, model 'tiny' makes 20; give it as .bvh")


def test_outputs_are_checked_first(command, monkeypatch):
    monkeypatch.setattr("collage_motion.recordings.read_motion", None)
    for what in (["bridge", "a.npz", "b.npz"], ["edit", "a.npz", "--prompt", WALKS]):
        refused(command(*what, *QUICK, "-o", "a.xyz"), "a.xyz: suffix '.xyz'")


def test_read_motion_names_what_it_cannot_read(tmp_path):
    with pytest.raises(
        DataError, match=re.escape("a.fbx: suffix '.fbx'; a motion is read from .npz or .bvh")
    ):
        read_motion("a.fbx")
    with pytest.raises(DataError, match=r"gone\.npz: no such file"):
        read_motion(tmp_path / "gone.npz")
