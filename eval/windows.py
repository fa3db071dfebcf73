"""Windows of 60 frames around seams and random ones of real motion, as feature rows: transitions are scored on them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collage_motion.errors import DataError

from .quality import SEAM_FRAMES

Rows = NDArray[Any]


def seam_windows(
    features: Sequence[Rows], seams: Sequence[Sequence[int]], frames: int = SEAM_FRAMES
) -> list[Rows]:
    """The windows of `frames` rows centred on every seam of motions (T, 263), in order (FlowMDM's
    transitions).

    Rows are relative to the heading of their frame, so a window of a motion is a motion. `seams`: the first
    frame behind each seam, a list a motion.

    Raises:
        DataError: lists of different lengths, or a window that leaves its motion.
    """
    if len(features) != len(seams):
        raise DataError(f"{len(features)} motions with {len(seams)} lists of seams; give one list a motion")
    windows = []
    for number, (rows, places) in enumerate(zip(features, seams, strict=True)):
        for seam in places:
            start = int(seam) - frames // 2
            if start < 0 or start + frames > len(rows):
                raise DataError(
                    f"motion {number}: the window of {frames} frames around the seam at frame {seam} leaves "
                    f"the motion of {len(rows)} frames; choose segments of at least half the window"
                )
            windows.append(rows[start : start + frames])
    return windows


def random_windows(
    features: Sequence[Rows], count: int, rng: np.random.Generator, frames: int = SEAM_FRAMES
) -> list[Rows]:
    """`count` random windows of `frames` rows of motions (T, 263), every possible one being as likely.

    Of real motion they are what transitions are compared with (FlowMDM). Raises DataError when no motion is
    that long.
    """
    room = np.array([max(0, len(rows) - frames + 1) for rows in features], dtype=np.float64)
    if not room.sum():
        raise DataError(f"no motion has {frames} frames; a window needs that many")
    chosen = rng.choice(len(features), count, p=room / room.sum())
    starts = [int(rng.integers(int(room[k]))) for k in chosen]
    return [features[k][s : s + frames] for k, s in zip(chosen, starts, strict=True)]


def random_crops(features: Sequence[Rows], lengths: Sequence[int], rng: np.random.Generator) -> list[Rows]:
    """One random crop of each motion (T, 263), of the length given for it (the long protocol of DiffCollage)."""
    crops = []
    for number, (rows, length) in enumerate(zip(features, lengths, strict=True)):
        if not 0 < length <= len(rows):
            raise DataError(f"motion {number} has {len(rows)} frames; a crop of {length} does not fit")
        start = int(rng.integers(len(rows) - length + 1))
        crops.append(rows[start : start + length])
    return crops
