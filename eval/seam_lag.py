"""Seam lag: how long after a seam a motion begins to look like its new prompt."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from collage_motion.errors import DataError

from .own_evaluator import MotionTextEvaluator

WINDOW: Final = 40
"""Frames that the evaluator sees of the motion at once: two seconds, long enough to know an action by."""

REACH: Final = 40
"""Windows are centred on the frames up to this far before and behind the seam."""

STRIDE: Final = 4


class SeamLag(NamedTuple):
    """Lag of one seam in frames, negative where the new prompt begins early.

    agreement: share of the windows that are nearer to the old prompt before the change and to the new one
    after it; near one half the motion follows neither, and the lag means nothing.
    """

    motion: int
    seam: int
    frames: int
    agreement: float


def change_point(newer: ArrayLike) -> tuple[int, float]:
    """The best place (0 to K) to cut answers (K,) into "old" before and "new" after, and its share of right
    ones.

    `newer`: whether the new prompt is the nearer one. Of equal cuts the one nearest to the middle counts.
    """
    answers = np.asarray(newer, dtype=bool)
    if answers.ndim != 1 or not len(answers):
        raise DataError(f"answers of shape {answers.shape}; expected (windows,), at least one")
    old_before = np.concatenate([[0], np.cumsum(~answers)])
    new_after = np.concatenate([np.cumsum(answers[::-1])[::-1], [0]])
    right = old_before + new_after
    best = np.flatnonzero(right == right.max())
    place = int(best[np.argmin(np.abs(best - len(answers) / 2))])
    return place, float(right[place]) / len(answers)


def seam_lags(
    evaluator: MotionTextEvaluator,
    features: Sequence[NDArray[Any]],
    prompts: Sequence[Sequence[str]],
    seams: Sequence[Sequence[int]],
    *,
    window: int = WINDOW,
    reach: int = REACH,
    stride: int = STRIDE,
) -> list[SeamLag]:
    """The lag of every seam of motions of raw features (T, 263) whose windows fit and whose two prompts
    differ.

    Our own definition. Windows of `window` frames slide over the seam, centred `reach` frames before it to as
    many behind it; for each the evaluator says which of the two prompts is nearer, and the lag is the place
    where the answers change (`change_point`) less the seam. Cutting one real motion hard into another gives
    about 0; -`reach` or `reach` is the answer where the motion follows only one of the two. `prompts` has one
    more entry a motion than `seams`.

    Raises:
        DataError: prompts and seams do not fit together.
    """
    jobs: list[tuple[int, int, str, str]] = []
    crops: list[NDArray[Any]] = []
    offsets = np.arange(-reach, reach + 1, stride)
    for number, (rows, texts, places) in enumerate(zip(features, prompts, seams, strict=True)):
        if len(texts) != len(places) + 1:
            raise DataError(
                f"motion {number}: {len(texts)} prompts and {len(places)} seams; there is one prompt more"
            )
        for place, old, new in zip(places, texts[:-1], texts[1:], strict=True):
            starts = int(place) + offsets - window // 2
            if old == new or starts[0] < 0 or starts[-1] + window > len(rows):
                continue
            jobs.append((number, int(place), old, new))
            crops += [rows[start : start + window] for start in starts]
    if not jobs:
        return []
    motions = evaluator.embed_motions(crops).reshape(len(jobs), len(offsets), -1)
    texts_seen = sorted({text for job in jobs for text in job[2:]})
    embedded = dict(zip(texts_seen, evaluator.embed_captions(texts_seen), strict=True))
    lags = []
    for (number, place, old, new), rows in zip(jobs, motions, strict=True):
        to_old, to_new = (np.linalg.norm(rows - embedded[text], axis=1) for text in (old, new))
        cut, agreement = change_point(to_new < to_old)
        # A cut between two windows lies half a stride before the first new one.
        frames = (
            offsets[0] + cut * stride - stride / 2 if 0 < cut < len(offsets) else (-reach, reach)[cut > 0]
        )
        lags.append(SeamLag(number, place, int(frames), agreement))
    return lags
