"""NPZ: everything comes back, nothing is pickled, broken files are named."""

import io

import numpy as np
import pytest

from collage_motion.errors import DataError
from collage_motion.export import read_npz, write
from collage_motion.kinematics import forward_kinematics


@pytest.fixture
def stored(motion, tmp_path):
    path = tmp_path / "motion.npz"
    write(motion, path)
    return path


def test_everything_comes_back(motion, stored):
    again = read_npz(stored)
    for name in ("features", "joints", "rotations", "offsets"):
        np.testing.assert_array_equal(getattr(again, name), getattr(motion, name))
    for name in ("fps", "prompts", "seams", "settings"):
        assert getattr(again, name) == getattr(motion, name)


def test_a_reader_without_this_package_gets_plain_arrays(motion, stored):
    with np.load(stored, allow_pickle=False) as held:
        assert set(held) == {
            "joints",
            "rotations",
            "offsets",
            "features",
            "fps",
            "prompt",
            "seams",
            "settings",
        }
        assert held["joints"].shape == (24, 22, 3) and held["joints"].dtype == np.float32
        assert held["prompt"].shape == (24,) and held["prompt"].dtype.kind == "U"
        assert int(held["fps"]) == 20 and held["seams"].tolist() == [12]
        again = forward_kinematics(held["rotations"], held["offsets"], held["joints"][:, 0])
        np.testing.assert_array_equal(again, held["joints"])


def test_the_same_motion_gives_the_same_bytes(motion, stored, tmp_path):
    write(motion, tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == stored.read_bytes()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.npz: no such file"):
        read_npz(tmp_path / "gone.npz")


def broken_files(good: bytes) -> dict[str, bytes]:
    pickled, single, short = io.BytesIO(), io.BytesIO(), io.BytesIO()
    with np.load(io.BytesIO(good)) as held:
        arrays = dict(held)
    np.savez(pickled, **{**arrays, "settings": np.array({"a": object}, dtype=object)})
    np.save(single, np.zeros(3))
    np.savez(short, joints=np.zeros((1, 22, 3)))
    ill = io.BytesIO()
    np.savez(ill, **{**arrays, "joints": arrays["joints"][:-1]})
    odd = io.BytesIO()
    np.savez(odd, **{**arrays, "settings": np.array("{not json")})
    flipped = bytearray(good)
    for place in range(200, len(flipped) - 2000, 97):
        flipped[place] ^= 255
    return {
        "empty": b"",
        "text": b"hello",
        "truncated": good[: len(good) // 2],
        "flipped": bytes(flipped),
        "pickled": pickled.getvalue(),
        "single": single.getvalue(),
        "lacks": short.getvalue(),
        "shapes": ill.getvalue(),
        "settings": odd.getvalue(),
    }


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("fps", np.float64(20.5), r"fps is 20\.5, must be a whole number"),
        ("fps", np.float64(np.inf), "fps is inf, must be a whole number"),
        ("seams", np.array([1.5]), r"seam at frame 1\.5, must be a whole number"),
        ("settings", np.array("5"), "settings is not a JSON object"),
        ("settings", np.array("[1, 2]"), "settings is not a JSON object"),
        ("features", np.full((24, 263), 1e30), r"features hold 1e\+30; allowed: up to 10000"),
        ("joints", np.full((24, 22, 3), 1e300), r"joints hold 1e\+300; allowed: up to 1e\+06"),
    ],
)
def test_values_that_no_motion_has_are_named(key, value, says, stored, tmp_path):
    with np.load(stored) as held:
        np.savez(tmp_path / "odd.npz", **{**held, key: value})
    with pytest.raises(DataError, match=rf"odd\.npz: .*{says}"):
        read_npz(tmp_path / "odd.npz")


def test_a_folder_is_called_a_folder(tmp_path):
    (tmp_path / "dir.npz").mkdir()
    with pytest.raises(DataError, match=r"dir\.npz: is a folder"):
        read_npz(tmp_path / "dir.npz")


@pytest.mark.parametrize(
    "kind", ["empty", "text", "truncated", "flipped", "pickled", "single", "lacks", "shapes", "settings"]
)
def test_broken_files_give_one_clear_line(kind, stored, tmp_path):
    path = tmp_path / f"{kind}.npz"
    path.write_bytes(broken_files(stored.read_bytes())[kind])
    with pytest.raises(DataError) as caught:
        read_npz(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
