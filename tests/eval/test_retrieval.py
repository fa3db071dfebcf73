"""R-precision among meanings: equal to the official one where all differ, chance where captions are shuffled."""

import numpy as np
import pytest

from collage_motion.errors import DataError
from collage_motion.eval.metrics import r_precision
from collage_motion.eval.retrieval import chance_r_precision, meaning_ranks, r_precision_of_meanings

DISTINCT = [f"meaning {k}" for k in range(32)] * 20


def points(seed: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    text = rng.normal(size=(640, 8))
    return text, text + noise * rng.normal(size=text.shape)


def test_equals_the_official_metric_where_the_meanings_of_a_batch_differ() -> None:
    text, motion = points(0, 0.8)
    mine = r_precision_of_meanings(text, motion, DISTINCT)
    np.testing.assert_allclose(mine, r_precision(text, motion))
    assert 0.1 < mine[0] < mine[1] < mine[2] < 0.95


def test_shuffled_captions_drop_to_chance() -> None:
    text, motion = points(1, 0.3)
    assert r_precision_of_meanings(text, motion, DISTINCT)[2] > 0.95
    shuffled = text[np.random.default_rng(2).permutation(640)]
    np.testing.assert_allclose(
        r_precision_of_meanings(shuffled, motion, DISTINCT), np.arange(1, 4) / 32, atol=0.03
    )
    np.testing.assert_allclose(chance_r_precision(DISTINCT), np.arange(1, 4) / 32)


def test_motions_of_one_meaning_stand_for_each_other() -> None:
    text = np.array([[0.0], [0.0], [10.0]])
    motion = np.array([[1.0], [0.5], [10.0]])
    assert meaning_ranks(text, motion, ["walk", "walk", "run"], ["walk", "walk", "run"]).tolist() == [0, 0, 0]
    assert meaning_ranks(text, motion, ["walk", "bow", "run"], ["walk", "bow", "run"]).tolist() == [1, 0, 0]


def test_a_tie_counts_against_the_caption() -> None:
    same = np.zeros((32, 4))
    names = DISTINCT[:32]
    assert meaning_ranks(same, same, names, names).tolist() == [31] * 32
    assert r_precision_of_meanings(same, same, names).tolist() == [0, 0, 0]


def test_chance_agrees_with_random_embeddings_when_meanings_repeat() -> None:
    rng = np.random.default_rng(3)
    meanings = [str(rng.integers(6)) for _ in range(32 * 60)]
    text, motion = rng.normal(size=(2, len(meanings), 16))
    found = r_precision_of_meanings(text, motion, meanings)
    np.testing.assert_allclose(found, chance_r_precision(meanings), atol=0.05)
    assert found[0] > 0.1


def test_an_incomplete_batch_is_dropped_and_too_little_refused() -> None:
    text, motion = points(4, 0.5)
    np.testing.assert_allclose(
        r_precision_of_meanings(text[:50], motion[:50], DISTINCT[:50]),
        r_precision_of_meanings(text[:32], motion[:32], DISTINCT[:32]),
    )
    with pytest.raises(DataError, match="batches of 32"):
        r_precision_of_meanings(text[:31], motion[:31], DISTINCT[:31])
    with pytest.raises(DataError, match="no motion means 'swim'"):
        meaning_ranks(text[:1], motion[:1], ["swim"], ["walk"])
    with pytest.raises(DataError, match="one meaning a row"):
        meaning_ranks(text[:2], motion[:2], ["swim"], ["walk"])
    with pytest.raises(DataError, match="no batch"):
        chance_r_precision(["a"] * 31)
