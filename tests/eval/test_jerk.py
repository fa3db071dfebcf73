"""Jerk around seams, both published forms, on motions whose answer is known."""

import numpy as np
import pytest
from synthetic_motion import standing, stepping

from collage_motion.errors import DataError
from collage_motion.eval.jerk import (
    area_of_mean,
    area_under_jerk,
    areas,
    mean_jerk,
    peak_jerk,
    peak_of_mean,
    peaks,
    random_seams,
    seam_curves,
)


def test_a_teleport_at_a_seam_raises_peak_jerk_and_area() -> None:
    smooth = stepping(20, 120)
    broken = smooth.copy()
    broken[60:, :, 0] += 0.5
    assert peak_jerk([broken], [[60]]) > 5 * peak_jerk([smooth], [[60]])
    average = mean_jerk([smooth])
    assert area_under_jerk([broken], [[60]], average) > 2 * area_under_jerk([smooth], [[60]], average)


def test_a_jump_of_one_joint_gives_the_jerk_of_a_step() -> None:
    joints = standing(100)
    joints[50:, 20, 1] += 1.0  # third difference of a step: 1, -2, 1
    curves = seam_curves([joints], [[50]])
    assert curves.shape == (1, 57)
    np.testing.assert_allclose(curves[0, 27:30], [1, 2, 1])
    np.testing.assert_allclose(np.delete(curves[0], [27, 28, 29]), 0)
    assert peak_jerk([joints], [[50]]) == pytest.approx(2.0)
    assert area_under_jerk([joints], [[50]], 0.0) == pytest.approx(4.0)
    assert area_under_jerk([joints], [[50]], 0.5) == pytest.approx(0.5 + 1.5 + 0.5 + 54 * 0.5)


def test_the_mean_of_peaks_is_never_below_the_peak_of_the_mean() -> None:
    rng = np.random.default_rng(0)
    curves = rng.uniform(0, 1, (30, 57))
    assert peaks(curves).mean() > peak_of_mean(curves)
    assert areas(curves, 0.5).mean() > area_of_mean(curves, 0.5)
    same = np.repeat(curves[:1], 5, axis=0)
    assert peaks(same).mean() == pytest.approx(peak_of_mean(same))
    assert areas(same, 0.3).mean() == pytest.approx(area_of_mean(same, 0.3))


def test_curves_come_in_the_order_of_motions_and_seams() -> None:
    one, two = standing(200), standing(100)
    one[70:, 3, 0] += 0.1
    one[150:, 3, 0] += 0.2
    two[40:, 3, 0] += 0.3
    curves = seam_curves([one, standing(10), two], [[70, 150], [], [40]], frames=40)
    np.testing.assert_allclose(curves.max(1), [0.2, 0.4, 0.6])


def test_random_seams_have_room_and_every_motion_its_share() -> None:
    motions = [standing(60), standing(259), standing(59)]
    seams = random_seams(motions, 2000, np.random.default_rng(1))
    assert [len(row) for row in seams][2] == 0
    assert len(seams[0]) == pytest.approx(2000 / 201, abs=12)
    assert set(seams[0]) == {30}
    assert (min(seams[1]), max(seams[1])) == (30, 229)
    assert seam_curves(motions, seams).shape == (2000, 57)


@pytest.mark.parametrize(
    ("joints", "seams", "word"),
    [
        ([standing(59)], [[29]], "leaves"),
        ([standing(100)], [[80]], "leaves"),
        ([standing(100)], [[]], "no seam"),
        ([standing(100)], [], "0 lists"),
        ([np.full((100, 22, 3), np.nan)], [[50]], "finite"),
    ],
)
def test_seams_without_a_window_are_refused(joints: list, seams: list, word: str) -> None:
    with pytest.raises(DataError, match=word):
        seam_curves(joints, seams)


def test_constants_need_motion() -> None:
    with pytest.raises(DataError, match="4 frames"):
        mean_jerk([standing(3)])
    with pytest.raises(DataError, match="60 frames"):
        random_seams([standing(59)], 1, np.random.default_rng(0))
    with pytest.raises(DataError, match="curves"):
        peak_of_mean(np.zeros(5))
