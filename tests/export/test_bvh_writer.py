"""BVH: other readers find the same joints, curves have no jumps, the file is what 3D programs expect."""

import numpy as np
import pytest

from collage_motion.data.bvh import read_bvh
from collage_motion.export import write
from collage_motion.export.bvh import write_bvh
from collage_motion.motion import Motion
from collage_motion.skeleton import JOINTS


@pytest.fixture
def stored(motion, tmp_path):
    path = tmp_path / "motion.bvh"
    write(motion, path)
    return path


def by_name(names, world) -> np.ndarray:
    return np.stack([world[:, list(names).index(joint)] for joint in JOINTS], axis=1)


def test_our_own_reader_finds_the_joints(motion, stored):
    clip = read_bvh(stored)
    assert clip.frame_time == pytest.approx(1 / 20) and len(clip.world) == motion.n_frames
    np.testing.assert_allclose(by_name(clip.names, clip.world) / 100, motion.joints, atol=1e-5)


def test_another_reader_finds_the_joints(motion, stored):
    pybvh = pytest.importorskip("pybvh")
    other = pybvh.read_bvh_file(str(stored))
    places = by_name([node.name for node in other.nodes], np.asarray(other.node_positions()))
    np.testing.assert_allclose(places / 100, motion.joints, atol=1e-3)


def test_the_rest_pose_is_the_t_pose(motion, stored):
    clip = read_bvh(stored)
    offsets = np.stack([clip.offsets[list(clip.names).index(joint)] for joint in JOINTS])
    np.testing.assert_allclose(offsets / 100, motion.offsets, atol=1e-6)


def test_every_joint_has_its_channels_and_limbs_end_in_end_sites(stored):
    text = stored.read_text("ascii")
    assert text.startswith("HIERARCHY\nROOT pelvis\n")
    assert text.count("CHANNELS 3 Zrotation Xrotation Yrotation") == 21
    assert text.count("CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation") == 1
    assert text.count("End Site") == 5
    assert text.count("{") == text.count("}") == 27


def test_angle_curves_do_not_jump(motion, stored):
    """The body turns more than once around; each curve goes on past 180 degrees instead of falling to -180."""
    lines = stored.read_text("ascii").splitlines()
    start = next(k for k, line in enumerate(lines) if line.startswith("Frame Time")) + 1
    rows = np.array([line.split() for line in lines[start:]], dtype=float)
    assert rows.shape == (motion.n_frames, 69)
    assert np.abs(np.diff(rows[:, 3:], axis=0)).max() < 120
    assert np.ptp(rows[:, 3:6], axis=0).max() > 360


def test_metres_can_be_chosen(motion, tmp_path):
    write_bvh(motion, tmp_path / "metres.bvh", scale=1.0)
    clip = read_bvh(tmp_path / "metres.bvh")
    np.testing.assert_allclose(by_name(clip.names, clip.world), motion.joints, atol=1e-4)


def test_a_single_frame_can_be_written(motion, tmp_path):
    one = Motion(
        motion.features[:1], motion.joints[:1], motion.rotations[:1], motion.offsets, 20, motion.prompts[:1]
    )
    write(one, tmp_path / "one.bvh")
    assert len(read_bvh(tmp_path / "one.bvh").world) == 1
