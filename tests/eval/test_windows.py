"""Windows: at seams, at random, and random crops of the long protocol."""

import numpy as np
import pytest

from collage_motion.errors import DataError
from collage_motion.eval.windows import random_crops, random_windows, seam_windows


def counted(n: int, start: int = 0) -> np.ndarray:
    return np.repeat(np.arange(start, start + n)[:, None], 263, axis=1)


def test_seam_windows_are_centred_and_in_order() -> None:
    windows = seam_windows([counted(200), counted(100, 1000), counted(60, 5000)], [[30, 170], [], [30]])
    assert [(w[0, 0], w[-1, 0], len(w)) for w in windows] == [(0, 59, 60), (140, 199, 60), (5000, 5059, 60)]
    for seam in (29, 171):
        with pytest.raises(DataError, match="leaves"):
            seam_windows([counted(200)], [[seam]])
    with pytest.raises(DataError, match="one list a motion"):
        seam_windows([counted(200)], [])


def test_random_windows_reach_every_place_and_leave_short_motions_out() -> None:
    windows = random_windows([counted(62), counted(30, 900)], 300, np.random.default_rng(0))
    assert {w[0, 0] for w in windows} == {0, 1, 2}
    assert all(len(w) == 60 for w in windows)
    with pytest.raises(DataError, match="60 frames"):
        random_windows([counted(59)], 1, np.random.default_rng(0))


def test_random_crops_have_the_lengths_asked_for() -> None:
    rng = np.random.default_rng(0)
    starts = {random_crops([counted(12)], [10], rng)[0][0, 0] for _ in range(60)}
    assert starts == {0, 1, 2}
    assert [len(c) for c in random_crops([counted(12), counted(9)], [12, 4], rng)] == [12, 4]
    with pytest.raises(DataError, match="does not fit"):
        random_crops([counted(12)], [13], rng)
