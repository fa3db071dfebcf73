"""Retargeting: named skeletons onto the 22 joints, one set of bones, the floor; frame rates and cutting."""

import itertools
import re

import numpy as np
import pytest
from bvh_files import skeleton_bvh, standing, walking
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from collage_motion.data.bvh import parse_bvh
from collage_motion.data.resample import pieces, resample, steady_ranges
from collage_motion.data.retarget import (
    BANDAI_NAMCO,
    BONE_LENGTHS,
    CMU_CHARACTER,
    SKELETONS,
    SkeletonMap,
    bone_lengths,
    onto_floor,
    onto_skeleton,
    retarget,
)
from collage_motion.errors import DataError
from collage_motion.extraction import canonicalise
from collage_motion.skeleton import JOINTS, MIRROR, TOES

LEFT_WRIST, RIGHT_WRIST = JOINTS.index("left_wrist"), JOINTS.index("right_wrist")


def through_bvh(joints_cm: np.ndarray, skeleton: SkeletonMap = BANDAI_NAMCO, fps: float = 30) -> np.ndarray:
    return retarget(parse_bvh(skeleton_bvh(joints_cm, fps, skeleton).encode(), "made.bvh"))


def test_each_joint_lands_in_its_place_in_metres() -> None:
    joints = walking(5, 30)
    spine = [JOINTS.index(name) for name in ("spine1", "spine2", "spine3")]
    joints[:, spine[1]] = joints[:, [spine[0], spine[2]]].mean(axis=1)
    np.testing.assert_allclose(through_bvh(joints), joints / 100, atol=1e-6)


def test_the_left_wrist_is_the_one_that_rises_when_the_left_hand_does() -> None:
    joints = np.tile(standing(), (4, 1, 1))
    joints[:, LEFT_WRIST, 1] = [82, 110, 130, 150]
    for skeleton in SKELETONS:
        moved = through_bvh(joints, skeleton)
        assert moved[-1, LEFT_WRIST, 1] - moved[0, LEFT_WRIST, 1] == pytest.approx(0.68)
        assert np.ptp(moved[:, RIGHT_WRIST, 1]) < 1e-6


def test_a_z_up_export_is_stood_up_and_keeps_its_hands() -> None:
    upright = through_bvh(walking(6, 60), CMU_CHARACTER, fps=60)
    z_up = walking(6, 60) @ Rotation.from_euler("x", 90, degrees=True).as_matrix().T
    assert z_up[0, JOINTS.index("head"), 2] > 100
    lying = through_bvh(z_up, CMU_CHARACTER, fps=60)
    known = [
        k for k, name in enumerate(JOINTS) if not name.endswith("foot")
    ]  # these hang in the ankle's axes
    np.testing.assert_allclose(lying[:, known], upright[:, known], atol=1e-6)


def test_a_reference_pose_before_the_motion_is_dropped() -> None:
    joints = walking(9, 60)
    opened = np.concatenate([standing()[None] + [60, 20, -250], joints])
    np.testing.assert_allclose(through_bvh(opened, fps=60), through_bvh(joints, fps=60), atol=1e-6)
    assert len(through_bvh(joints, fps=60)) == 9


def test_a_fixed_point_turns_with_its_joint() -> None:
    """The CMU toe hangs 7.5 of 11.75 cm below the ankle of the 100-bone character's flat foot."""
    fixed = CMU_CHARACTER.sources[TOES[0]]
    flat = np.array([0.0087, -0.2238, 0.9746])  # up, in the axes of the left foot when it stands flat
    assert np.linalg.norm(fixed[1]) == pytest.approx(11.75, abs=0.01)
    assert np.array(fixed[1]) @ flat == pytest.approx(-7.5, abs=0.02)
    mirrored = CMU_CHARACTER.sources[TOES[1]]
    np.testing.assert_array_equal(np.array(fixed[1]) * [-1, 1, 1], mirrored[1])


def test_an_unknown_skeleton_lists_what_it_has_and_what_it_lacks() -> None:
    text = skeleton_bvh(walking(3, 30), 30).replace("Hand_L", "LeftPaw").replace("Toes_R", "Claw")
    with pytest.raises(DataError) as caught:
        retarget(parse_bvh(text.encode(), "cat.bvh"))
    message = str(caught.value)
    assert message.startswith("cat.bvh: unknown skeleton with 21 joints (Hips, Chest, Foot_L,")
    assert "nearest is 'Bandai Namco Research', which also needs Hand_L, Toes_R" in message
    assert "CMU on the 100-bone character" in message


def test_bone_lengths_of_the_target_are_symmetric() -> None:
    assert [BONE_LENGTHS[other] for other in MIRROR] == list(BONE_LENGTHS)


@given(st.integers(0, 2**32 - 1))
def test_onto_skeleton_keeps_directions_and_takes_lengths(seed: int) -> None:
    joints = standing() / 100 + np.random.default_rng(seed).normal(0, 0.05, (6, 22, 3))
    posed = onto_skeleton(joints)
    np.testing.assert_allclose(bone_lengths(posed), BONE_LENGTHS, atol=1e-12)
    np.testing.assert_allclose(onto_skeleton(posed), posed, atol=1e-9)
    turn = Rotation.from_euler("y", 70, degrees=True).as_matrix().T
    np.testing.assert_allclose(onto_skeleton(joints @ turn), posed @ turn, atol=1e-9)


def test_a_giant_walks_as_many_steps_as_its_legs_are_long() -> None:
    joints = walking(30, 30) / 100
    np.testing.assert_allclose(onto_skeleton(2.5 * joints), onto_skeleton(joints), atol=1e-9)


def test_feet_that_stand_still_stand_still_on_other_bones() -> None:
    rng = np.random.default_rng(1)
    joints = np.tile(standing() / 100, (40, 1, 1))
    joints[:, JOINTS.index("left_wrist")] += rng.normal(0, 0.1, (40, 3))
    posed = onto_skeleton(joints, np.array(BONE_LENGTHS) * 1.2)
    assert np.ptp(posed[:, TOES], axis=0).max() < 1e-9


def test_a_bone_without_length_is_refused() -> None:
    joints = np.tile(standing(), (3, 1, 1))
    joints[:, JOINTS.index("left_elbow")] = joints[:, JOINTS.index("left_shoulder")]
    with pytest.raises(DataError, match="the bone to 'left_elbow' has no length"):
        onto_skeleton(joints)


def test_one_bad_frame_does_not_move_the_floor() -> None:
    joints = walking(400, 20) / 100
    joints[7, TOES[0], 1] -= 0.5
    assert onto_floor(joints + np.array([0, 0.3, 0]))[20, TOES[0], 1] == pytest.approx(0.0, abs=1e-9)


def test_canonicalising_leaves_the_left_side_at_positive_x_and_the_walk_along_z() -> None:
    turned = walking(30, 20) @ Rotation.from_euler("y", 130, degrees=True).as_matrix().T
    ready = canonicalise(onto_floor(onto_skeleton(through_bvh(turned))))
    assert ready[0, JOINTS.index("left_hip"), 0] > 0.05
    assert ready[-1, 0, 2] - ready[0, 0, 2] > 0.8
    assert abs(ready[-1, 0, 0]) < 0.05


def test_rates_that_divide_are_picked_out_exactly() -> None:
    joints = np.random.default_rng(0).normal(size=(61, 22, 3))
    np.testing.assert_array_equal(resample(joints, 60), joints[::3])
    np.testing.assert_array_equal(resample(joints, 120), joints[::6])
    np.testing.assert_array_equal(resample(joints, 20), joints)


@pytest.mark.parametrize("fps", [30.0, 25.0, 24.0, 50.0, 29.97, 15.0])
def test_other_rates_are_read_at_the_exact_times(fps: float) -> None:
    def wave(seconds: np.ndarray) -> np.ndarray:
        return np.sin(2 * np.pi * 1.5 * seconds)[:, None, None] * np.ones((1, 22, 3))

    n_frames = int(4 * fps) + 1
    result = resample(wave(np.arange(n_frames) / fps), fps)
    assert len(result) == int((n_frames - 1) / fps * 20 + 1e-6) + 1
    inner = slice(3, -3)
    np.testing.assert_allclose(result[inner], wave(np.arange(len(result)) / 20)[inner], atol=4e-3)


def test_cubic_interpolation_leaves_no_flutter() -> None:
    """Every second frame of 30 to 20 fps lies between two; averaging them would flutter at 10 Hz."""
    seconds = np.arange(121) / 30
    smooth = np.sin(2 * np.pi * 2 * seconds)
    linear = np.interp(np.arange(81) / 20, seconds, smooth)
    exact = np.sin(2 * np.pi * 2 * np.arange(81) / 20)
    cubic = resample(np.tile(smooth[:, None, None], (1, 1, 3)), 30)[:, 0, 0]
    jerk = [np.abs(np.diff(signal - exact, 3))[3:-3].max() for signal in (linear, cubic)]
    assert jerk[1] < 0.1 * jerk[0]


@pytest.mark.parametrize("fps", [0.0, -30.0, float("nan")])
def test_a_rate_that_is_none_is_refused(fps: float) -> None:
    with pytest.raises(DataError, match=re.escape("both must be positive")):
        resample(np.zeros((5, 22, 3)), fps)


@given(st.integers(0, 3000))
def test_pieces_cover_the_recording_in_nearly_equal_parts(n_frames: int) -> None:
    parts = pieces(n_frames)
    if n_frames < 10:
        assert parts == []
        return
    lengths = [stop - start for start, stop in parts]
    assert parts[0][0] == 0 and parts[-1][1] == n_frames
    assert all(one[1] == other[0] for one, other in itertools.pairwise(parts))
    assert max(lengths) <= 196 and max(lengths) - min(lengths) <= 1
    assert len(parts) == max(1, -(-n_frames // 196))


def test_a_knee_that_snaps_aside_is_cut_out_and_a_kick_is_not() -> None:
    joints = walking(120, 60) / 100
    assert steady_ranges(joints, 60) == [(0, 120)]
    kick = joints.copy()
    kick[40:60, 10, 2] += 0.8 * np.sin(np.linspace(0, np.pi, 20)) ** 2
    assert steady_ranges(kick, 60) == [(0, 120)]
    joints[70, 5, 0] += 0.4
    assert steady_ranges(joints, 60) == [(0, 68), (73, 120)]
    joints[:3, 5, 0] += np.array([0, 0.4, 0])
    assert steady_ranges(joints, 60) == [(4, 68), (73, 120)]
