"""The two archives of motion capture this package is trained on, where they are at hand (`COLLAGE_SHARED`)."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from collage_motion.data.archive import read_members
from collage_motion.data.bvh import parse_bvh
from collage_motion.data.dataset import Clip, Dataset, load_dataset
from collage_motion.data.preparation import Report, prepare
from collage_motion.data.retarget import BONE_LENGTHS, onto_skeleton, retarget
from collage_motion.skeleton import FEET, JOINTS, PARENTS, TOES

pytestmark = pytest.mark.slow

LEFT, RIGHT = JOINTS.index("left_wrist"), JOINTS.index("right_wrist")


@pytest.fixture(scope="module")
def archives(shared: Path) -> list[Path]:
    paths = [shared / "data/bandai-namco/bandai-namco-motion.tar.xz", shared / "data/cmu-mocap.tar.xz"]
    if missing := [path for path in paths if not path.is_file()]:
        pytest.skip(f"no archive at {missing[0]}")
    return paths


@pytest.fixture(scope="module")
def made(archives: list[Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path]:
    output = tmp_path_factory.mktemp("real") / "motion.npz"
    return prepare(archives, output), output


@pytest.fixture(scope="module")
def data(made: tuple[Report, Path]) -> Dataset:
    return load_dataset(made[1])


@pytest.fixture(scope="module")
def by_content(data: Dataset) -> dict[str, list[Clip]]:
    groups: dict[str, list[Clip]] = defaultdict(list)
    for split in ("train", "val", "test"):
        for clip in data.clips(split, mirrored=False):  # type: ignore[arg-type]
            groups[clip.content].append(clip)
    return groups


def forward(joints: np.ndarray) -> np.ndarray:
    """Unit vectors (T, 3) the hips face: left x up is forward."""
    across = joints[:, JOINTS.index("left_hip")] - joints[:, JOINTS.index("right_hip")]
    ahead = np.cross(across, [0, 1, 0])
    return ahead / np.linalg.norm(ahead, axis=-1, keepdims=True)


def speed_ahead(clip: Clip) -> float:
    return float((np.diff(clip.joints[:, 0], axis=0) * forward(clip.joints)[:-1]).sum(-1).mean() * 20)


def turn_to_left(clip: Clip) -> float:
    ahead = forward(clip.joints)
    headings = np.rad2deg(np.unwrap(np.arctan2(ahead[:, 0], ahead[:, 2])))
    return float(np.median(headings[-5:]) - np.median(headings[:5]))


def test_sizes_and_counts(made: tuple[Report, Path], data: Dataset) -> None:
    report, path = made
    assert path.stat().st_size < 30e6
    assert len(data.clips("test")) >= 500 and len(data.recordings("test")) >= 250
    assert sum(report.recordings.values()) + len(report.dropped) == 3076 + 61
    assert len(report.dropped) == 9
    copies = [name for name, why in report.dropped if "copy" in why]
    assert len(copies) == 8 and all("walk-turn" in name for name in copies)


def test_each_common_content_has_test_clips(data: Dataset, by_content: dict[str, list[Clip]]) -> None:
    tested = {clip.content for clip in data.clips("test", mirrored=False)}
    for content, clips in by_content.items():
        if len({clip.name.split("#")[0] for clip in clips}) >= 10:
            assert content in tested


def test_no_recording_lies_in_two_splits(data: Dataset) -> None:
    names = [set(data.recordings(split)) for split in ("train", "val", "test")]  # type: ignore[arg-type]
    assert not names[0] & names[1] and not names[0] & names[2] and not names[1] & names[2]


def test_no_pose_sequence_lies_in_two_splits(data: Dataset) -> None:
    """Three frames in a row, seen from the pelvis to a millimetre, mirrored or not, belong to one split."""
    owner: dict[bytes, str] = {}
    for split in ("train", "val", "test"):
        for clip in data.clips(split):  # type: ignore[arg-type]
            local = np.round((clip.joints[:, 1:] - clip.joints[:, :1]) * 1000).astype(np.int16)
            for k in range(len(local) - 2):
                key = local[k : k + 3].tobytes()
                assert owner.setdefault(key, split) == split, f"{clip.name}, frame {k}"


def test_all_clips_share_one_set_of_bones_and_stand_on_the_floor(by_content: dict[str, list[Clip]]) -> None:
    for clips in by_content.values():
        for clip in clips:
            assert 2 <= len(clip.joints) <= 196
            bones = np.linalg.norm(clip.joints[:, 1:] - clip.joints[:, PARENTS[1:]], axis=-1)
            assert np.abs(bones - BONE_LENGTHS[1:]).max() < 5e-4
            if clip.content:
                assert abs(clip.joints[:, FEET, 1].min()) < 0.02


def test_bodies_face_where_they_go(by_content: dict[str, list[Clip]]) -> None:
    for content in ("walk", "run", "dash", "walk-turn-left", "walk-turn-right", "walk-left", "walk-right"):
        assert min(map(speed_ahead, by_content[content])) > 0.1, content
    assert max(map(speed_ahead, by_content["walk-back"])) < -0.1
    cmu_walks = [clip for clip in by_content[""] if clip.description in ("walk", "slow walk", "brisk walk")]
    assert len(cmu_walks) >= 15 and min(map(speed_ahead, cmu_walks)) > 0.5


def test_feet_point_ahead(by_content: dict[str, list[Clip]]) -> None:
    for content in ("walk", "raise-up-both-hands"):
        for clip in by_content[content]:
            feet = clip.joints[:, TOES] - clip.joints[:, [FEET[0], FEET[2]]]
            assert (feet * forward(clip.joints)[:, None]).sum(-1).mean() > 0.03


@pytest.mark.parametrize("verb", ["raise-up", "wave"])
def test_the_named_hand_is_the_one_that_rises(by_content: dict[str, list[Clip]], verb: str) -> None:
    for side, up, down in (("left", LEFT, RIGHT), ("right", RIGHT, LEFT)):
        for clip in by_content[f"{verb}-{side}-hand"]:
            height = clip.joints[..., 1].max(axis=0)
            assert height[up] > height[down] + 0.1, clip.name
    for clip in by_content[f"{verb}-both-hands"]:
        assert clip.joints[:, [LEFT, RIGHT], 1].max(axis=0).min() > 1.0, clip.name


def test_turns_go_the_way_their_label_says(by_content: dict[str, list[Clip]]) -> None:
    for content, sign in (("walk-turn-left", 1), ("walk-turn-right", -1)):
        assert min(sign * turn_to_left(clip) for clip in by_content[content]) > 45


def test_cmu_stands_up_in_both_its_exports_and_loses_its_reference_pose(archives: list[Path]) -> None:
    wanted = {"cmu-mocap/bvh/007/007_01.bvh": 157, "cmu-mocap/bvh/007/007_06.bvh": 209}
    for name, data in read_members(archives[1]):
        if name not in wanted:
            continue
        clip = parse_bvh(data, name)
        joints = onto_skeleton(retarget(clip))
        assert clip.n_frames == wanted.pop(name)
        assert len(joints) == clip.n_frames - name.endswith("06.bvh")
        above = joints[:, JOINTS.index("head"), 1] - joints[:, FEET, 1].min(axis=1)
        assert above.min() > 1.2 and above.max() < 1.4
    assert not wanted
