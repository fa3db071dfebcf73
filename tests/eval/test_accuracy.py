"""Content and style accuracy with judges whose answers are known."""

from collections.abc import Sequence

import numpy as np
import pytest

from collage_motion.errors import DataError
from collage_motion.eval.accuracy import STYLES_KNOWN, content_accuracy, name_styles, style_accuracy
from collage_motion.eval.meaning import meaning_of_caption, style_of


class StyleTeller:
    """Embeds captions at the number of their style, motions at their first feature."""

    def embed_motions(self, features: Sequence[np.ndarray]) -> np.ndarray:
        return np.array([[rows[0, 0]] for rows in features])

    def embed_captions(self, captions: Sequence[str]) -> np.ndarray:
        return np.array([[STYLES_KNOWN.index(style_of(meaning_of_caption(c) or ""))] for c in captions])


class ContentTeller:
    """Knows three contents and answers by the first coordinate."""

    contents = ("walk", "run", "dash")

    def classify(self, motions: Sequence[np.ndarray]) -> list[str]:
        return [self.contents[int(joints[0, 0, 0])] for joints in motions]


def motion(value: float) -> np.ndarray:
    return np.full((20, 263), value)


def test_the_style_is_that_of_the_nearest_captions() -> None:
    motions = [motion(0), motion(2.2), motion(5.9)]
    contents = ["walk", "run", "wave-left-hand"]
    assert name_styles(StyleTeller(), motions, contents) == ["normal", "elderly", "youthful"]
    result = style_accuracy(StyleTeller(), motions, contents, ["normal", "active", "youthful"])
    assert result.exact == pytest.approx(2 / 3)
    assert result.judged == 3


def test_motions_without_content_or_with_a_rare_style_are_left_out() -> None:
    result = style_accuracy(
        StyleTeller(), [motion(0)] * 3, ["", "walk", "walk"], ["normal", "giant", "normal"]
    )
    assert (result.exact, result.judged) == (1.0, 1)
    with pytest.raises(DataError, match="no motion"):
        style_accuracy(StyleTeller(), [motion(0)], [""], ["normal"])
    with pytest.raises(DataError, match="one of each"):
        style_accuracy(StyleTeller(), [motion(0)], [], ["normal"])


def test_content_accuracy_counts_families_apart_and_leaves_unknown_contents_out() -> None:
    judge = ContentTeller()
    motions = [np.full((10, 22, 3), k) for k in (0, 1, 2, 2)]
    result = content_accuracy(judge, motions, ["walk", "walk", "run", "swim"])  # type: ignore[arg-type]
    assert result == (pytest.approx(1 / 3), pytest.approx(2 / 3), 3)
    with pytest.raises(DataError, match="knows"):
        content_accuracy(judge, motions[:1], ["swim"])  # type: ignore[arg-type]
    with pytest.raises(DataError, match="one content a motion"):
        content_accuracy(judge, motions, ["walk"])  # type: ignore[arg-type]
