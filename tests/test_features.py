"""Features: groups partition a row, joints come back as the reference gives them, statistics are exact."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from collage_motion.errors import DataError
from collage_motion.features import (
    GROUPS,
    ROOT_XZ,
    ROOT_YAW,
    ROTATION_PARENTS,
    Normaliser,
    features_to_joints,
    group_statistics,
    joints_from_rotations,
    recover_root,
)
from collage_motion.skeleton import CHAINS, N_FEATURES, PARENTS

KINDS = {"numpy": np.asarray, "torch": torch.from_numpy}


def random_features(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, (*shape, N_FEATURES)).astype(np.float32)


def test_groups_partition_the_row():
    covered = [index for group in GROUPS.values() for index in range(group.start, group.stop)]
    assert covered == list(range(N_FEATURES))


def test_published_deviations_are_constant_in_exactly_these_groups(shared: Path):
    std = np.load(shared / "data/humanml3d-samples/HumanML3D/Std.npy")
    values = [set(std[group].tolist()) for group in GROUPS.values()]
    assert [len(value) for value in values] == [1] * 7
    assert len(set.union(*values)) == 7


def test_rotations_restart_at_the_root_for_every_chain():
    assert {child for chain in CHAINS for child in chain[1:]} == set(range(1, 22))
    different = {joint for joint, (a, b) in enumerate(zip(ROTATION_PARENTS, PARENTS, strict=True)) if a != b}
    assert different == {13, 14}
    assert ROTATION_PARENTS[13] == ROTATION_PARENTS[14] == 0


@pytest.mark.golden
@pytest.mark.parametrize("kind", KINDS)
def test_recovery_agrees_with_the_reference(golden: Path, kind: str):
    known = np.load(golden / "humanml_recover.npz")
    make = KINDS[kind]
    features = make(known["features"])
    quaternion, root = recover_root(features)
    space = Normaliser(known["mean"], known["std"])
    found = {
        "root_quaternion": (quaternion, 1e-5),
        "root_position": (root, 1e-5),
        "joints": (features_to_joints(features), 1e-5),
        "joints_from_rotations": (joints_from_rotations(features, known["skeleton_offsets"]), 1e-4),
        "normalised": (space.normalise(features), 1e-6),
        "joints_from_normalised": (features_to_joints(space.denormalise(make(known["normalised"]))), 1e-4),
    }
    assert set(found) | {"features", "skeleton_offsets", "mean", "std"} == set(known.files)
    for name, (value, tolerance) in found.items():
        np.testing.assert_allclose(np.asarray(value), known[name], rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("name", ["012314", "000000"])
def test_published_clip_gives_its_published_joints(name: str, shared: Path):
    clip = shared / "data/humanml3d-samples/HumanML3D"
    features = np.load(clip / f"new_joint_vecs/{name}.npy")
    joints = np.load(clip / f"new_joints/{name}.npy")
    np.testing.assert_allclose(features_to_joints(features), joints, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", [(1,), (7,), (2, 3, 7)])
def test_tensors_and_arrays_give_the_same_joints(shape: tuple[int, ...]):
    features = random_features(3, *shape)
    offsets = np.random.default_rng(4).normal(size=(22, 3)).astype(np.float32)
    for joints in (features_to_joints, lambda f: joints_from_rotations(f, offsets)):
        array, tensor = joints(features), joints(torch.from_numpy(features))
        assert isinstance(tensor, torch.Tensor)
        assert array.dtype == np.float32 and tensor.dtype == torch.float32
        assert array.shape == (*shape, 22, 3)
        np.testing.assert_allclose(tensor.numpy(), array, rtol=0, atol=2e-6)


def test_double_precision_stays_double():
    features = random_features(5, 9).astype(np.float64)
    assert features_to_joints(features).dtype == np.float64
    assert (
        Normaliser(np.zeros(263), np.ones(263)).normalise(torch.from_numpy(features)).dtype == torch.float64
    )


def test_each_clip_of_a_batch_is_recovered_on_its_own():
    features = random_features(6, 4, 11)
    batch = features_to_joints(features)
    for clip, joints in zip(features, batch, strict=True):
        np.testing.assert_array_equal(features_to_joints(clip), joints)


def test_last_velocities_are_not_used_and_the_path_starts_at_the_origin():
    features = random_features(7, 12)
    changed = features.copy()
    changed[-1, ROOT_YAW] += 1
    changed[-1, ROOT_XZ] += 1
    np.testing.assert_array_equal(features_to_joints(features), features_to_joints(changed))
    quaternion, root = recover_root(features)
    np.testing.assert_array_equal(root[0, ::2], 0)
    np.testing.assert_array_equal(quaternion[0], (1, 0, 0, 0))


def test_constant_speed_and_turn_walk_a_circle():
    # A full turn in 100 frames at 1 cm a frame: back where it began, on a circle of circumference 1 m.
    features = np.zeros((101, N_FEATURES))
    features[:, ROOT_YAW] = np.pi / 100
    features[:, 2] = 0.01
    _, root = recover_root(features)
    np.testing.assert_allclose(root[100], root[0], atol=1e-12)
    centre = root[:100].mean(0)
    np.testing.assert_allclose(
        np.linalg.norm(root - centre, axis=-1), 0.005 / np.sin(np.pi / 100), rtol=0, atol=1e-12
    )


def test_bones_from_rotations_keep_their_lengths():
    offsets = np.random.default_rng(8).normal(size=(22, 3))
    joints = joints_from_rotations(random_features(9, 20).astype(np.float64), offsets)
    lengths = np.linalg.norm(joints[:, 1:] - joints[:, list(PARENTS[1:])], axis=-1)
    np.testing.assert_allclose(lengths, np.broadcast_to(np.linalg.norm(offsets[1:], axis=-1), (20, 21)))


def test_joints_have_gradients():
    features = torch.from_numpy(random_features(10, 6)).requires_grad_()
    features_to_joints(features).square().sum().backward()
    assert features.grad is not None and torch.isfinite(features.grad).all()
    assert (features.grad[:-1, :67] != 0).all()
    assert (features.grad[:, 67:] == 0).all()


def test_all_zero_rotations_stay_finite():
    assert np.isfinite(joints_from_rotations(np.zeros((3, N_FEATURES)), np.ones((22, 3)))).all()


@given(seed=st.integers(0, 2**32 - 1))
def test_normalising_there_and_back_is_the_identity(seed: int):
    rng = np.random.default_rng(seed)
    space = Normaliser(rng.normal(size=N_FEATURES), rng.uniform(0.01, 2, N_FEATURES))
    features = rng.normal(size=(5, N_FEATURES)).astype(np.float32)
    for values in (features, torch.from_numpy(features)):
        back = space.denormalise(space.normalise(values))
        assert type(back) is type(values)
        np.testing.assert_allclose(np.asarray(back), features, rtol=0, atol=1e-5)


def test_normaliser_cannot_be_changed_afterwards():
    mean = np.zeros(3)
    space = Normaliser(mean, np.ones(3))
    mean += 1
    assert (space.mean == 0).all()
    with pytest.raises(ValueError, match="read-only"):
        space.mean[0] = 1


@given(seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(1, 59), max_size=6))
def test_statistics_do_not_depend_on_how_frames_are_cut_into_clips(seed: int, cuts: list[int]):
    frames = np.random.default_rng(seed).normal(2, 3, (60, N_FEATURES))
    mean, std = group_statistics(iter(np.split(frames, sorted(cuts))))
    expected = frames.std(0)
    for group in GROUPS.values():
        expected[group] = expected[group].mean()
    np.testing.assert_allclose(mean, frames.mean(0), rtol=0, atol=1e-6)
    np.testing.assert_allclose(std, expected, rtol=1e-6)


def test_statistics_leave_clips_with_nan_out():
    good, bad = random_features(11, 30), random_features(12, 30)
    bad[4, 100] = np.nan
    for found, expected in zip(group_statistics([bad, good]), group_statistics([good]), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("function", [features_to_joints, recover_root])
@pytest.mark.parametrize("values", [np.zeros((4, 251)), np.zeros(263), torch.zeros(4, 262)])
def test_rows_of_another_length_are_refused(function, values):
    with pytest.raises(DataError, match=r"features have shape .*expected \(\.\.\., frames, 263\)"):
        function(values)


def test_wrong_offsets_are_refused():
    with pytest.raises(DataError, match=r"bone offsets have shape \(21, 3\); expected \(22, 3\)"):
        joints_from_rotations(np.zeros((4, 263)), np.zeros((21, 3)))


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        (np.zeros(3), np.ones(4), r"mean has shape \(3,\) and std \(4,\)"),
        (np.zeros(3), np.array([1, 0, 1]), r"feature 1 has mean 0.0 and std 0.0; expected"),
        (np.array([0, 0, np.nan]), np.ones(3), r"feature 2 has mean nan and std 1.0; expected"),
    ],
)
def test_unusable_normalisations_are_refused(mean, std, message):
    with pytest.raises(DataError, match=message):
        Normaliser(mean, std)


def test_normalising_another_width_is_refused():
    with pytest.raises(DataError, match=r"features have shape \(2, 5\); expected 3 numbers on the last axis"):
        Normaliser(np.zeros(3), np.ones(3)).normalise(np.zeros((2, 5)))


def test_statistics_of_nothing_are_refused():
    with pytest.raises(DataError, match="no clip without NaN"):
        group_statistics([np.full((3, N_FEATURES), np.nan)])
    with pytest.raises(DataError, match=r"clip 1 has shape \(3, 9\); expected \(frames, 263\)"):
        group_statistics([np.zeros((3, N_FEATURES)), np.zeros((3, 9))])


def test_features_and_extraction_do_without_torch():
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np\n"
        "from collage_motion import extraction, features\n"
        "space = features.Normaliser(np.zeros(263), np.ones(263))\n"
        "assert features.features_to_joints(space.normalise(np.zeros((2, 263)))).shape == (2, 22, 3)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
