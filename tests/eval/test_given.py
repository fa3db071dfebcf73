"""Motions made elsewhere: the same motions have the same figures, joints become the features they came from."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from beds import body
from tiny_runs import Silent, figures, samples

from collage_motion.bridging import motion_from_joints
from collage_motion.errors import CollageError, DataError, OutputError
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
    found = Given("mine", tmp_path, "features only").read(3, [5, 5])
    np.testing.assert_array_equal(found, rows)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (
            np.zeros((6, 22, 3)),
            r"got float64 \(6, 22, 3\); expected: floating point features \(5, 263\) or joints",
        ),
        (np.zeros((5, 24, 3)), r"got float64 \(5, 24, 3\)"),
        (np.zeros(()), r"got float64 \(\)"),
        (np.zeros((5, 22, 3), int), r"got int64 \(5, 22, 3\); expected: floating point"),
        (np.zeros((5, 263), complex), "got complex128"),
        (np.full((5, 263), np.nan, np.float32), "numbers that are not finite, or beyond"),
        (np.full((5, 263), 1e300), "numbers that are not finite, or beyond"),
        (np.full((5, 263), 1e7, np.float32), "numbers that are not finite, or beyond"),
        (np.full((5, 22, 3), 1e9), "numbers that are not finite, or beyond"),
        (np.zeros((5, 22, 3)), "heading|length"),
        (np.array([{"a": 1}], dtype=object), r"no \.npy file of numbers"),
    ],
    ids=range(11),
)
def test_what_is_no_motion_is_told_with_its_file(tmp_path: Path, array: np.ndarray, message: str) -> None:
    path = tmp_path / "r00" / "00000.npy"
    path.parent.mkdir()
    np.save(path, array, allow_pickle=True)
    with pytest.raises(DataError, match=rf"00000\.npy: .*({message})"):
        Given("mine", tmp_path).read(0, [5])


def header(text: bytes, rest: bytes = b"") -> bytes:
    """A .npy file of version 1 with this head."""
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + rest


def claim(shape: str, dtype: str = "<f4") -> bytes:
    """The head of an array of this shape."""
    return f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"text",
        b"PK\x03\x04garbage",
        header(b"{'descr': ("),
        header(b"{[]: 1}"),
        header(b"{'descr': ',', 'descr': ','}"),
        header(b"-" * 9000 + b"1"),
        header(claim("(-5, 263)"), bytes(5 * 263 * 4)),
        header(claim("(5, 10000000000000000000000000000000)")),
        header(claim("(50000000000, 263)")),
        header(claim("(5, 263)"), bytes(5 * 263 * 4 - 8)),
        header(claim("(5, 263)", "|O"), bytes(5 * 263 * 8)),
        header(claim("(5, 263)"), bytes(5 * 263 * 4)).replace(b"\x01\x00", b"\x03\x00", 1),
        bytes(100_000),
    ],
    ids=range(14),
)
def test_a_broken_or_hostile_file_is_one_line_with_its_name(tmp_path: Path, broken: bytes) -> None:
    path = write(tmp_path, np.zeros((5, 263), np.float32))
    assert Given("mine", tmp_path).read(0, [5])
    path.write_bytes(broken)
    with pytest.raises(DataError, match=r"00000\.npy: ") as told:
        Given("mine", tmp_path).read(0, [5])
    assert "\n" not in str(told.value) and len(str(told.value)) < 400 + len(str(path))


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    mine = Given("mine", tmp_path)
    with pytest.raises(DataError, match=r"r02/00000\.npy: missing; --given mine needs every motion"):
        mine.read(2, [5])
    (tmp_path / "r00").mkdir()
    os.mkfifo(tmp_path / "r00" / "00000.npy")
    with pytest.raises(DataError, match=r"00000\.npy: got no file"):
        mine.read(0, [5])


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8", ">f8"])
def test_any_floating_point_in_any_order_is_taken(tmp_path: Path, dtype: str) -> None:
    rows = np.random.default_rng(0).standard_normal((5, 263)).astype(dtype)
    write(tmp_path, np.asfortranarray(rows))
    (found,) = Given("mine", tmp_path).read(0, [5])
    np.testing.assert_array_equal(found, rows.astype(np.float32))


def test_a_file_that_changes_between_two_looks_is_told(tmp_path: Path) -> None:
    mine = Given("mine", tmp_path)
    write(tmp_path, np.zeros((5, 263)))
    mine.read(0, [5])
    before = mine.record
    mine.read(0, [5])
    assert mine.record == before
    write(tmp_path, np.ones((5, 263)))
    with pytest.raises(DataError, match=r"00000\.npy: changed while the run went on"):
        mine.read(0, [5])
    assert mine.record != Given("mine", tmp_path).record


def test_where_joints_do_not_do_the_reason_is_told(tmp_path: Path) -> None:
    write(tmp_path, np.zeros((5, 22, 3)))
    for protocol, official, why in (
        ("loop", False, "how a loop goes on"),
        ("long", True, "as HumanML3D has them"),
    ):
        (row,) = given_rows([f"mine={tmp_path}"], get_protocol(protocol), official)
        with pytest.raises(DataError, match=rf"expected: floating point features \(5, 263\) \(.*{why}"):
            row.read(0, [5])


@pytest.mark.parametrize(
    ("texts", "protocol", "message"),
    [
        (["mine"], "long", "--given: got 'mine'; allowed: NAME=DIR"),
        (["=."], "long", "--given: got '=.'; allowed: NAME=DIR"),
        (["a/b=."], "long", "--given: got 'a/b=.'"),
        (["collage=."], "long", "the name 'collage' is taken"),
        (["real=."], "long", "the name 'real' is taken"),
        (["Real=."], "long", "the name 'Real' is taken"),
        (["mine=.", "Mine=."], "long", "the name 'Mine' is taken"),
        (["mine=nowhere"], "long", "--given mine: 'nowhere' is no folder"),
        (["mine=" + "x" * 5000], "long", "--given mine: 'x+' is no folder"),
        (["mine=a\0b"], "long", "is no folder"),
        (["x" * 41 + "=."], "long", "allowed: NAME=DIR"),
        (["mine=."], "path", "protocol path: it holds motions to real clips"),
    ],
)
def test_rows_that_cannot_be_are_refused(texts: list[str], protocol: str, message: str) -> None:
    with pytest.raises(CollageError, match=message):
        given_rows(texts, get_protocol(protocol))


def handed_back(run: Path, method: str, folder: Path) -> Path:
    """The motions that a run made, one file each, as another program would give them."""
    for path in sorted((run / "samples" / method).rglob("*.npz")):
        with np.load(path) as shard:
            for number, rows in zip(shard["numbers"], shard["features"], strict=True):
                write(folder, rows, int(path.parent.name[1:]), int(number))
    return folder


def columns(report: dict, method: str) -> dict:
    """The figures of one row, but for the seconds."""
    return {name: values for (row, name), values in figures(report).items() if row == method}


@pytest.mark.slow
def test_the_same_motions_have_the_same_figures(copied, tmp_path: Path) -> None:
    """The collage's own motions, given back: one row is the other, but for the seconds."""
    before = samples(copied.output)
    theirs = handed_back(copied.output, "collage", tmp_path / "theirs")
    request = replace(copied, given=(f"mine={theirs}",))
    watch = Silent()
    report = run_request(request, watch, Share())
    assert [row["method"] for row in report["rows"]] == ["real", "short", "collage", "mine"]
    assert columns(report, "mine") == columns(report, "collage") and len(columns(report, "mine")) > 20
    assert samples(copied.output) == before  # nothing was made
    assert report["given"]["mine"]["folder"] == "theirs" and len(report["given"]["mine"]["sha256"]) == 64
    assert "mine" not in report["settings"] and any(
        "mine were made elsewhere" in line for line in report["notes"]
    )
    assert any(line.startswith("| mine") for line in watch.lines)
    with pytest.raises(OutputError, match=r"with real, short, collage, mine; .* --given"):
        run_request(copied, Silent(), Share())
    (theirs / "r01" / "00003.npy").unlink()
    with pytest.raises(DataError, match=r"r01/00003\.npy: missing"):
        run_request(request, Silent(), Share())
    # Another process of a shared run, maybe on another machine, needs none of them.
    assert run_request(request, Silent(), Share(1, 2)) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("protocol", "method"), [("short", "short"), ("loop", "collage"), ("extrapolate", "collage")]
)
def test_so_they_have_in_other_protocols(request_, protocol: str, method: str, tmp_path: Path) -> None:
    request = replace(
        request_, protocol=protocol, methods="collage" if protocol != "short" else "all", replications=1
    )
    run_request(request, Silent(), Share())
    theirs = handed_back(request.output, method, tmp_path / "theirs")
    report = run_request(replace(request, given=(f"mine={theirs}",)), Silent(), Share())
    assert columns(report, "mine") == columns(report, method)


@pytest.mark.slow
def test_joints_have_nearly_the_figures_of_their_features(copied, tmp_path: Path) -> None:
    asked = json.loads((copied.output / "long.prompts.json").read_text())["replications"]
    for replication, motions in enumerate(asked):
        for number, (_, frames, _) in enumerate(motions):
            rng = np.random.default_rng((replication, number))
            rows = motion_from_joints(body(sum(frames) + 2, rng)).features
            write(tmp_path / "features", rows, replication, number)
            write(tmp_path / "joints", np.asarray(features_to_joints(rows)), replication, number)
    given = tuple(f"{name}={tmp_path / name}" for name in ("features", "joints"))
    report = run_request(replace(copied, given=given), Silent(), Share())
    ours, theirs = columns(report, "features"), columns(report, "joints")
    assert ours.keys() == theirs.keys() and max(ours["peak_jerk"]) > 0.001
    for name in (
        "peak_jerk",
        "area_under_jerk",
        "mm_dist",
        "diversity",
        "floating",
        "foot_slide",
        "r_precision_3",
    ):
        np.testing.assert_allclose(theirs[name], ours[name], rtol=0.05, atol=0.002, err_msg=name)


@pytest.mark.slow
def test_the_list_says_what_is_asked_for_and_makes_nothing(request_, whole) -> None:
    watch = Silent()
    assert run_request(replace(request_, only_list=True), watch, Share()) is None
    asked = json.loads((request_.output / "long.asked.json").read_text())
    assert asked == json.loads((whole[1] / "long.prompts.json").read_text())
    assert not samples(request_.output) and watch.lines[-1].endswith("long.asked.json")
    assert sorted(path.name for path in request_.output.iterdir()) == ["long.asked.json", "run.json"]
