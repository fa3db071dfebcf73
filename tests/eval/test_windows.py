"""Windows: at seams, at random, and random crops of the long protocol."""

import numpy as np
import pytest

from collage_motion.errors import DataError
from collage_motion.eval.windows import places_beside, random_crops, random_windows, repeated, seam_windows


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


def test_a_repeated_clip_fades_into_itself_and_is_whole_elsewhere() -> None:
    clip = counted(10).astype(np.float32)
    hard, soft = (repeated([clip], 26, shared)[0][:, 0] for shared in (0, 3))
    assert hard.tolist() == [*range(10), *range(10), *range(6)]
    assert soft[:7].tolist() == [*range(7)]
    # 7, 8, 9 pass into 0, 1, 2: three quarters of the one and a quarter of the other, halves, a quarter.
    assert np.allclose(soft[7:10], [5.25, 4.5, 3.75])
    assert np.allclose(soft[10:14], [3, 4, 5, 6]) and np.allclose(soft[14:17], soft[7:10])
    most = repeated([clip], 40, 9)[0][:, 0]  # half a clip is shared at most
    assert np.allclose(most[5:10], most[10:15])
    assert np.allclose(repeated([np.ones((7, 263), np.float32)], 50, 3)[0], 1.0)


def test_random_windows_reach_every_place_and_leave_short_motions_out() -> None:
    windows = random_windows([counted(62), counted(30, 900)], 300, np.random.default_rng(0))
    assert {w[0, 0] for w in windows} == {0, 1, 2}
    assert all(len(w) == 60 for w in windows)
    with pytest.raises(DataError, match="60 frames"):
        random_windows([counted(59)], 1, np.random.default_rng(0))


def test_random_windows_count_clips_alike_however_long() -> None:
    motions = [counted(60), counted(196, 1000), counted(59, 5000), counted(80, 9000)]
    windows = random_windows(motions, 301, np.random.default_rng(3))
    shares = np.bincount([int(w[0, 0]) // 1000 for w in windows], minlength=10)
    assert sorted(shares[[0, 1, 9]]) == [100, 100, 101]
    assert shares.sum() == 301


def test_places_are_of_the_clips_that_motions_were_made_of() -> None:
    lengths = [60, 196, 40, 100, 80]
    counts, places = places_beside(lengths, [[1], [2], [0], [1]], [3, 3, 2, 3], np.random.default_rng(0))
    assert counts == [3, 0, 2, 3]  # nothing real is beside the seams of a motion whose clip is too short
    assert [len(row) for row in places] == [2, 6, 0, 0, 0]
    assert places[0] == [30, 30]
    assert sum(counts) == sum(map(len, places))
    reached = {place for seed in range(400) for place in drawn_of(196, seed)}
    assert reached == set(range(30, 167))


def drawn_of(length: int, seed: int) -> list[int]:
    return places_beside([length], [[0]], [3], np.random.default_rng(seed)).places[0]


def test_captions_of_one_motion_share_its_places_alike() -> None:
    lengths = [60, 196, 40, 100]
    counts, places = places_beside(lengths, [[0, 1, 2, 3]], [31], np.random.default_rng(0))
    assert counts == [31]
    assert sorted(len(row) for row in places) == [0, 10, 10, 11]
    assert not places[2]
    two = [places_beside(lengths, [[0, 1, 3]], [2], np.random.default_rng(k)).places for k in range(300)]
    shares = [sum(len(places[k]) for places in two) for k in (0, 1, 3)]
    assert min(shares) > 150  # 200 each are expected


def test_random_crops_have_the_lengths_asked_for() -> None:
    rng = np.random.default_rng(0)
    starts = {random_crops([counted(12)], [10], rng)[0][0, 0] for _ in range(60)}
    assert starts == {0, 1, 2}
    assert [len(c) for c in random_crops([counted(12), counted(9)], [12, 4], rng)] == [12, 4]
    with pytest.raises(DataError, match="does not fit"):
        random_crops([counted(12)], [13], rng)
