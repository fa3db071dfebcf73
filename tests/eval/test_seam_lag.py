"""Seam lag: with an evaluator that reads the answer off the features, so the right lag is known."""

from collections.abc import Sequence

import numpy as np
import pytest

from collage_motion.errors import DataError
from collage_motion.eval.seam_lag import change_point, seam_lags


class Teller:
    """Embeds a motion by the mean of its first feature, and the caption "0.5" at 0.5."""

    def embed_motions(self, features: Sequence[np.ndarray]) -> np.ndarray:
        return np.array([[rows[:, 0].mean()] for rows in features])

    def embed_captions(self, captions: Sequence[str]) -> np.ndarray:
        return np.array([[float(text)] for text in captions])


def switching(at: int, n: int = 200) -> np.ndarray:
    rows = np.zeros((n, 263))
    rows[at:] = 1.0
    return rows


@pytest.mark.parametrize("late", [-24, 0, 8, 24])
def test_the_lag_is_where_the_motion_changes(late: int) -> None:
    (lag,) = seam_lags(Teller(), [switching(100 + late)], [["0", "1"]], [[100]], stride=2)
    assert (lag.motion, lag.seam) == (0, 100)
    assert abs(lag.frames - late) <= 2
    assert lag.agreement == 1.0


def test_a_motion_that_follows_one_prompt_only_lags_by_the_whole_reach() -> None:
    lags = seam_lags(Teller(), [switching(200), switching(0)], [["0", "1"]] * 2, [[100], [100]])
    assert [lag.frames for lag in lags] == [40, -40]


def test_several_seams_each_with_its_own_prompts() -> None:
    rows = np.concatenate([switching(110)[:200], 3 * switching(100)[:200] + 1])
    lags = seam_lags(Teller(), [rows], [["0", "1", "4"]], [[100, 300]])
    assert [lag.seam for lag in lags] == [100, 300]
    assert abs(lags[0].frames - 10) <= 4
    assert abs(lags[1].frames) <= 4


def test_seams_too_near_the_ends_or_between_equal_prompts_are_left_out() -> None:
    assert seam_lags(Teller(), [switching(50)], [["0", "1"]], [[59]]) == []
    assert seam_lags(Teller(), [switching(100)], [["1", "1"]], [[100]]) == []
    assert len(seam_lags(Teller(), [switching(60)], [["0", "1"]], [[60]])) == 1


def test_the_change_point_forgives_single_wrong_answers() -> None:
    assert change_point([0, 0, 1, 0, 0, 1, 1, 1]) == (5, pytest.approx(7 / 8))
    assert change_point([1, 1, 1]) == (0, 1.0)
    assert change_point([0, 0, 0, 0]) == (4, 1.0)
    assert change_point([1, 0])[1] == 0.5
    with pytest.raises(DataError, match="windows"):
        change_point([])


def test_prompts_must_fit_the_seams() -> None:
    with pytest.raises(DataError, match="one prompt more"):
        seam_lags(Teller(), [switching(100)], [["0"]], [[100]])
