"""Pieces of motions, as feature rows: windows of 60 frames around seams, random ones of real motion, cuts and crops."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from collage_motion.data.humanml import UNIT
from collage_motion.errors import DataError

from .quality import SEAM_FRAMES

Rows = NDArray[Any]


CUT_SHARE: Final = 0.75
"""Of a clip, what `cuts` leave: enough to show what is done, not whether it begins and ends where a recording does."""


def cuts(
    features: Sequence[Rows], rng: np.random.Generator, least: int, share: float = CUT_SHARE
) -> list[Rows]:
    """A random stretch of each clip (T, 263): `share` of its frames in whole units of four, `least` or more."""
    found = []
    for rows in features:
        frames = min(len(rows), max(least, int(len(rows) * share) // UNIT * UNIT))
        start = int(rng.integers(0, len(rows) - frames + 1))
        found.append(rows[start : start + frames])
    return found


def repeated(features: Sequence[Rows], frames: int, shared: int) -> list[Rows]:
    """Each clip (T, 263) over and over for `frames` frames, faded linearly into itself over `shared` of them.

    At most half a clip is shared. Rows are relative to the heading of their frame, so clips need no turning.
    """
    found = []
    for rows in features:
        fade = min(shared, len(rows) // 2)
        weights = (np.arange(1, fade + 1) / (fade + 1))[:, None]
        step = len(rows) - fade
        motion = np.zeros((frames + 2 * len(rows), rows.shape[1]))
        once = rows.astype(np.float64)
        once[:fade] *= weights
        once[step:] *= 1.0 - weights
        for start in range(0, frames + fade, step):
            motion[start : start + len(rows)] += once
        motion[:fade] = rows[:fade]  # nothing lies before the first
        found.append(motion[:frames].astype(rows.dtype))
    return found


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


class Places(NamedTuple):
    """How many seams of each motion are looked at, and of each real clip the places that stand beside them."""

    counts: list[int]
    places: list[list[int]]


def places_beside(
    lengths: Sequence[int],
    own: Sequence[Sequence[int]],
    counts: Sequence[int],
    rng: np.random.Generator,
    frames: int = SEAM_FRAMES,
) -> Places:
    """Random places of the real clips whose captions motions were made of, as many as they have seams.

    lengths: frames of each clip. own, counts: the clips of each motion, and its seams. A motion's places are spread
    over those of its clips that have `frames` frames, each getting as many as any other, up to one; within a clip
    every place with room for its window is as likely. Seams of a motion without such a clip are not looked at: there
    is nothing real beside them. So both sides have the same contents in the same shares.
    """
    looked: list[int] = []
    places: list[list[int]] = [[] for _ in lengths]
    for clips, count in zip(own, counts, strict=True):
        order = rng.permutation([k for k in clips if lengths[k] >= frames])
        looked.append(count if len(order) else 0)
        for turn in range(looked[-1]):
            clip = int(order[turn % len(order)])
            places[clip].append(int(rng.integers(lengths[clip] - frames + 1)) + frames // 2)
    return Places(looked, places)


def random_windows(
    features: Sequence[Rows], count: int, rng: np.random.Generator, frames: int = SEAM_FRAMES
) -> list[Rows]:
    """`count` random windows of `frames` rows of motions (T, 263), each motion of that length giving as many as any
    other, up to one: with the shares of `places_beside`.

    Of real motion they are what transitions are compared with (FlowMDM). Raises DataError when no motion is
    that long.
    """
    lengths = [len(rows) for rows in features]
    if max(lengths, default=0) < frames:
        raise DataError(f"no motion has {frames} frames; a window needs that many")
    return seam_windows(
        features, places_beside(lengths, [range(len(lengths))], [count], rng, frames).places, frames
    )


def random_crops(features: Sequence[Rows], lengths: Sequence[int], rng: np.random.Generator) -> list[Rows]:
    """One random crop of each motion (T, 263), of the length given for it (the long protocol of DiffCollage)."""
    crops = []
    for number, (rows, length) in enumerate(zip(features, lengths, strict=True)):
        if not 0 < length <= len(rows):
            raise DataError(f"motion {number} has {len(rows)} frames; a crop of {length} does not fit")
        start = int(rng.integers(len(rows) - length + 1))
        crops.append(rows[start : start + length])
    return crops
