"""Meanings: one class for all captions of a label, found from the caption again."""

import numpy as np
import pytest

from collage_motion.data.batches import Recording
from collage_motion.data.captions import CONTENTS, STYLES, sample_caption
from collage_motion.errors import DataError
from collage_motion.eval.benchmark import draw_caption
from collage_motion.eval.meaning import (
    content_of,
    meaning_of,
    meaning_of_caption,
    meaning_of_labels,
    style_of,
)

NO_ROWS = np.zeros((0, 263), np.float32)


def recording(content: str = "", style: str = "", description: str = "") -> Recording:
    return Recording(NO_ROWS, content, style, description)


def test_labels_that_share_their_captions_are_one_meaning() -> None:
    assert meaning_of(recording("walk", "old")) == meaning_of(recording("walk", "elderly")) == "walk|elderly"
    assert meaning_of(recording("dance-long", "normal")) == meaning_of(recording("dance-short", "normal"))
    assert meaning_of(recording(description="Run/Jog")) == meaning_of(recording("run", "normal"))


def test_sides_and_descriptions_are_meanings_of_their_own() -> None:
    assert meaning_of_labels("wave-left-hand") != meaning_of_labels("wave-right-hand")
    said = meaning_of(recording(description="basketball - forward  dribble"))
    assert said == "basketball - forward dribble"
    assert (content_of(said), style_of(said)) == ("", "")
    assert (content_of("walk|sad"), style_of("walk|sad")) == ("walk", "sad")


@pytest.mark.parametrize("content", CONTENTS)
def test_every_caption_of_the_benchmark_tells_its_meaning(content: str) -> None:
    rng = np.random.default_rng(CONTENTS.index(content))
    for style in STYLES:
        for _ in range(3):
            caption = draw_caption(recording(content, style), rng)
            assert meaning_of_caption(caption) == meaning_of_labels(content, style), caption


def test_a_caption_without_a_style_means_normal() -> None:
    caption = sample_caption("walk", "elderly", np.random.default_rng(0), plain=1.0)
    assert meaning_of_caption(caption) == "walk|normal"
    assert meaning_of_caption("A Person walks sadly.") == "walk|sad"
    assert meaning_of_caption("a person knits a scarf") is None


def test_an_unknown_style_is_refused() -> None:
    with pytest.raises(DataError, match="style"):
        meaning_of_labels("walk", "wobbly")
