"""Forward kinematics, and rotations solved from joint positions."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from collage_motion import rotation
from collage_motion.errors import DataError
from collage_motion.kinematics import (
    CHILDREN,
    HINGES,
    forward_kinematics,
    global_rotations,
    solve_error,
    solve_rotations,
)
from collage_motion.skeleton import JOINTS, PARENTS

SHARED = Path(os.environ.get("COLLAGE_SHARED", Path(__file__).parents[2] / "shared"))
CLIPS = SHARED / "data/humanml3d-samples/HumanML3D/new_joints"

# A body in its T-pose, in metres.
OFFSETS = np.array(
    [
        (0, 0, 0), (0.06, -0.08, -0.01), (-0.06, -0.08, -0.01), (0, 0.12, -0.02), (0, -0.39, 0), (0, -0.39, 0),
        (0, 0.14, 0), (0, -0.41, 0), (0, -0.41, 0), (0, 0.06, 0), (0, -0.04, 0.13), (0, -0.04, 0.13), (0, 0.21, -0.02),
        (0.07, 0.12, -0.02), (-0.07, 0.12, -0.02), (0, 0.09, 0.05), (0.12, 0, 0), (-0.12, 0, 0), (0.26, 0, 0),
        (-0.26, 0, 0), (0.25, 0, 0), (-0.25, 0, 0),
    ]
)  # fmt: skip


def lively_pose(n_frames: int, seed: int = 0, reach: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Smooth local rotations (F, 22, 4) about a standing pose with bent knees and elbows, and a root path (F, 3)."""
    rng = np.random.default_rng(seed)
    turns = gaussian_filter1d(rng.normal(size=(n_frames, 22, 3)), 8, axis=0, mode="wrap")
    turns *= reach / turns.std()
    bends = np.zeros((22, 3))
    bends[[4, 5], 0], bends[18, 1], bends[19, 1] = 0.9, -1.0, 1.0
    q = rotation.from_axis_angle(turns, np.linalg.norm(turns, axis=-1))
    for joint in (4, 5, 18, 19):  # hinges only bend about their axis
        angle = np.clip(np.linalg.norm(bends[joint]) + turns[:, joint, 0], 0.2, 2.2)
        q[:, joint] = rotation.from_axis_angle(bends[joint], angle)
    for joint in range(22):
        if not CHILDREN[joint]:
            q[:, joint] = rotation.IDENTITY
    return q, np.cumsum(0.01 * rng.normal(size=(n_frames, 3)), axis=0) + np.array([0, 0.95, 0])


def published_clips() -> list[Path]:
    return sorted(CLIPS.glob("*.npy")) if CLIPS.is_dir() else []


def test_identity_gives_the_t_pose():
    q = np.tile(rotation.IDENTITY, (1, 22, 1))
    joints = forward_kinematics(q, OFFSETS, np.zeros((1, 3)))[0]
    for joint, parent in enumerate(PARENTS[1:], start=1):
        np.testing.assert_allclose(joints[joint] - joints[parent], OFFSETS[joint], atol=1e-6)


def test_forward_kinematics_agrees_with_a_chain_of_matrices():
    q, root = lively_pose(5)
    joints = forward_kinematics(q, OFFSETS, root)
    for frame in range(5):
        place = np.eye(4)
        place[:3, 3] = root[frame]
        places = []
        for joint, parent in enumerate(PARENTS):
            step = np.eye(4)
            step[:3, :3] = rotation.to_matrix(q[frame, joint])
            step[:3, 3] = OFFSETS[joint] if joint else root[frame]
            places.append(step if parent < 0 else places[parent] @ step)
        np.testing.assert_allclose(joints[frame], [p[:3, 3] for p in places], atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_solving_positions_made_from_rotations_gives_the_positions_back(seed):
    q, root = lively_pose(120, seed)
    raw = forward_kinematics(q, OFFSETS, root).astype(np.float64)
    solved, offsets = solve_rotations(raw)
    assert solve_error(raw, solved, offsets).worst < 2e-5
    np.testing.assert_allclose(np.linalg.norm(offsets, axis=-1), np.linalg.norm(OFFSETS, axis=-1), atol=1e-4)


def test_what_is_stored_reproduces_itself_exactly():
    q, root = lively_pose(60)
    solved, offsets = solve_rotations(forward_kinematics(q, OFFSETS, root))
    joints = forward_kinematics(solved, offsets, root.astype(np.float32))
    np.testing.assert_array_equal(joints, forward_kinematics(solved, offsets, joints[:, 0]))


def test_offsets_are_a_t_pose_that_faces_forward():
    q, root = lively_pose(120)
    _, offsets = solve_rotations(forward_kinematics(q, OFFSETS, root))
    rest = forward_kinematics(np.tile(rotation.IDENTITY, (1, 22, 1)), offsets, np.zeros((1, 3)))[0]
    at = {name: rest[k] for k, name in enumerate(JOINTS)}
    assert at["left_wrist"][0] > 0.6 and at["right_wrist"][0] < -0.6
    assert abs(at["left_wrist"][1] - at["left_shoulder"][1]) < 1e-6
    assert at["left_ankle"][1] < -0.8 and at["head"][1] > 0.5
    assert at["left_foot"][2] - at["left_ankle"][2] > 0.05


def test_limb_ends_have_no_rotation_of_their_own():
    q, root = lively_pose(30)
    solved, _ = solve_rotations(forward_kinematics(q, OFFSETS, root))
    for joint in range(22):
        if not CHILDREN[joint]:
            np.testing.assert_array_equal(solved[:, joint], np.tile(rotation.IDENTITY, (30, 1)))


@pytest.mark.parametrize("seed", range(4))
def test_knees_and_elbows_bend_about_their_hinge(seed):
    """The twist of thigh and upper arm is found from the bend below them, not left to chance."""
    q, root = lively_pose(200, seed, reach=0.35)
    solved, _ = solve_rotations(forward_kinematics(q, OFFSETS, root))
    for upper, axis in HINGES.items():
        joint = CHILDREN[upper][0]
        bend = solved[:, joint] * np.sign(solved[:, joint, :1])
        bent = 2 * np.arccos(bend[:, 0]) > np.radians(35)
        cosine = rotation.unit(bend[bent, 1:]) @ np.array(axis, dtype=float)
        assert bent.sum() > 50
        assert np.degrees(np.arccos(np.percentile(cosine, 5))) < 25


def test_no_joint_turns_much_further_in_a_frame_than_its_bone():
    """Twist is free, so it must never be what makes a curve jump, even with arms that pass all directions."""
    rng = np.random.default_rng(3)
    wander = gaussian_filter1d(rng.normal(size=(400, 22, 3)), 10, axis=0)
    wander *= 2.0 / wander.std()
    q = rotation.from_axis_angle(wander, np.linalg.norm(wander, axis=-1))
    q[:, [0, 3, 6, 9]] = rotation.IDENTITY
    raw = forward_kinematics(q, OFFSETS, np.zeros((400, 3)))
    solved, offsets = solve_rotations(raw)
    solved = solved.astype(np.float64)
    assert (np.sum(solved[1:] * solved[:-1], axis=-1) > 0).all()
    for joint in (12, 13, 14, 16, 17, 1, 2):
        bone = rotation.rotate(solved[:, joint], rotation.unit(offsets[CHILDREN[joint][0]]))
        needed = np.arccos(np.clip(np.sum(bone[1:] * bone[:-1], axis=-1), -1, 1))
        taken = rotation.angle_between(solved[1:], solved[:-1])[:, joint]
        assert np.degrees((taken - needed).max()) < 40


def test_noise_in_the_positions_grows_little():
    """Bone lengths that vary cost about the part of the noise that lies along the bones."""
    q, root = lively_pose(200)
    clean = forward_kinematics(q, OFFSETS, root).astype(np.float64)
    noise = gaussian_filter1d(np.random.default_rng(0).normal(size=clean.shape), 2, axis=0)
    noise *= 0.003 / noise.std()
    solved, offsets = solve_rotations(clean + noise)
    error = solve_error(clean + noise, solved, offsets)
    assert error.mean < 0.8 * np.linalg.norm(noise, axis=-1).mean()
    lengths = np.linalg.norm(OFFSETS[1:], axis=-1)
    np.testing.assert_allclose(np.linalg.norm(offsets[1:], axis=-1), lengths, atol=0.003)


def test_turning_or_moving_the_whole_body_changes_only_the_root():
    q, root = lively_pose(40)
    raw = forward_kinematics(q, OFFSETS, root).astype(np.float64)
    turn = rotation.from_axis_angle((0.0, 1.0, 0.0), 2.5)
    plain, _ = solve_rotations(raw)
    moved, _ = solve_rotations(rotation.rotate(turn, raw) + np.array([3.0, 0.0, -2.0]))
    assert rotation.angle_between(plain[:, 1:], moved[:, 1:]).max() < 1e-3
    assert rotation.angle_between(rotation.multiply(turn, plain[:, 0]), moved[:, 0]).max() < 1e-3


def test_still_and_degenerate_bodies_stay_finite():
    one = forward_kinematics(np.tile(rotation.IDENTITY, (1, 22, 1)), OFFSETS, np.zeros((1, 3)))
    for raw in (one, np.zeros((3, 22, 3)), np.repeat(one, 2, axis=0)):
        solved, offsets = solve_rotations(raw)
        assert np.isfinite(solved).all() and np.isfinite(offsets).all()
    np.testing.assert_allclose(global_rotations(solved)[0, 0], rotation.IDENTITY, atol=0.2)


@pytest.mark.parametrize("shape", [(4, 21, 3), (22, 3), (0, 22, 3)])
def test_wrong_shapes_are_refused(shape):
    with pytest.raises(DataError, match="need \\(frames, 22, 3\\)"):
        solve_rotations(np.zeros(shape))


def test_numbers_that_are_not_finite_are_refused_with_their_frame():
    raw = np.zeros((5, 22, 3))
    raw[3, 4, 1] = np.nan
    with pytest.raises(DataError, match="frame 3"):
        solve_rotations(raw)


@pytest.mark.skipif(not published_clips(), reason="needs the published HumanML3D clips (COLLAGE_SHARED)")
@pytest.mark.parametrize("clip", published_clips(), ids=lambda path: path.stem)
def test_published_clips_are_followed(clip):
    raw = np.load(clip)
    solved, offsets = solve_rotations(raw)
    error = solve_error(raw, solved, offsets)
    assert error.mean < 0.005 and error.worst < 0.02
