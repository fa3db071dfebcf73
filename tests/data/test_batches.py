"""Training batches: crops, captions and padding are what Algorithm 6 asks for, and repeat with their seed."""

from collections import Counter
from itertools import islice

import numpy as np
import pytest
import torch

from collage_motion.data.batches import MIN_CROP, BatchMaker, Recording
from collage_motion.skeleton import N_FEATURES
from collage_motion.text.wordpiece import WordPieceEncoder

MEAN, STD = np.full(N_FEATURES, 2.0, np.float32), np.full(N_FEATURES, 4.0, np.float32)


def recordings() -> list[Recording]:
    """Clips whose feature 0 tells the clip, feature 1 the frame."""
    result = []
    for k, (content, frames) in enumerate(
        [("walk", 60), ("walk", 120), ("walk", 250), ("walk", 40), ("bow", 80)]
    ):
        rows = np.zeros((frames, N_FEATURES), np.float32)
        rows[:, 0], rows[:, 1] = k, np.arange(frames)
        result.append(Recording(rows, content, "normal", ""))
    return result


def maker(**options: object) -> BatchMaker:
    return BatchMaker(recordings(), WordPieceEncoder(), MEAN, STD, 16, **options)  # type: ignore[arg-type]


@pytest.mark.slow
def test_rows_are_pieces_of_their_clips_and_padding_is_zero() -> None:
    lengths = []
    for batch in islice(maker().blocks(), 20):
        rows = batch.x0 * torch.from_numpy(STD) + torch.from_numpy(MEAN)
        for row, x0, length in zip(rows, batch.x0, batch.lengths.tolist(), strict=True):
            frames = row[:length, 1]
            torch.testing.assert_close(frames, frames[0] + torch.arange(length), atol=1e-3, rtol=0)
            assert MIN_CROP <= length <= 196 and not x0[length:].any()
            lengths.append((int(row[0, 0].round()), length))
    whole = np.mean([length == min(len(recordings()[k].features), 196) for k, length in lengths])
    assert 0.45 < whole < 0.6


def test_rare_kinds_are_drawn_more_often_than_they_occur() -> None:
    drawn: Counter[int] = Counter()
    chosen = maker(evenness=0.0)
    for batch in islice(chosen.blocks(), 40):
        drawn.update((batch.x0[:, 0, 0] * 4 + 2).round().int().tolist())
    assert 0.4 < drawn[4] / sum(drawn.values()) < 0.6
    natural = maker(evenness=1.0).probability
    np.testing.assert_allclose(natural, 0.2)


@pytest.mark.slow
def test_a_resumed_stream_goes_on_where_it_stopped() -> None:
    whole = list(islice(maker().blocks(), 13))
    for first in (3, 8, 11):
        resumed = next(maker().blocks(first))
        assert resumed.x0.shape == whole[first].x0.shape
        torch.testing.assert_close(resumed.x0, whole[first].x0)


def test_word_dropout_never_empties_a_prompt() -> None:
    for batch in islice(maker(word_dropout=0.9).blocks(), 10):
        assert batch.mask.any(1).all()


def test_words_are_dropped_with_their_probability() -> None:
    written = kept = 0
    for batch in islice(maker(word_dropout=0.5).blocks(), 10):
        written += int(batch.words.any(-1).sum())
        kept += int(batch.mask.sum())
    assert 0.45 < kept / written < 0.6  # a little over half: prompts that would be empty stay whole
