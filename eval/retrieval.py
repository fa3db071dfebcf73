"""R-precision among meanings: captions and motions of one meaning stand for each other."""

from collections import Counter
from collections.abc import Sequence
from math import comb

import numpy as np
from numpy.typing import ArrayLike, NDArray

from collage_motion.errors import DataError

from .metrics import BATCH, distance_matrix

Floats = NDArray[np.float64]


def meaning_ranks(
    text: ArrayLike, motion: ArrayLike, captions: Sequence[str], motions: Sequence[str]
) -> NDArray[np.int64]:
    """How many motions of other meanings are as near to each text as the nearest one of its own: (N,).

    `text` (N, D) with the meanings `captions` (N,), `motion` (M, D) with the meanings `motions` (M,). Motions
    of the caption's own meaning do not count against each other. A motion of another meaning at the same
    distance comes first: an evaluator that cannot tell motions apart gets nothing for it.

    Raises:
        DataError: shapes and meanings do not fit, or a caption has no motion of its meaning.
    """
    distances = distance_matrix(text, motion)
    if distances.shape != (len(captions), len(motions)):
        raise DataError(
            f"distances {distances.shape} with {len(captions)} meanings of captions and {len(motions)} of motions; "
            "give one meaning a row"
        )
    own = np.array([[a == b for b in motions] for a in captions])
    if not own.any(axis=1).all():
        lost = captions[int(np.argmin(own.any(axis=1)))]
        raise DataError(f"no motion means '{lost}'; R-precision needs one for every caption")
    nearest = np.where(own, distances, np.inf).min(axis=1)
    return np.asarray(np.sum(~own & (distances <= nearest[:, None]), axis=1), dtype=np.int64)


def r_precision_of_meanings(
    text: ArrayLike, motion: ArrayLike, meanings: Sequence[str], k: int = 3, batch: int = BATCH
) -> Floats:
    """Share of texts (N, D) for which a motion (N, D) of their meaning is among the 1 to k nearest (k,).

    Ranked in batches of 32 in the order given, an incomplete last one is dropped (Guo et al., see
    `metrics.r_precision`, which it equals where the 32 meanings of each batch differ). Ranks:
    `meaning_ranks`.
    """
    texts, motions = np.asarray(text), np.asarray(motion)
    batches = len(texts) // batch
    if not batches or not 1 <= k <= batch:
        raise DataError(f"R-precision got {len(texts)} samples and k = {k}; it ranks in batches of {batch}")
    ranks = []
    for start in range(0, batches * batch, batch):
        rows = slice(start, start + batch)
        ranks.append(meaning_ranks(texts[rows], motions[rows], meanings[rows], meanings[rows]))
    return np.asarray(np.mean(np.concatenate(ranks)[:, None] < np.arange(1, k + 1), axis=0))


def chance_r_precision(meanings: Sequence[str], k: int = 3, batch: int = BATCH) -> Floats:
    """The R-precision (k,) of ranks drawn at random, for the meanings of these batches.

    k / 32 where all differ; a caption with m right motions of 32 misses with C(32 - m, k) / C(32, k).
    """
    batches = len(meanings) // batch
    if not batches:
        raise DataError(f"{len(meanings)} meanings have no batch of {batch}; give at least one batch")
    hits = []
    for start in range(0, batches * batch, batch):
        counts = Counter(meanings[start : start + batch])
        for m in counts.values():
            miss = [comb(batch - m, tries) / comb(batch, tries) for tries in range(1, k + 1)]
            hits += [1.0 - np.array(miss)] * m
    return np.asarray(np.mean(hits, axis=0))
