"""Spoiled motions are spoiled in the one way that they are named after, and agree with themselves."""

import numpy as np
import pytest
from real_like import small_benchmark

from collage_motion.eval import corruption
from collage_motion.eval.corruption import LEARNT, UNSEEN
from collage_motion.eval.feet import foot_skating_ratio
from collage_motion.eval.quality import jerk
from collage_motion.features import POSITIONS, VELOCITIES, features_to_joints

WALK = small_benchmark(1).items[0].features


def joints(rows: np.ndarray) -> np.ndarray:
    return np.asarray(features_to_joints(rows.astype(np.float64)))


@pytest.mark.parametrize("name", [*LEARNT, *UNSEEN])
def test_all_keep_the_shape_change_the_motion_and_follow_the_seed(name: str) -> None:
    spoil = {**LEARNT, **UNSEEN}[name]
    before = WALK.copy()
    one, again = (spoil(WALK, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(WALK, before)
    np.testing.assert_array_equal(one, again)
    assert one.shape == WALK.shape
    assert one.dtype == np.float32
    assert np.isfinite(one).all()
    assert np.abs(one - WALK).max() > 1e-3
    short = spoil(WALK[:8], np.random.default_rng(4))
    assert short.shape == (8, 263)


def test_jitter_shakes_and_its_velocities_follow_its_positions() -> None:
    rows = corruption.jitter(WALK, np.random.default_rng(0), metres=0.02)
    assert jerk(joints(rows)).mean() > 3 * jerk(joints(WALK)).mean()
    added = (rows - WALK)[:, POSITIONS].reshape(-1, 21, 3)
    faster = (rows - WALK)[:, VELOCITIES].reshape(-1, 22, 3)[:, 1:]
    np.testing.assert_allclose(np.diff(added, axis=0), faster[:-1], atol=1e-5)
    assert added.std() == pytest.approx(0.02, rel=0.1)


def test_smoothing_lowers_jerk_and_freezing_stops_the_body() -> None:
    smooth = corruption.smoothed(WALK, np.random.default_rng(0), frames=4)
    assert jerk(joints(smooth)).mean() < 0.5 * jerk(joints(WALK)).mean()
    still = joints(corruption.frozen(WALK, np.random.default_rng(0), share=1.0))
    np.testing.assert_allclose(still, np.broadcast_to(still[0], still.shape), atol=1e-5)


def test_a_glide_raises_foot_skating_by_its_speed() -> None:
    rows = corruption.foot_slide(WALK, np.random.default_rng(0), speed=1.0)
    shift = joints(rows)[:, 0] - joints(WALK)[:, 0]
    assert np.linalg.norm(shift[-1]) == pytest.approx((len(WALK) - 1) / 20, rel=1e-3)
    assert foot_skating_ratio(joints(rows)) >= foot_skating_ratio(joints(WALK))


def test_time_reversed_twice_is_the_motion_again_and_retraces_its_steps() -> None:
    back = joints(corruption.reversed_time(WALK))
    there = joints(WALK)
    np.testing.assert_allclose(
        np.linalg.norm(np.diff(back[:, 0], axis=0), axis=-1),
        np.linalg.norm(np.diff(there[:, 0], axis=0), axis=-1)[::-1],
        atol=1e-5,
    )
    twice = corruption.reversed_time(corruption.reversed_time(WALK))
    np.testing.assert_allclose(twice[1:-1], WALK[1:-1], atol=1e-6)
