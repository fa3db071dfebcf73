"""Loops that close, and loops that fail to in one way each."""

import numpy as np
import pytest
from numpy.typing import NDArray

from collage_motion.errors import DataError
from collage_motion.eval.loop_closure import loop_closure, unrolled
from collage_motion.features import CONTACTS, POSITIONS, ROOT_HEIGHT, ROOT_XZ, ROOT_YAW


def circle(n: int = 60, turns: float = 1.0) -> NDArray[np.float64]:
    """A walk along a circle: arms and legs swing three times, so it closes after `turns` of 1."""
    rows = np.zeros((n, 263))
    rng = np.random.default_rng(0)
    rows[:, ROOT_YAW] = np.pi * turns / n  # half angles
    rows[:, ROOT_XZ] = [0.0, 0.05]
    rows[:, ROOT_HEIGHT] = 1.0
    t = 2 * np.pi * np.arange(n) / n
    rest = rng.normal(size=63) + np.tile([0.0, 1.0, 0.0], 21)
    rest[0], rest[3], rest[45], rest[48] = 0.1, -0.1, 0.15, -0.15  # hips and shoulders lie across x
    rest[[2, 5, 47, 50]] = 0.0
    swing = rng.normal(scale=0.05, size=63)
    swing[[0, 2, 3, 5, 45, 47, 48, 50]] = 0.0
    rows[:, POSITIONS] = rest + np.sin(3 * t)[:, None] * swing
    rows[:, CONTACTS] = (np.sin(3 * t) > 0)[:, None]
    return rows


def test_a_circle_closes() -> None:
    result = loop_closure(circle())
    assert result.root < 1e-9
    assert result.heading < 1e-6
    assert result.pose <= result.pose_limit
    assert result.velocity <= result.velocity_limit
    assert 0.5 < result.jerk_ratio < 3
    assert result.contacts in (0.0, 1.0)


def test_a_loop_that_does_not_come_back_to_its_place_or_heading() -> None:
    straight = circle(turns=0.0)
    assert loop_closure(straight).root == pytest.approx(60 * 0.05)
    assert loop_closure(straight).heading == pytest.approx(0.0)
    quarter = loop_closure(circle(turns=0.25))
    assert quarter.heading == pytest.approx(90.0)
    assert quarter.root > 0.5


def test_a_step_at_the_wrap_shows_in_pose_and_jerk() -> None:
    whole = circle()
    broken = whole.copy()
    broken[40:, POSITIONS] += np.tile([0.0, 0.2, 0.0], 21) * np.linspace(0, 1, 20)[:, None]
    good, bad = loop_closure(whole), loop_closure(broken)
    assert bad.pose > 5 * good.pose
    assert bad.pose > bad.pose_limit
    assert bad.jerk_ratio > 5 * good.jerk_ratio


def test_the_unrolled_loop_goes_on_where_it_ended() -> None:
    straight = circle(turns=0.0)
    joints = unrolled(straight)
    assert joints.shape == (120, 22, 3)
    np.testing.assert_allclose(
        joints[60:] - joints[:60], np.broadcast_to([0, 0, 3.0], (60, 22, 3)), atol=1e-9
    )


def test_what_is_no_loop_is_refused() -> None:
    with pytest.raises(DataError, match="8 frames"):
        loop_closure(np.zeros((7, 263)))
    with pytest.raises(DataError, match="263"):
        unrolled(np.zeros((20, 22, 3)))
