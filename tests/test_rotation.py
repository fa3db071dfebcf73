"""Rotation conversions: there and back, against scipy, near the identity and at the awkward angles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from collage_motion import rotation

RNG = np.random.default_rng(7)


def random_quaternions(n: int) -> np.ndarray:
    """Uniform turns and, as every second one, turns of less than a thousandth of a radian."""
    q = RNG.normal(size=(n, 4))
    q[::2] = [1, 0, 0, 0] + 1e-4 * RNG.normal(size=(len(q[::2]), 4))
    return rotation.unit(q)


def as_scipy(q: np.ndarray) -> Rotation:
    return Rotation.from_quat(q[..., [1, 2, 3, 0]])


def same_turn(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.max(rotation.angle_between(a, b)))


def test_products_and_turns_agree_with_scipy():
    a, b, v = random_quaternions(200), random_quaternions(200), RNG.normal(size=(200, 3))
    product = as_scipy(a) * as_scipy(b)
    np.testing.assert_allclose(rotation.to_matrix(rotation.multiply(a, b)), product.as_matrix(), atol=1e-12)
    np.testing.assert_allclose(rotation.rotate(a, v), as_scipy(a).apply(v), atol=1e-12)
    np.testing.assert_allclose(
        rotation.multiply(a, rotation.inverse(a)), np.tile(rotation.IDENTITY, (200, 1)), atol=1e-12
    )
    np.testing.assert_allclose(
        rotation.angle_between(a, b), (as_scipy(a).inv() * as_scipy(b)).magnitude(), atol=1e-7
    )


def test_matrix_and_six_numbers_there_and_back():
    q = random_quaternions(200)
    half_turns = np.eye(4)[1:]
    for turns in (q, half_turns):
        matrices = rotation.to_matrix(turns)
        assert same_turn(rotation.from_matrix(matrices), turns) < 1e-7
        six = rotation.matrix_to_six(matrices)
        np.testing.assert_array_equal(six[:, :3], matrices[:, :, 0])
        np.testing.assert_allclose(rotation.six_to_matrix(six), matrices, atol=1e-12)
    stretched = rotation.six_to_matrix(RNG.normal(size=(50, 6)))
    np.testing.assert_allclose(np.linalg.det(stretched), 1, atol=1e-12)


def test_euler_angles_agree_with_scipy():
    q = rotation.unit(RNG.normal(size=(300, 4)))
    angles = rotation.to_euler(q)
    np.testing.assert_allclose(angles, as_scipy(q).as_euler("ZXY"), atol=1e-9)
    assert same_turn(rotation.from_euler(angles), q) < 1e-7


@pytest.mark.parametrize("x", [np.pi / 2, -np.pi / 2])
def test_euler_angles_at_gimbal_lock_are_still_the_same_turn(x):
    angles = np.stack((RNG.uniform(-3, 3, 50), np.full(50, x), RNG.uniform(-3, 3, 50)), axis=-1)
    q = rotation.from_euler(angles)
    assert same_turn(rotation.from_euler(rotation.to_euler(q)), q) < 1e-6


@settings(max_examples=40, deadline=None)
@given(arrays(np.float64, (12, 3), elements=st.floats(-0.5, 0.5)))
def test_smooth_euler_keeps_turns_and_has_no_jumps(steps):
    """A path of angles that runs through whole turns and the lock comes back as smooth as it was, and as one turn."""
    path = np.cumsum(np.repeat(steps, 3, axis=0), axis=0)
    q = rotation.from_euler(path)
    wrapped = rotation.to_euler(q)
    smooth = rotation.smooth_euler(wrapped)
    assert same_turn(rotation.from_euler(smooth), q) < 1e-6
    jumps, raw_jumps = (np.abs(np.diff(a, axis=0)).sum(axis=-1) for a in (smooth, wrapped))
    assert (jumps <= raw_jumps + 1e-9).all() or jumps.max() <= 3 * np.pi / 2 + 1e-9


def test_a_knee_bending_past_ninety_degrees_is_one_straight_curve():
    bend = np.radians(np.linspace(0, 150, 40))
    q = rotation.from_axis_angle((1.0, 0.0, 0.0), bend)
    smooth = rotation.smooth_euler(rotation.to_euler(q))
    np.testing.assert_allclose(smooth, np.stack((0 * bend, bend, 0 * bend), axis=-1), atol=1e-9)


def test_shortest_arc_takes_one_direction_to_the_other():
    a, b = RNG.normal(size=(100, 3)), RNG.normal(size=(100, 3))
    arc = rotation.shortest_arc(a, b)
    np.testing.assert_allclose(rotation.rotate(arc, rotation.unit(a)), rotation.unit(b), atol=1e-12)
    cosine = np.sum(rotation.unit(a) * rotation.unit(b), axis=-1)
    np.testing.assert_allclose(rotation.angle_between(arc, rotation.IDENTITY), np.arccos(cosine), atol=1e-7)
    assert (arc[:, 0] >= 0).all()


@pytest.mark.parametrize("axis", [*np.eye(3).tolist(), [0.6, 0.0, 0.8]])
def test_shortest_arc_of_opposite_directions_is_some_half_turn(axis):
    arc = rotation.shortest_arc(axis, -np.array(axis))
    np.testing.assert_allclose(rotation.rotate(arc, axis), -np.array(axis), atol=1e-12)
    assert np.isfinite(arc).all()


def test_slerp_moves_evenly_the_short_way():
    a, b = random_quaternions(50), rotation.unit(RNG.normal(size=(50, 4)))
    whole = rotation.angle_between(a, b)
    for t in (0.0, 0.25, 0.5, 1.0):
        np.testing.assert_allclose(rotation.angle_between(a, rotation.slerp(a, b, t)), t * whole, atol=1e-6)
    np.testing.assert_allclose(rotation.slerp(a, a, 0.3), a, atol=1e-9)


def test_unflip_only_changes_signs():
    q = np.cumsum(0.05 * RNG.normal(size=(60, 3, 4)), axis=0) + rotation.unit(RNG.normal(size=(3, 4))) * 2
    smooth = rotation.unit(q)
    flipped = smooth * RNG.choice([-1, 1], size=(60, 3, 1))
    mended = rotation.unflip(flipped)
    np.testing.assert_allclose(np.abs(np.sum(mended * smooth, axis=-1)), 1, atol=1e-12)
    assert (np.sum(mended[1:] * mended[:-1], axis=-1) > 0).all()


def test_types_are_kept_and_inputs_untouched():
    q = rotation.unit(RNG.normal(size=(5, 4))).astype(np.float32)
    before = q.copy()
    v = np.ones((5, 3), dtype=np.float32)
    for result in (
        rotation.multiply(q, q), rotation.rotate(q, v), rotation.inverse(q), rotation.to_matrix(q),
        rotation.to_euler(q), rotation.unflip(q), rotation.shortest_arc(v, v), rotation.slerp(q, q, 0.5),
        rotation.from_matrix(rotation.to_matrix(q)), rotation.from_euler(rotation.to_euler(q)),
    ):  # fmt: skip
        assert result.dtype == np.float32
    np.testing.assert_array_equal(q, before)
    assert rotation.unit(np.zeros(3)).tolist() == [0, 0, 0]
