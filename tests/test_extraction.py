"""Extraction: the exact form is the data set's, the mended form gives every joint back."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from collage_motion import rotation
from collage_motion.errors import DataError
from collage_motion.extraction import (
    CONTACT_THRESHOLD,
    canonicalise,
    extract_features,
    inverse_kinematics,
    local_positions,
    mirror,
    offsets_of,
    uniform_skeleton,
)
from collage_motion.features import (
    CONTACTS,
    ROOT_HEIGHT,
    ROOT_XZ,
    ROOT_YAW,
    ROTATIONS,
    VELOCITIES,
    features_to_joints,
    group_statistics,
    joints_from_rotations,
    recover_root,
)
from collage_motion.skeleton import MIRROR, PARENTS, RAW_DIRECTIONS

LENGTHS = np.array(
    [0, .06, .06, .1, .4, .4, .13, .42, .42, .06, .14, .14, .2, .15, .15, .1, .12, .12, .27, .27, .25, .25]
)  # fmt: skip
WALKS = {
    "seed": st.integers(0, 2**32 - 1),
    "frames": st.integers(2, 120),
    "turn": st.floats(-12, 12),
}


def turned(vectors: np.ndarray, angle: np.ndarray | float) -> np.ndarray:
    """Vectors (..., 3) turned by `angle` radians about y, from +z towards +x."""
    cos, sin = np.cos(angle), np.sin(angle)
    x, y, z = np.moveaxis(vectors, -1, 0)
    return np.stack(np.broadcast_arrays(cos * x + sin * z, y, cos * z - sin * x), -1)


def walk(seed: int, frames: int, turn: float, swing: float = 0.5) -> np.ndarray:
    """A smooth random walk (frames, 22, 3) on constant bones whose heading turns by `turn` radians in all."""
    rng = np.random.default_rng(seed)
    time = np.arange(frames)[:, None]
    about_x, about_z = (
        swing * rng.uniform(0, 1, 22) * np.sin(time * rng.uniform(0.02, 0.5, 22) + rng.uniform(0, 6, 22))
        for _ in range(2)
    )
    bones = np.array(RAW_DIRECTIONS) * LENGTHS[:, None]
    turns = rotation.from_axis_angle(np.array([1.0, 0, 0]), about_x)
    turns = rotation.multiply(turns, rotation.from_axis_angle(np.array([0, 0, 1.0]), about_z))
    bones = rotation.rotate(turns, np.broadcast_to(bones, (frames, 22, 3)))
    # The hips and shoulders stay across the body, so that its heading is the one asked for.
    bones[:, [1, 2, 13, 14]] = (np.array(RAW_DIRECTIONS) * LENGTHS[:, None])[[1, 2, 13, 14]]
    heading = rng.uniform(-3, 3) + turn * time[:, 0] / max(frames - 1, 1) + 0.2 * np.sin(0.1 * time[:, 0])
    bones = turned(bones, heading[:, None])
    steps = turned(np.array([0, 0, rng.uniform(0, 0.08)]), heading)
    joints = np.zeros((frames, 22, 3))
    joints[:, 0] = rng.normal(size=3) + np.cumsum(steps, 0)
    joints[:, 0, 1] += 0.03 * np.sin(0.3 * time[:, 0])
    for joint in range(1, 22):
        joints[:, joint] = joints[:, PARENTS[joint]] + bones[:, joint]
    return joints


@pytest.mark.golden
def test_extraction_agrees_with_the_reference(golden: Path):
    known = np.load(golden / "humanml_extract.npz")
    target = offsets_of(known["target/pose"])
    clips = sorted({name.split("/")[0] for name in known.files if name.endswith("/features")})
    inputs = {"target/pose", "mirror/joints", "mirror/joints52"} | {f"{clip}/joints" for clip in clips}
    found = {
        "target/offsets": (target, 1e-6),
        "foot_threshold": (np.float64(CONTACT_THRESHOLD), 0),
        "mirror/out": (mirror(known["mirror/joints"]), 0),
        "mirror/out52": (mirror(known["mirror/joints52"]), 0),
    }
    rows = {}
    for clip in clips:
        joints = known[f"{clip}/joints"]
        uniform = uniform_skeleton(joints, target)
        places = canonicalise(uniform)
        smooth = inverse_kinematics(places, smooth=True)
        rows[clip] = extract_features(uniform, mend_flip=False)
        assert rows[clip].dtype == np.float32
        found |= {
            f"{clip}/source_offsets": (offsets_of(joints[0]), 1e-6),
            f"{clip}/ik_quaternions": (inverse_kinematics(joints, smooth=False), 5e-5),
            f"{clip}/uniform_joints": (uniform, 1e-5),
            f"{clip}/global_positions": (places, 1e-5),
            f"{clip}/ik_smooth_quaternions": (smooth, 5e-5),
            f"{clip}/local_positions": (local_positions(places, smooth[:, 0]), 1e-5),
            f"{clip}/root_linear_velocity": (rows[clip][:, ROOT_XZ], 1e-5),
            f"{clip}/recovered_joints": (features_to_joints(rows[clip]), 2e-5),
        }
    assert clips
    mean, std = group_statistics(
        [rows[clip] for clip in ("straight", "turn")]
    )  # those that the vectors' README names
    found |= {"stats/mean": (mean, 1e-5), "stats/std": (std, 1e-5)}

    assert set(found) | inputs | {f"{clip}/features" for clip in clips} == set(known.files)
    for name, (value, tolerance) in found.items():
        np.testing.assert_allclose(value, known[name], rtol=0, atol=tolerance, err_msg=name)
    for clip in clips:
        assert_features(rows[clip], known[f"{clip}/features"], 1e-5, 5e-5)


def assert_features(found: np.ndarray, expected: np.ndarray, tolerance: float, rotations: float) -> None:
    assert found.shape == expected.shape
    difference = np.abs(found - expected)
    assert difference[:, ROTATIONS].max() <= rotations
    assert difference[:, CONTACTS].max() == 0
    assert np.delete(difference, np.r_[ROTATIONS, CONTACTS], axis=1).max() <= tolerance


@pytest.mark.parametrize("name", ["012314", "000000"])
def test_published_clip_gives_its_published_features(name: str, shared: Path):
    clip = shared / "data/humanml3d-samples/HumanML3D"
    published = np.load(clip / f"new_joint_vecs/{name}.npy")
    found = extract_features(np.load(clip / f"new_joints/{name}.npy").astype(np.float32), mend_flip=False)
    # The published joints lack the last raw frame, which the heading filter sees from 80 frames before.
    same = len(found) - 80
    assert same == {"012314": 89, "000000": 35}[name]
    assert_features(found[:same], published[:same], 1e-5, 5e-5)
    assert_features(found[same:], published[same : len(found)], 7e-3, 1.35e-2)


@settings(max_examples=60, deadline=None)
@given(**WALKS)
@example(seed=1, frames=90, turn=2 * np.pi)
@example(seed=2, frames=90, turn=-2 * np.pi)
def test_joints_come_back_whatever_the_turn(seed: int, frames: int, turn: float):
    joints = walk(seed, frames, turn)
    rows = extract_features(joints)
    assert rows.shape == (frames - 1, 263)
    np.testing.assert_allclose(features_to_joints(rows), canonicalise(joints)[:-1], rtol=0, atol=2e-5)


@settings(max_examples=30, deadline=None)
@given(**WALKS)
def test_rotations_and_velocities_tell_the_same_motion(seed: int, frames: int, turn: float):
    joints = walk(seed, frames, turn)
    rows, places = extract_features(joints), canonicalise(joints)
    again = joints_from_rotations(rows, offsets_of(joints[0]))
    np.testing.assert_allclose(again, places[:-1], rtol=0, atol=1e-4)
    heading = rotation.inverse(recover_root(rows)[0])[:, None]
    steps = rotation.rotate(heading, rows[:, VELOCITIES].reshape(-1, 22, 3))
    np.testing.assert_allclose(steps, np.diff(places, axis=0), rtol=0, atol=1e-5)


def test_exact_form_turns_the_wrong_way_in_one_row_and_the_mended_form_does_not():
    joints = walk(3, 100, 1.5 * np.pi)
    exact, mended = extract_features(joints, mend_flip=False), extract_features(joints)
    wrong = np.flatnonzero(np.abs(exact - mended).max(-1) > 1e-5)
    assert len(wrong) == 1
    np.testing.assert_allclose(exact[wrong, ROOT_YAW], -mended[wrong, ROOT_YAW], rtol=0, atol=1e-5)
    np.testing.assert_allclose(np.delete(exact, 0, 1), np.delete(mended, 0, 1), rtol=0, atol=0)
    places = canonicalise(joints)[:-1]
    assert np.abs(features_to_joints(exact) - places)[wrong[0] + 1 :].max() > 0.02
    assert np.abs(features_to_joints(mended) - places).max() < 2e-5


def test_both_forms_agree_where_the_heading_stays_in_front():
    joints = walk(4, 100, 1.0)
    assert_features(extract_features(joints, mend_flip=False), extract_features(joints), 1e-6, 0)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), angle=st.floats(-3.1, 3.1))
def test_where_a_clip_stands_and_faces_does_not_matter(seed: int, angle: float):
    joints = walk(seed, 40, 2.0)
    moved = turned(joints, angle) + np.array([3.0, -1.0, 5.0])
    found, expected = extract_features(moved), extract_features(joints)
    np.testing.assert_allclose(found[:, :259], expected[:, :259], rtol=0, atol=1e-4)


def test_canonical_clip_starts_at_the_origin_on_the_floor_facing_front():
    places = canonicalise(walk(5, 50, 2.0))
    assert places.dtype == np.float32
    np.testing.assert_allclose(places[0, 0, ::2], 0, atol=1e-7)
    assert places[..., 1].min() == 0
    across = (places[0, 2] - places[0, 1]) + (places[0, 17] - places[0, 16])
    assert across[0] < 0 and abs(across[2]) < 1e-6
    np.testing.assert_allclose(canonicalise(places), places, rtol=0, atol=1e-6)


@pytest.mark.parametrize("frames", [1, 2, 60])
def test_clip_facing_exactly_backwards_is_turned(frames: int):
    pose = walk(6, 1, 0.0, swing=0.0)[0]
    pose = pose - pose[0]
    across = pose[1] - pose[2]
    front = turned(pose, -np.arctan2(-across[2], across[0]))
    front[[1, 2, 13, 14], 2] = 0
    backward = np.round(front, 3) * np.array([-1, 1, -1])
    clip = np.repeat(backward[None], frames, 0)
    np.testing.assert_allclose(
        canonicalise(clip)[0, 1] - canonicalise(clip)[0, 2], (0.12, 0, 0), rtol=0, atol=1e-6
    )
    if frames > 1:
        assert np.isfinite(extract_features(clip)).all()


def test_heading_of_a_later_frame_exactly_backwards_is_a_half_turn():
    clip = np.repeat(np.round(canonicalise(walk(6, 1, 0.0, swing=0.0)), 3), 3, 0)
    # Hips, collars, head and feet of a perfectly upright body would become opposite to their rest directions.
    clip[..., 1] += np.random.default_rng(6).uniform(0, 0.02, 22).astype(np.float32)
    clip[1:] *= np.array([-1, 1, -1], dtype=np.float32)
    exact = inverse_kinematics(clip, smooth=False)[:, 0]
    np.testing.assert_array_equal(np.isnan(exact).all(-1), (False, True, True))
    mended = inverse_kinematics(clip, smooth=False, strict=True)[:, 0]
    np.testing.assert_array_equal(mended, ((1, 0, 0, 0), (0, 0, 1, 0), (0, 0, 1, 0)))


def test_feet_that_stand_are_in_contact_and_feet_that_fly_are_not():
    clip = np.repeat(walk(7, 1, 0.0), 20, 0)
    assert (extract_features(clip)[:, CONTACTS] == 1).all()
    clip[10:, 10, 1] += 0.05  # the left foot, one jump of 5 cm: 0.0025 m^2 a frame
    contacts = extract_features(clip)[:, CONTACTS]
    assert contacts[9, 1] == 0
    assert contacts.sum() == contacts.size - 1


@settings(max_examples=20, deadline=None)
@given(**WALKS)
def test_mirrored_walk_has_mirrored_features(seed: int, frames: int, turn: float):
    joints = walk(seed, frames, turn)
    rows, other = extract_features(joints), extract_features(mirror(joints))
    np.testing.assert_allclose(other[:, ROOT_YAW], -rows[:, ROOT_YAW], rtol=0, atol=1e-5)
    np.testing.assert_allclose(other[:, ROOT_XZ], rows[:, ROOT_XZ] * (-1, 1), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(other[:, ROOT_HEIGHT], rows[:, ROOT_HEIGHT])


@pytest.mark.parametrize("count", [22, 52])
def test_mirroring_twice_is_the_identity(count: int):
    joints = np.random.default_rng(8).normal(size=(5, count, 3))
    once = mirror(joints)
    assert not np.array_equal(once, joints)
    np.testing.assert_array_equal(mirror(once), joints)
    np.testing.assert_array_equal(once[:, :22, 1:], joints[:, MIRROR, 1:])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.3, 3))
def test_uniform_skeleton_has_the_target_bones_and_the_same_directions(seed: int, scale: float):
    joints = walk(seed, 20, 2.0)
    target = offsets_of(walk(0, 1, 0.0)[0]) * scale
    result = uniform_skeleton(joints, target)
    np.testing.assert_allclose(offsets_of(result[7]), target, rtol=0, atol=1e-5)
    np.testing.assert_allclose(result[:, 0], joints[:, 0] * scale, rtol=1e-5)
    turns = inverse_kinematics(joints, smooth=False)
    made = inverse_kinematics(result, smooth=False)
    # The arc to an opposite direction is any half turn or, as in HumanML3D, none: one rounding decides. So neither the
    # heading may be opposite to the front nor a bone to its rest direction (hips are where the body faces backwards).
    assume(np.abs((turns[:, 0, 0], made[:, 0, 0])).min() > 1e-2)
    bones = (joints - joints[:, PARENTS])[:, 1:]
    along = (bones * RAW_DIRECTIONS[1:]).sum(-1) / np.linalg.norm(bones, axis=-1)
    assume(along.min() > -1 + 1e-4)
    np.testing.assert_allclose(made, turns, rtol=0, atol=1e-4)


def test_skeleton_made_uniform_with_its_own_bones_stays():
    joints = walk(9, 30, 1.0)
    np.testing.assert_allclose(uniform_skeleton(joints, offsets_of(joints[0])), joints, rtol=0, atol=1e-6)


def broken(kind: str) -> np.ndarray:
    clip = np.repeat(canonicalise(walk(10, 1, 0.0)), 12, 0)
    if kind == "length":
        clip[7, 18] = clip[7, 16]
    elif kind == "opposite":
        clip[7, 20] = clip[7, 18] + np.array([0, 0.25, 0], dtype=np.float32)
    elif kind == "nan":
        clip[7, 4, 1] = np.nan
    elif kind == "heading":
        for left, right in ((1, 2), (16, 17)):
            clip[7, [left, right]] = clip[7, left] * (1, 1, 1), clip[7, left] - (0, 0.3, 0)
    return clip


BROKEN = {
    "length": r"frame 7: the bone from left_shoulder to left_elbow has no length",
    "opposite": r"frame 7: the bone from left_elbow to left_wrist points exactly opposite to its rest",
    "nan": r"frame 7: joint left_knee is at \[.*nan.*\]; expected finite metres",
    "heading": r"frame 7: the line across hips and shoulders is vertical",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_frames_without_rotations_are_named(kind: str):
    with pytest.raises(DataError, match=BROKEN[kind]):
        extract_features(broken(kind))


@pytest.mark.parametrize("kind", BROKEN)
def test_no_other_skeleton_is_made_of_them(kind: str):
    with pytest.raises(DataError, match=BROKEN[kind]):
        uniform_skeleton(broken(kind), offsets_of(walk(0, 1, 0.0)[0]))


def test_arcs_to_nearly_opposite_directions_round_as_the_data_set_s_do():
    # Its code works in torch's float32. A thousandth of a radian from opposite, a last bit is 1e-4 of the arc.
    rng = np.random.default_rng(12)
    angles = np.pi - rng.uniform(1e-3, 1e-2, 400)
    raw = torch.tensor([1.0, 0, 0]).expand(400, 3)
    clip = np.zeros((400, 22, 3))
    clip[:] = canonicalise(walk(12, 1, 0.0, swing=0.0))[0]
    clip[:, 1] = clip[:, 0] + np.stack([np.cos(angles), np.sin(angles), 0 * angles], -1)
    bone = torch.from_numpy(
        (clip[:, 1] - clip[:, 0]) / np.linalg.norm(clip[:, 1] - clip[:, 0], axis=-1)[:, None]
    ).float()
    lengths = (raw**2).sum(-1, keepdim=True) * (bone**2).sum(-1, keepdim=True)
    arc = torch.cat(
        [torch.sqrt(lengths) + (raw * bone).sum(-1, keepdim=True), torch.cross(raw, bone, dim=-1)], -1
    )
    expected = arc / torch.norm(arc, dim=-1, keepdim=True)
    root, found = (inverse_kinematics(clip, smooth=False)[:, joint] for joint in (0, 1))
    np.testing.assert_allclose(rotation.multiply(root, found), expected.numpy(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["length", "opposite", "nan"])
def test_exact_form_gives_nan_for_them_as_the_data_set_has_it(kind: str):
    rows = extract_features(broken(kind), mend_flip=False)
    assert np.isnan(rows[7, ROTATIONS]).any()
    if kind != "nan":
        assert np.isfinite(np.delete(rows, 7, 0)).all()


def test_headings_that_cancel_out_are_named():
    share = gaussian_filter1d(np.eye(3), 20.0, axis=0, mode="nearest", truncate=4.0)[1]
    # The first and last heading lean back just so far that the one between does not count for anything.
    lean = np.arccos(-share[1] / (2 * share[0]))
    pose = canonicalise(walk(11, 1, 0.0, swing=0.0))[0].astype(np.float64)
    clip = np.stack([turned(pose, lean), pose, turned(pose, -lean)])
    with pytest.raises(DataError, match="frame 1: the headings around it cancel out"):
        extract_features(clip)


def test_first_frame_without_heading_is_refused():
    with pytest.raises(
        DataError, match="frame 0: the line across hips and shoulders is vertical or has no length"
    ):
        canonicalise(np.zeros((3, 22, 3)))


@pytest.mark.parametrize("shape", [(1, 22, 3), (5, 21, 3), (22, 3), (5, 22, 2)])
def test_other_shapes_are_refused(shape: tuple[int, ...]):
    with pytest.raises(DataError, match=r"joints have shape .*; expected \(2 or more, 22, 3\)"):
        extract_features(np.zeros(shape))


def test_other_shapes_of_poses_and_skeletons_are_refused():
    with pytest.raises(DataError, match=r"the pose has shape \(5, 22, 3\); expected \(22, 3\)"):
        offsets_of(np.zeros((5, 22, 3)))
    with pytest.raises(DataError, match=r"target offsets have shape \(21, 3\); expected \(22, 3\)"):
        uniform_skeleton(walk(12, 3, 0.0), np.zeros((21, 3)))
    with pytest.raises(DataError, match=r"joints have shape \(5, 24, 3\); expected .*22, 3\) or .*52, 3\)"):
        mirror(np.zeros((5, 24, 3)))


def test_clip_of_five_seconds_takes_less_than_ten_milliseconds():
    joints = walk(13, 100, 2.0).astype(np.float32)
    taken = []
    for _ in range(10):
        start = time.perf_counter()
        extract_features(joints)
        taken.append(time.perf_counter() - start)
    assert min(taken) < 0.01
