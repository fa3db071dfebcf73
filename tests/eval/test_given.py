"""Motions made elsewhere: the same motions have the same figures, joints become the features they came from."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from beds import body
from tiny_runs import Silent, figures, samples

from collage_motion.bridging import motion_from_joints
from collage_motion.errors import CollageError, DataError
from collage_motion.eval.command import run_request
from collage_motion.eval.given import Given, given_rows
from collage_motion.eval.parts import Share
from collage_motion.eval.protocols import get_protocol
from collage_motion.features import features_to_joints

LONG = get_protocol("long")


def write(folder: Path, array: object, replication: int = 0, number: int = 0) -> Path:
    """An array where a motion is looked for."""
    path = folder / f"r{replication:02d}" / f"{number:05d}.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)
    return path


@pytest.mark.parametrize("seed", range(4))
def test_joints_become_the_features_that_they_came_from(tmp_path: Path, seed: int) -> None:
    rows = motion_from_joints(body(70, np.random.default_rng(seed))).features
    write(tmp_path, np.asarray(features_to_joints(rows)))
    (found,) = Given("mine", tmp_path).read(0, [len(rows)])
    assert found.shape == rows.shape and found.dtype == np.float32
    inside = slice(20, -20)  # headings are smoothed over the ends of a clip
    np.testing.assert_allclose(found[inside], rows[inside], atol=2e-3)
    joints = np.asarray(features_to_joints(found))
    np.testing.assert_allclose(joints[:, 0, 1], np.asarray(features_to_joints(rows))[:, 0, 1], atol=2e-3)


def test_features_are_taken_as_they_are(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((2, 5, 263)).astype(np.float32)
    write(tmp_path, rows[0], 3, 0)
    write(tmp_path, rows[1].astype(np.float64), 3, 1)
    found = Given("mine", tmp_path, joints=False).read(3, [5, 5])
    np.testing.assert_array_equal(found, rows)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (
            np.zeros((6, 22, 3)),
            r"got shape \(6, 22, 3\); expected: joints \(5, 22, 3\) or features \(5, 263\)",
        ),
        (np.zeros((5, 24, 3)), r"got shape \(5, 24, 3\)"),
        (np.zeros(()), r"got shape \(\)"),
        (np.zeros((5, 22, 3), int), "no array of floating point numbers"),
        (np.full((5, 263), np.nan, np.float32), "numbers that are not finite"),
        (np.zeros((5, 22, 3)), "heading|length"),
        (np.full((5, 22, 3), 1e9), "give metres"),
        (np.array([{"a": 1}], dtype=object), "no array of numbers"),
    ],
    ids=str,
)
def test_what_is_no_motion_is_told_with_its_file(tmp_path: Path, array: np.ndarray, message: str) -> None:
    path = tmp_path / "r00" / "00000.npy"
    path.parent.mkdir()
    np.save(path, array, allow_pickle=True)
    with pytest.raises(DataError, match=rf"00000\.npy: .*({message})"):
        Given("mine", tmp_path).read(0, [5])


def test_files_that_are_none_are_told(tmp_path: Path) -> None:
    mine = Given("mine", tmp_path)
    with pytest.raises(
        DataError, match=r"r02/00000\.npy: missing; mine has no motion 00000 of replication 02"
    ):
        mine.check(2, [5])
    path = write(tmp_path, np.zeros((5, 263), np.float32))
    mine.check(0, [5])
    whole = path.read_bytes()
    for broken in (b"", b"text", whole[:20], whole[:-8], whole.replace(b"(5, 263)", b"(5e9,26)")):
        path.write_bytes(broken)
        with pytest.raises(DataError, match=r"00000\.npy: "):
            mine.check(0, [5])


def test_a_data_set_of_others_takes_features_only(tmp_path: Path) -> None:
    write(tmp_path, np.zeros((5, 22, 3)))
    with pytest.raises(DataError, match=r"expected: features \(5, 263\)$"):
        Given("mine", tmp_path, joints=False).check(0, [5])


@pytest.mark.parametrize(
    ("texts", "protocol", "message"),
    [
        (["mine"], "long", "--given: got 'mine'; allowed: NAME=DIR"),
        (["=."], "long", "--given: got '=.'; allowed: NAME=DIR"),
        (["a/b=."], "long", "--given: got 'a/b=.'"),
        (["collage=."], "long", "the name 'collage' is taken"),
        (["real=."], "long", "the name 'real' is taken"),
        (["mine=.", "mine=."], "long", "the name 'mine' is taken"),
        (["mine=nowhere"], "long", "--given mine: nowhere is no folder"),
        (["mine=."], "path", "protocol path holds motions to real clips"),
    ],
)
def test_rows_that_cannot_be_are_refused(texts: list[str], protocol: str, message: str) -> None:
    with pytest.raises(CollageError, match=message):
        given_rows(texts, get_protocol(protocol), joints=True)


@pytest.mark.slow
def test_the_same_motions_have_the_same_figures(copied, tmp_path: Path) -> None:
    """The collage's own motions, given back: one row is the other, but for the seconds."""
    before = samples(copied.output)
    for path in before:
        if path.parent.parent.name != "collage":
            continue
        with np.load(path) as shard:
            for number, rows in zip(shard["numbers"], shard["features"], strict=True):
                write(tmp_path / "theirs", rows, int(path.parent.name[1:]), int(number))
    request = replace(copied, given=(f"mine={tmp_path / 'theirs'}",))
    watch = Silent()
    report = run_request(request, watch, Share())
    assert [row["method"] for row in report["rows"]] == ["real", "short", "collage", "mine"]
    found = figures(report)
    ours = {name: values for (method, name), values in found.items() if method == "collage"}
    theirs = {name: values for (method, name), values in found.items() if method == "mine"}
    assert theirs == ours and len(ours) > 20
    assert samples(copied.output) == before  # nothing was made
    assert report["given"]["mine"]["folder"] == "theirs" and len(report["given"]["mine"]["sha256"]) == 64
    assert "mine" not in report["settings"] and any(
        "mine were made elsewhere" in line for line in report["notes"]
    )
    assert any(line.startswith("| mine") for line in watch.lines)
    (tmp_path / "theirs" / "r01" / "00003.npy").unlink()
    with pytest.raises(DataError, match=r"r01/00003\.npy: missing"):
        run_request(request, Silent(), Share())


@pytest.mark.slow
def test_the_list_says_what_is_asked_for_and_makes_nothing(request_, whole) -> None:
    watch = Silent()
    assert run_request(replace(request_, only_list=True), watch, Share()) is None
    asked = json.loads((request_.output / "long.asked.json").read_text())
    assert asked == json.loads((whole[1] / "long.prompts.json").read_text())
    assert not samples(request_.output) and watch.lines[-1].endswith("long.asked.json")
    assert sorted(path.name for path in request_.output.iterdir()) == ["long.asked.json", "run.json"]
