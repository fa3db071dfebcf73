"""From archives to the prepared file: what is kept, dropped, labelled, dealt and refused."""

import io
import os
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from bvh_files import skeleton_bvh, standing, walking, write_archive

from collage_motion.data import archive as archive_module
from collage_motion.data.archive import read_index, read_members
from collage_motion.data.dataset import Dataset, load_dataset
from collage_motion.data.preparation import prepare
from collage_motion.data.retarget import CMU_CHARACTER
from collage_motion.data.splits import deal, tie
from collage_motion.errors import DataError, OutputError
from collage_motion.skeleton import JOINTS, TOES

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "prepare_data.py"
INDEX = '"Subject","Trial #","Motion Description"\n2,1,"walk, turn  left"\n9,9,"nobody"\n'


def bandai(seed: int, n_frames: int = 60, **changes: float) -> str:
    rng = np.random.default_rng(seed)
    return skeleton_bvh(walking(n_frames, 30, **changes) + rng.normal(0, 0.2, (n_frames, 22, 3)), 30)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files: dict[str, str | bytes] = {
        f"set/data/dataset-2_{content}_{style}_{number:03}.bvh": bandai(100 * k + number)
        for k, content in enumerate(("walk", "run"))
        for style in ("normal", "elderly")
        for number in range(7 * (style == "elderly"), 7 + 8 * (style == "elderly"))
    }
    files["set/data/dataset-1_kick_normal_001.bvh"] = bandai(900, 700)
    files["set/data/dataset-2_walk_normal_050.bvh"] = files["set/data/dataset-2_walk_normal_003.bvh"]
    files["set/data/dataset-2_walk_normal_051.bvh"] = bandai(901, 10)
    files["set/data/dataset-2_walk_normal_052.bvh"] = bandai(902)[:-40]
    files["set/data/dataset-2_juggle_normal_001.bvh"] = bandai(903)
    files["set/data/dataset-2_walk_purple_001.bvh"] = bandai(904)
    files["set/data/notes.bvh"] = bandai(905)
    files["set/data/dataset-2_run_normal_053.bvh"] = bandai(906).replace("Frames: 60", "Frames: 61")
    files["cmu/002_01.bvh"] = skeleton_bvh(walking(90, 60), 60, CMU_CHARACTER)
    files["cmu/002_02.bvh"] = skeleton_bvh(walking(91, 60, speed_cm_s=80), 60, CMU_CHARACTER)
    files["cmu/index.csv"] = INDEX
    files["cmu/readme.txt"] = "not motion"
    return write_archive(tmp_path_factory.mktemp("archives") / "small.tar.xz", files)


@pytest.fixture(scope="module")
def prepared(archive: Path) -> tuple[Dataset, str, Path]:
    output = archive.parent / "motion.npz"
    report = prepare([archive], output)
    return load_dataset(output), str(report), output


def everything(data: Dataset) -> list:  # type: ignore[type-arg]
    return [clip for split in ("train", "val", "test") for clip in data.clips(split, mirrored=False)]


def test_kept_clips_are_labelled(prepared: tuple[Dataset, str, Path]) -> None:
    clips = {clip.name: clip for clip in everything(prepared[0])}
    assert Counter(clip.content for clip in clips.values()) == {"walk": 15, "run": 16, "kick": 3, "": 1}
    walk = clips["dataset-2_walk_elderly_009"]
    assert (walk.style, walk.source, walk.description) == ("elderly", "bandai-namco-2", "")
    assert walk.joints.shape == (40, 22, 3) and walk.joints.dtype == np.float32
    assert walk.joints[-1, 0, 2] == pytest.approx(1.95, abs=0.15)
    cmu = clips["002_01"]
    assert (cmu.content, cmu.style, cmu.source, cmu.description) == ("", "", "cmu", "walk, turn left")
    assert min(np.abs(clip.joints[:, TOES, 1].min()) for clip in clips.values()) < 0.02


def test_pieces_of_a_recording_stay_together(prepared: tuple[Dataset, str, Path]) -> None:
    data = prepared[0]
    kick = [clip for clip in everything(data) if clip.content == "kick"]
    assert [clip.name[-2:] for clip in kick] == ["#1", "#2", "#3"]
    assert sum(len(clip.joints) for clip in kick) == 467
    held = [
        split for split in ("train", "val", "test") if "dataset-1_kick_normal_001" in data.recordings(split)
    ]
    assert len(held) == 1


def test_the_report_says_what_was_left_out_and_why(prepared: tuple[Dataset, str, Path]) -> None:
    report = prepared[1]
    for line in (
        "dropped: 7",
        "dataset-2_walk_normal_050: a copy of most frames of dataset-2_walk_normal_003",
        "dataset-2_walk_normal_051.bvh: 0.33 s in 1 stretch(es) without a jump; one of 0.5 s is needed",
        "values in a frame of 63 channels",
        "dataset-2_juggle_normal_001.bvh: content 'juggle' is not in the caption table",
        "style 'purple' is unknown",
        "notes.bvh: no label",
        "002_02: no index.csv in its archive describes it",
        "dataset-2_run_normal_053: 60 frames where 61 are declared",
    ):
        assert line in report


def test_every_split_has_each_common_content(prepared: tuple[Dataset, str, Path]) -> None:
    data = prepared[0]
    for split in ("train", "val", "test"):
        assert {clip.content for clip in data.clips(split)} >= {"walk", "run"}
    names = [data.recordings(split) for split in ("train", "val", "test")]
    assert sum(map(len, names)) == len(set().union(*names))


def test_mirror_images_are_in_the_split_of_their_originals(prepared: tuple[Dataset, str, Path]) -> None:
    data = prepared[0]
    plain, both = data.clips("test", mirrored=False), data.clips("test")
    assert len(both) == 2 * len(plain)
    assert {clip.name.removesuffix("~mirrored") for clip in both} == {clip.name for clip in plain}
    left, right = JOINTS.index("left_wrist"), JOINTS.index("right_wrist")
    np.testing.assert_allclose(both[1].joints[:, left] * [-1, 1, 1], both[0].joints[:, right])
    described = next(
        clip for split in ("train", "val", "test") for clip in data.clips(split) if clip.description
    )
    swapped = [clip.description for split in ("train", "val", "test") for clip in data.clips(split)]
    assert described.description == "walk, turn left" and "walk, turn right" in swapped


def test_the_same_archives_give_the_same_bytes(archive: Path, prepared: tuple[Dataset, str, Path]) -> None:
    again = archive.parent / "again.npz"
    prepare([archive], again)
    assert again.read_bytes() == prepared[2].read_bytes()


def test_a_turn_labelled_with_the_wrong_side_gets_the_right_one(tmp_path: Path) -> None:
    joints = np.tile(standing(), (60, 1, 1))
    for k, angle in enumerate(np.linspace(0, np.pi / 2, 60)):  # z to x: the left
        joints[k] = joints[k] @ np.array(
            [[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]]
        )
    files = {
        f"dataset-2_walk-turn-{side}_normal_001.bvh": skeleton_bvh(joints, 30) for side in ("left", "right")
    }
    files["dataset-2_walk-turn-right_normal_001.bvh"] = skeleton_bvh(joints * 1.01, 30)
    report = prepare([write_archive(tmp_path / "a.tar.xz", files)], tmp_path / "m.npz")
    assert report.notes == [
        ("dataset-2_walk-turn-right_normal_001", "turns the other way than it says: labelled walk-turn-left")
    ]
    clips = load_dataset(tmp_path / "m.npz").clips("train", mirrored=True)
    assert [clip.content for clip in clips] == ["walk-turn-left", "walk-turn-right"] * 2


def test_a_jump_is_cut_out_of_a_recording(tmp_path: Path) -> None:
    joints = walking(400, 60)
    joints[200, 5, 0] += 60
    files = {"002_01.bvh": skeleton_bvh(joints, 60, CMU_CHARACTER), "index.csv": INDEX}
    report = prepare([write_archive(tmp_path / "a.tar.xz", files)], tmp_path / "m.npz")
    assert len(report.notes) == 1 and "joints jump" in report.notes[0][1]
    clips = load_dataset(tmp_path / "m.npz").clips("train", mirrored=False)
    assert [len(clip.joints) for clip in clips] == [66, 66]
    assert all(np.abs(np.diff(clip.joints[:, 5, 0])).max() < 0.01 for clip in clips)


def test_recordings_that_overlap_share_a_split(tmp_path: Path) -> None:
    long = walking(200, 30) + np.random.default_rng(5).normal(0, 0.2, (200, 22, 3))
    files = {
        f"dataset-2_walk_normal_{k:03}.bvh": skeleton_bvh(long[20 * k : 20 * k + 25], 30) for k in range(9)
    }
    report = prepare([write_archive(tmp_path / "a.tar.xz", files)], tmp_path / "m.npz")
    assert len(report.notes) == 8
    assert all(why == "shares frames with dataset-2_walk_normal_000: same split" for _, why in report.notes)


def test_dealing_meets_its_shares_and_follows_ties() -> None:
    groups = ["a"] * 200 + ["b"] * 10 + ["c"] * 9
    styles = ["x", "y", "z", "y"] * 54 + ["x"] * 3
    codes = deal(groups, styles, seed=3)
    assert codes == deal(groups, styles, seed=3) != deal(groups, styles, seed=4)
    assert [codes[:200].count(code) for code in range(3)] == [171, 9, 20]
    assert set(codes[200:210]) == {0, 1, 2} and set(codes[210:]) == {0}
    per_style = Counter(style for style, code in zip(styles[:200], codes, strict=False) if code == 2)
    assert per_style["x"] in (4, 5, 6) and per_style["y"] in (9, 10, 11)
    heads = list(range(219))
    heads[7] = heads[150] = 3
    tied = deal(groups, styles, 3, heads)
    assert tied[7] == tied[150] == tied[3]


def test_ties_follow_chains_of_shared_frames() -> None:
    frames = [
        {bytes([k]) for k in keys} for keys in (range(5), range(9, 14), range(2, 12), range(20, 24), {4})
    ]
    assert tie(frames) == [0, 0, 0, 3, 4]


def hostile(path: Path, member: tarfile.TarInfo, data: bytes = b"") -> Path:
    member.size = member.size or len(data)
    with tarfile.open(path, "w") as archive:
        archive.addfile(member, io.BytesIO(data) if data else None)
    return path


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("../../etc/motion.bvh", tarfile.REGTYPE, "points outside the archive"),
        ("/etc/motion.bvh", tarfile.REGTYPE, "points outside the archive"),
        ("a\\..\\motion.bvh", tarfile.REGTYPE, "points outside the archive"),
        ("motion.bvh", tarfile.SYMTYPE, "is a link or a device"),
        ("motion.bvh", tarfile.LNKTYPE, "is a link or a device"),
        ("motion.bvh", tarfile.FIFOTYPE, "is a link or a device"),
    ],
)
def test_hostile_members_are_refused(tmp_path: Path, name: str, kind: bytes, message: str) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, "/etc/passwd"
    with pytest.raises(DataError, match=message):
        list(read_members(hostile(tmp_path / "a.tar", member)))
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]


def test_huge_members_and_wholes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    member = tarfile.TarInfo("motion.bvh")
    member.size = 2**40
    with pytest.raises(DataError, match=r"has 1099511627776 bytes; at most \d+ are allowed"):
        list(read_members(hostile(tmp_path / "a.tar", member)))
    whole = write_archive(tmp_path / "b.tar.xz", {f"{k}.bvh": "x" * 100 for k in range(20)})
    monkeypatch.setattr(archive_module, "MAX_TOTAL_BYTES", 1000)
    with pytest.raises(DataError, match="unpacks to more than 1000 bytes"):
        list(read_members(whole))


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.97])
def test_truncated_archives_are_data_errors(tmp_path: Path, archive: Path, keep: float) -> None:
    cut = tmp_path / "cut.tar.xz"
    cut.write_bytes(archive.read_bytes()[: int(archive.stat().st_size * keep)])
    with pytest.raises(DataError, match="not a whole tar archive"):
        list(read_members(cut))


def test_what_is_no_archive_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "a.tar.xz").write_text("hello, this is not an archive at all")
    with pytest.raises(DataError, match="not a whole tar archive"):
        list(read_members(tmp_path / "a.tar.xz"))
    with pytest.raises(DataError, match="cannot be read"):
        list(read_members(tmp_path))
    with pytest.raises(DataError, match="No such file"):
        list(read_members(tmp_path / "none.tar.xz"))
    with pytest.raises(DataError, match="no usable recording"):
        prepare([write_archive(tmp_path / "b.tar.xz", {"a.txt": "x"})], tmp_path / "m.npz")
    with pytest.raises(DataError, match="an index needs the columns Subject"):
        read_index(b"a,b\n1,2\n", "index.csv")
    assert not (tmp_path / "m.npz").exists()


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True, env=os.environ
    )


@pytest.mark.slow
def test_the_script_prepares_reports_and_never_overwrites_unasked(archive: Path, tmp_path: Path) -> None:
    output = tmp_path / "motion.npz"
    output.write_text("precious")
    refused = run(archive, "-o", output)
    assert refused.returncode == 2 and "exists; pass --overwrite" in refused.stderr
    assert "Traceback" not in refused.stderr and output.read_text() == "precious"
    done = run(archive, "-o", output, "--overwrite")
    assert done.returncode == 0, done.stderr
    assert "with mirrors" in done.stdout and "dropped: 7" in done.stdout
    assert len(load_dataset(output)) == 35
    assert [path.name for path in tmp_path.iterdir()] == ["motion.npz"]


@pytest.mark.parametrize(
    ("name", "message"),
    [("motion.zip", r"ends in \.npz"), ("folder.npz", "is a folder"), ("no/motion.npz", "no such folder")],
)
def test_places_where_no_file_can_be_are_output_errors(
    archive: Path, tmp_path: Path, name: str, message: str
) -> None:
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(OutputError, match=message):
        prepare([archive], tmp_path / name)
