"""Feet, ground, bones and paths, each on a motion whose figure is known."""

import numpy as np
import pytest
from synthetic_motion import standing

from collage_motion.errors import DataError
from collage_motion.eval.bones import bone_drift
from collage_motion.eval.feet import foot_skating_ratio, ground, skating_frames
from collage_motion.eval.paths import keyframe_distances, path_errors
from collage_motion.eval.quality import total_slide


def test_a_sliding_foot_skates_and_raises_foot_slide() -> None:
    still, sliding = standing(41), standing(41)
    sliding[:, 10, 0] += 0.04 * np.arange(41)  # 0.8 m/s
    assert foot_skating_ratio(still) == 0
    # Nothing counts beyond the ends, so the mean over five steps is 3/5, 4/5 of 0.8 m/s there.
    assert skating_frames(sliding).tolist() == [False] + [True] * 38 + [False]
    assert total_slide([sliding]).speed > total_slide([still]).speed == 0


@pytest.mark.parametrize(("speed", "share"), [(0.45, 0.0), (0.9, 1.0)])
def test_the_limit_is_half_a_metre_a_second(speed: float, share: float) -> None:
    joints = standing(60)
    joints[:, 11, 2] -= speed / 20 * np.arange(60)
    assert foot_skating_ratio(joints) == share


def test_one_fast_step_or_a_foot_in_the_air_is_no_skating() -> None:
    jump = standing(60)
    jump[30:, 10, 0] += 0.1  # 2 m/s for one step, 0.4 m/s over five
    assert foot_skating_ratio(jump) == 0
    lifted = standing(60)
    lifted[:, 10, 0] += 0.05 * np.arange(60)
    lifted[:, 10, 1] += 0.05
    assert foot_skating_ratio(lifted) == 0
    assert foot_skating_ratio(lifted, floor=0.05) > 0.9


def test_ground_is_measured_beyond_five_millimetres() -> None:
    joints = standing(10)  # lowest joint at 20 mm
    assert ground(joints).floating == pytest.approx(0.015)
    assert ground(joints, floor=0.018) == (0.0, 0.0)
    joints[:5, 11, 1] = -0.045
    both = ground(joints)
    assert both.penetration == pytest.approx(0.02)
    assert both.floating == pytest.approx(0.0075)


def test_bones_of_a_stiff_body_do_not_drift_and_a_stretched_one_does() -> None:
    joints = standing(20)
    moved = joints + np.linspace(0, 3, 20)[:, None, None]
    np.testing.assert_allclose(bone_drift(moved), 0, atol=1e-12)
    moved[7, 15, 1] += 0.5
    drift = bone_drift(moved)
    assert drift.worst > 0.1
    assert drift.mean == pytest.approx(drift.worst / (20 * 21))


def test_keyframe_distances_and_their_shares() -> None:
    joints = standing(30)
    joints[:, 0, 2] += 0.1 * np.arange(30)
    distances = keyframe_distances(joints, {20: (0.0, 2.0), 0: (0.3, 0.4), 29: (0.0, 2.8)})
    np.testing.assert_allclose(distances, [0.5, 0.0, 0.1], atol=1e-12)
    errors = path_errors([distances, [0.05], [0.6, 0.3]])
    assert errors.failed == {0.2: pytest.approx(2 / 3), 0.5: pytest.approx(1 / 3)}
    assert errors.missed == {0.2: pytest.approx(3 / 6), 0.5: pytest.approx(1 / 6)}
    assert errors.mean == pytest.approx((0.5 + 0.1 + 0.05 + 0.9) / 6)


def test_impossible_keyframes_are_refused() -> None:
    joints = standing(30)
    for targets, word in (({}, "no keyframe"), ({30: (0, 0)}, "0 to 29"), ({3: (0, np.nan)}, "finite")):
        with pytest.raises(DataError, match=word):
            keyframe_distances(joints, targets)
    with pytest.raises(DataError, match="at least one"):
        path_errors([])
