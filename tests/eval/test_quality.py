"""Figures of movement, each on a motion whose answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_motion import standing, stepping, turned

from collage_motion.errors import DataError
from collage_motion.eval.quality import (
    across_heading,
    inner_jerk,
    jerk,
    seam_jerk,
    slide,
    to_heading,
    total_slide,
    window_jerks,
    wrap_gap,
)


def test_a_sliding_toe_is_measured_only_on_the_ground() -> None:
    joints = standing(21)
    joints[:, 10, 0] = 0.01 * np.arange(21)  # 0.2 m/s at 20 fps
    joints[:, 11, 1] = 0.30  # the other foot is in the air, and fast
    joints[:, 11, 0] = np.arange(21)
    result = slide(joints)
    assert result.speed == pytest.approx(0.2)
    assert result.seconds == pytest.approx(1.0)
    assert slide(joints, floor=-1.0) == (0.0, 0.0)
    assert slide(joints, floor=-1.0).speed == 0.0


def test_the_slide_of_several_motions_weighs_by_time_on_the_ground() -> None:
    still, moving = standing(31), standing(11)
    moving[..., 0] += 0.05 * np.arange(11)[:, None]
    assert total_slide([still, moving]).speed == pytest.approx(1.0 * 10 / 40)


def test_jerk_is_the_third_difference_of_the_worst_joint() -> None:
    joints = standing(12)
    t = np.arange(12.0)
    joints[:, 5, 0] += 0.5 * t**3 / 6
    joints[:, 5, 2] -= 0.25 * t**3 / 6
    joints[:, 6, 1] += 0.1 * t**3 / 6 + t**2
    values = jerk(joints)
    assert values.shape == (9,)
    np.testing.assert_allclose(values, 0.75)


def test_a_jump_is_found_at_its_seam_and_nowhere_else() -> None:
    joints = standing(200)
    joints[100:, 20, 1] += 0.1
    assert seam_jerk(joints, 100) == pytest.approx(0.2)
    assert seam_jerk(joints, 140) == 0.0
    # Frames 70 to 129 make the window, so the last jerk counted needs frames 126 to 129.
    joints[130:, 20, 1] += 5.0
    assert seam_jerk(joints, 100) == pytest.approx(0.2)
    with pytest.raises(DataError, match=r"seam at frame 10: its window of 60 frames leaves the motion"):
        seam_jerk(joints, 10)


def test_jerk_inside_leaves_the_seams_out() -> None:
    joints = standing(200)
    joints[100:, 20, 1] += 0.1
    assert inner_jerk(joints, 60, 160, [60, 100, 160], margin=30).size == 0
    assert inner_jerk(joints, 60, 160, [60, 100, 160]).max() == 0.0
    assert inner_jerk(joints, 0, 100, [100]).max() == 0.0
    assert inner_jerk(joints, 0, 100, [100], margin=30).size == 67
    assert inner_jerk(joints, 0, 200, []).max() == pytest.approx(0.2)


def test_windows_are_drawn_from_long_motions_only_and_repeat_with_the_seed() -> None:
    short, long = standing(59), standing(80)
    short[30:, 0] += 9
    long[:, 3, 0] += np.arange(80.0) ** 3 / 6
    drawn = window_jerks([short, long], 25, np.random.default_rng(4))
    np.testing.assert_allclose(drawn, 1.0)
    noisy = standing(300) + np.random.default_rng(0).normal(size=(300, 22, 3))
    first, second = (window_jerks([noisy], 10, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    with pytest.raises(DataError, match="no motion has 60 frames"):
        window_jerks([short], 1, np.random.default_rng(0))


@given(st.floats(-3.1, 3.1), st.floats(-5, 5), st.floats(-5, 5))
@settings(max_examples=30, deadline=None)
def test_the_frame_of_the_heading_forgets_where_and_whither(angle: float, x: float, z: float) -> None:
    joints = stepping(20, 30)
    moved = turned(joints, angle) + np.array([x, 0, z])
    heading = across_heading(moved)
    assert np.abs(np.exp(1j * heading) - np.exp(1j * angle)).max() < 1e-6
    local = to_heading(moved - moved[:, :1], heading)
    np.testing.assert_allclose(local, joints - joints[:, :1], atol=1e-9)
    was, now = wrap_gap(joints), wrap_gap(moved)
    np.testing.assert_allclose(was, now, atol=1e-9)


def test_a_whole_number_of_periods_closes_and_another_does_not() -> None:
    assert wrap_gap(stepping(20, 80)).closed
    torn = wrap_gap(stepping(20, 90))
    assert not torn.closed
    assert torn.pose > 3 * torn.pose_limit
    assert torn.velocity > 1.1 * torn.velocity_limit


def test_a_change_of_walking_speed_at_the_wrap_is_seen() -> None:
    joints = standing(60)
    joints[..., 2] += (0.001 * np.arange(60) ** 2)[:, None]  # ever faster, so the wrap must brake
    gap = wrap_gap(joints)
    assert gap.pose == pytest.approx(0.0)
    assert gap.velocity == pytest.approx(0.001 * 2 * 58)
    assert not gap.closed


def test_what_is_no_motion_is_refused() -> None:
    with pytest.raises(DataError, match=r"joints \(5, 21, 3\); a motion is \(frames, 22, 3\)"):
        jerk(np.zeros((5, 21, 3)))
    with pytest.raises(DataError, match="a motion of 3 frames; this figure needs at least 4"):
        jerk(standing(3))
    broken = standing(10)
    broken[4, 2, 1] = np.nan
    with pytest.raises(DataError, match="not finite"):
        slide(broken)
