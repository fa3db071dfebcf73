"""Content and style accuracy: whether motions show the action and the manner that were asked for.

The content is named by a network trained for it alone (`classifier`), the style by the evaluator: of the
captions that tell the same content in every style, the nearest ones name it. So style needs no network of its
own, and an evaluator's figure on real motion says how far it can be trusted.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from collage_motion.data.captions import sample_caption
from collage_motion.errors import DataError

from .classifier import ContentClassifier, same_family
from .own_evaluator import MotionTextEvaluator

STYLES_KNOWN: Final = ("normal", "active", "elderly", "exhausted", "feminine", "masculine", "youthful")
"""The styles with many clips of every content; the others have one or two each."""

PARAPHRASES: Final = 8
"""Captions of a content and style whose mean stands for them."""


class Accuracy(NamedTuple):
    """Share of right answers among `judged` motions; `family` lets contents of one family pass for each other."""

    exact: float
    family: float
    judged: int


def content_accuracy(
    classifier: ContentClassifier, joints: Sequence[NDArray[Any]], contents: Sequence[str]
) -> Accuracy:
    """How often the classifier names the content that each motion (T, 22, 3) was asked for.

    Contents that the classifier does not know are left out.

    Raises:
        DataError: different numbers of motions and contents, or none that is known.
    """
    if len(joints) != len(contents):
        raise DataError(f"{len(joints)} motions with {len(contents)} contents; give one content a motion")
    known = [(motion, c) for motion, c in zip(joints, contents, strict=True) if c in classifier.contents]
    if not known:
        raise DataError("no motion has a content that the classifier knows")
    answers = classifier.classify([motion for motion, _ in known])
    pairs = [(content, answer) for (_, content), answer in zip(known, answers, strict=True)]
    exact = float(np.mean([content == answer for content, answer in pairs]))
    return Accuracy(exact, float(np.mean([same_family(*pair) for pair in pairs])), len(pairs))


def name_styles(
    evaluator: MotionTextEvaluator,
    features: Sequence[NDArray[Any]],
    contents: Sequence[str],
    styles: Sequence[str] = STYLES_KNOWN,
) -> list[str]:
    """The style of each motion of raw features (F, 263), by the captions of its content that are nearest."""
    places = {
        content: np.stack([_place(evaluator, content, style) for style in styles])
        for content in sorted(set(contents))
    }
    motions = evaluator.embed_motions(features)
    nearest = [
        int(np.argmin(np.linalg.norm(places[content] - motion, axis=1)))
        for motion, content in zip(motions, contents, strict=True)
    ]
    return [styles[k] for k in nearest]


def style_accuracy(
    evaluator: MotionTextEvaluator,
    features: Sequence[NDArray[Any]],
    contents: Sequence[str],
    wanted: Sequence[str],
    styles: Sequence[str] = STYLES_KNOWN,
) -> Accuracy:
    """How often the style named (`name_styles`) is the one that was asked for; chance is one in
    `len(styles)`.

    Motions without a content or with a style that is not among `styles` are left out. `family` is the same as
    `exact`.

    Raises:
        DataError: lists of different lengths, or no motion left.
    """
    if not len(features) == len(contents) == len(wanted):
        raise DataError(
            f"{len(features)} motions, {len(contents)} contents, {len(wanted)} styles; give one of each a motion"
        )
    rows = [k for k in range(len(features)) if contents[k] and wanted[k] in styles]
    if not rows:
        raise DataError(f"no motion has a content and one of the styles {', '.join(styles)}")
    named = name_styles(evaluator, [features[k] for k in rows], [contents[k] for k in rows], styles)
    share = float(np.mean([wanted[k] == name for k, name in zip(rows, named, strict=True)]))
    return Accuracy(share, share, len(rows))


def _place(evaluator: MotionTextEvaluator, content: str, style: str) -> NDArray[Any]:
    """Mean embedding of the captions of a content and style, the same ones each time."""
    rng = np.random.default_rng(len(content) + 1000 * len(style))
    captions = [sample_caption(content, style, rng, plain=0.0) for _ in range(PARAPHRASES)]
    return np.asarray(evaluator.embed_captions(captions).mean(axis=0))
