"""The prepared file: what is written is read again, and anything else is refused with the cure."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collage_motion.data.dataset import (
    STEP_M,
    Clip,
    PreparedClip,
    load_dataset,
    mirror_clip,
    write_dataset,
)
from collage_motion.errors import DataError, OutputError


def made(name: str, split: int, n_frames: int = 12, seed: int = 0, **labels: str) -> PreparedClip:
    joints = np.random.default_rng(seed).normal(0, 0.02, (n_frames, 22, 3)).cumsum(axis=0)
    texts = {
        "recording": name,
        "source": "bandai-namco-2",
        "content": "walk",
        "style": "normal",
        "description": "",
    }
    return PreparedClip(name=name, split=split, joints=joints.astype(np.float32), **{**texts, **labels})


CLIPS = [
    made("a", 0),
    made("b", 2, 196, seed=1, content="walk-turn-left"),
    made("c", 1, 1, seed=2, content="", style="", source="cmu", description="turns left, é"),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_dataset(CLIPS, tmp_path / "motion.npz")
    return tmp_path / "motion.npz"


def test_clips_come_back_within_half_a_step(path: Path) -> None:
    data = load_dataset(path)
    assert len(data) == 3
    for split, clip in (("train", CLIPS[0]), ("test", CLIPS[1]), ("val", CLIPS[2])):
        (back,) = data.clips(split, mirrored=False)  # type: ignore[arg-type]
        assert back.joints.dtype == np.float32 and not back.joints.flags.writeable
        assert np.abs(back.joints - clip.joints).max() <= STEP_M / 2 + 1e-6
        for field in ("name", "content", "style", "source", "description"):
            assert getattr(back, field) == getattr(clip, field)
    assert data.recordings("test") == ["b"]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(0, 3), far=st.floats(-300, 300))
def test_the_error_does_not_grow_with_time_or_place(
    tmp_path_factory: pytest.TempPathFactory, seed: int, scale: float, far: float
) -> None:
    joints = far + scale * np.random.default_rng(seed).uniform(-0.5, 0.5, (50, 22, 3))
    clip = dataclasses.replace(CLIPS[0], joints=joints.astype(np.float32))
    path = tmp_path_factory.mktemp("scale") / "motion.npz"
    write_dataset([clip], path)
    (back,) = load_dataset(path).clips("train", mirrored=False)
    # Beside the step: float32 itself resolves 0.03 mm at 300 m.
    assert np.abs(back.joints - clip.joints).max() <= STEP_M / 2 + 4e-5


def test_a_mirror_image_twice_is_the_original(path: Path) -> None:
    for clip in load_dataset(path).clips("test", mirrored=False) + load_dataset(path).clips(
        "val", mirrored=False
    ):
        once = mirror_clip(clip)
        twice = mirror_clip(once)
        assert once.mirrored and once.name == f"{clip.name}~mirrored"
        np.testing.assert_array_equal(twice.joints, clip.joints)
        assert {f: getattr(twice, f) for f in ("name", "content", "description", "mirrored")} == {
            f: getattr(clip, f) for f in ("name", "content", "description", "mirrored")
        }


def test_a_mirror_image_swaps_the_words(path: Path) -> None:
    data = load_dataset(path)
    assert [clip.content for clip in data.clips("test")] == ["walk-turn-left", "walk-turn-right"]
    assert [clip.description for clip in data.clips("val")] == ["turns left, é", "turns right, é"]
    assert isinstance(data.clips("test")[1], Clip)


def test_the_variable_names_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLAGE_DATA", str(path))
    assert len(load_dataset()) == 3
    monkeypatch.delenv("COLLAGE_DATA")
    with pytest.raises(
        DataError, match=re.escape("COLLAGE_DATA is not set; it names the prepared training file")
    ):
        load_dataset()


def test_missing_wrong_and_truncated_files_are_data_errors(path: Path, tmp_path: Path) -> None:
    cure = r".*scripts/prepare_data\.py ARCHIVE"
    with pytest.raises(DataError, match="no such file" + cure):
        load_dataset(tmp_path / "none.npz")
    with pytest.raises(DataError, match="is a folder" + cure):
        load_dataset(tmp_path)
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    np.save(tmp_path / "array.npy", np.zeros(3))
    for name in ("other.npz", "array.npy"):
        with pytest.raises(DataError, match="not a prepared training file" + cure):
            load_dataset(tmp_path / name)
    with pytest.raises(DataError, match=r"split 'dev' does not exist; known: train, val, test"):
        load_dataset(path).clips("dev")  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(keep=st.floats(0, 0.999), flip=st.integers(0, 10**6))
def test_damage_is_always_a_data_error_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, keep: float, flip: int
) -> None:
    folder = tmp_path_factory.mktemp("damage")
    write_dataset(CLIPS, folder / "motion.npz")
    data = (folder / "motion.npz").read_bytes()
    (folder / "cut.npz").write_bytes(data[: int(keep * len(data))])
    with pytest.raises(DataError):
        load_dataset(folder / "cut.npz")
    flipped = bytearray(data)
    flipped[flip % len(data)] ^= 0x55
    (folder / "flipped.npz").write_bytes(bytes(flipped))
    try:
        assert len(load_dataset(folder / "flipped.npz")) == 3  # a byte of the container that nobody reads
    except DataError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("n_frames", np.array([12, 196, 2], dtype=np.int32)),
        ("split", np.array([0, 2, 9], dtype=np.int8)),
        ("name", np.array(["a"])),
        ("first", np.zeros((3, 22), dtype=np.int32)),
        ("moves_low", np.zeros((66, 5), dtype=np.uint8)),
        ("content", None),
    ],
)
def test_arrays_that_do_not_fit_are_data_errors(path: Path, key: str, value: np.ndarray | None) -> None:
    with np.load(path) as file:
        arrays = dict(file)
    if value is None:
        del arrays[key]
    else:
        arrays[key] = value
    np.savez(path, **arrays)
    with pytest.raises(DataError, match="broken or truncated"):
        load_dataset(path)


def test_pickles_are_never_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "motion.npz", format=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError):
        load_dataset(tmp_path / "motion.npz")


def test_an_existing_file_needs_overwrite_and_a_failure_leaves_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()
    with pytest.raises(OutputError, match=r"motion\.npz: exists; pass --overwrite"):
        write_dataset(CLIPS[:1], path)

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OutputError, match=r"cannot be written \(No space left on device\)"):
        write_dataset(CLIPS[:1], path, overwrite=True)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["motion.npz"]


def test_a_joint_too_fast_to_store_is_refused(tmp_path: Path) -> None:
    clip = made("a", 0)
    joints = clip.joints.copy()
    joints[5, 3] += 10
    with pytest.raises(DataError, match=r"moves more than 6\.6 m between two frames"):
        write_dataset([dataclasses.replace(clip, joints=joints)], tmp_path / "motion.npz")
