"""The metrics of the published text-to-motion tables, as pure functions of embeddings.

Definitions of Guo et al. (HumanML3D) as MDM computes them. R-precision keeps duplicate captions inside a
batch; FlowMDM's variant, which drops them and rescales, is not this one. All arithmetic is float64.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist
from scipy.special import stdtrit

from collage_motion.errors import DataError

BATCH: Final = 32
"""Samples among which R-precision ranks; part of the metric, not a matter of memory."""

DIVERSITY_PAIRS: Final = 300
MULTIMODALITY_PAIRS: Final = 10

Floats = NDArray[np.float64]


class EmbeddingStatistics(NamedTuple):
    """Mean (D,) and sample covariance (D, D), divisor n - 1."""

    mean: Floats
    covariance: Floats


class Replicated(NamedTuple):
    """Mean over replications and half the width of its 95 % interval, shaped like one replication."""

    mean: Floats
    interval: Floats


def distance_matrix(text: ArrayLike, motion: ArrayLike) -> Floats:
    """Return Euclidean distances (N, M) between text (N, D), the rows, and motion (M, D), the columns."""
    rows, columns = _embeddings(text, "text", 2), _embeddings(motion, "motion", 2)
    if rows.shape[1] != columns.shape[1]:
        raise DataError(
            f"text is {rows.shape[1]} wide and motion {columns.shape[1]}; embed both with one evaluator"
        )
    # Differences, not the expanded square of the reference: that one is NaN or wrong for nearly equal
    # vectors.
    return np.asarray(cdist(rows, columns), dtype=np.float64)


def top_k_hits(distances: ArrayLike, k: int = 3) -> NDArray[np.int64]:
    """Count, for 1 to k (k,), the rows of a square distance matrix (B, B) whose own column is among the
    nearest.

    Of equal distances the one that comes first is nearer.
    """
    matrix = _embeddings(distances, "distances", 2)
    n = len(matrix)
    if matrix.shape != (n, n) or not 1 <= k <= n:
        raise DataError(
            f"distances {matrix.shape} with k = {k}; expected a square matrix with at least k rows"
        )
    nearest = np.argsort(matrix, axis=1, kind="stable")[:, :k]
    return np.cumsum(np.sum(nearest == np.arange(n)[:, None], axis=0)).astype(np.int64)


def r_precision(text: ArrayLike, motion: ArrayLike, k: int = 3, batch: int = BATCH) -> Floats:
    """Return the share of texts (N, D) whose motion (N, D) is among the 1 to k nearest (k,) of its batch.

    Rows are taken in the order given (shuffle before), an incomplete last batch is dropped. Raises DataError
    for fewer rows than one batch.
    """
    texts, motions = _aligned(text, motion)
    batches = len(texts) // batch
    if not batches:
        raise DataError(
            f"R-precision got {len(texts)} samples; it ranks in batches of {batch}, give at least one batch"
        )
    hits = np.zeros(k, dtype=np.int64)
    for start in range(0, batches * batch, batch):
        rows = slice(start, start + batch)
        hits += top_k_hits(distance_matrix(texts[rows], motions[rows]), k)
    return hits / (batches * batch)


def multimodal_distance(text: ArrayLike, motion: ArrayLike) -> float:
    """Return the mean distance ("matching score") between text (N, D) and its own motion (N, D).

    All rows count; for figures beside R-precision pass the rows of its complete batches.
    """
    texts, motions = _aligned(text, motion)
    return float(np.mean(np.linalg.norm(texts - motions, axis=1)))


def embedding_statistics(embeddings: ArrayLike) -> EmbeddingStatistics:
    """Return the mean (D,) and sample covariance (D, D) of embeddings (N, D); raises DataError for N < 2."""
    array = _embeddings(embeddings, "embeddings", 2)
    if len(array) < 2:
        raise DataError(f"FID got {len(array)} embeddings on one side; a covariance needs at least 2")
    mean = np.mean(array, axis=0)
    centred = array - mean
    return EmbeddingStatistics(mean, centred.T @ centred / (len(array) - 1))


def frechet_distance(real: EmbeddingStatistics, generated: EmbeddingStatistics) -> float:
    """Return |m1 - m2|² + tr(C1) + tr(C2) - 2 tr((C1 C2)^½) of two normal distributions.

    The trace of the root is the sum of the roots of the eigenvalues of C1^½ C2 C1^½, which is symmetric: the
    same number as a general matrix root, without its trouble with singular covariances (few samples).
    """
    if real.mean.shape != generated.mean.shape:
        raise DataError(
            f"FID of widths {real.mean.shape} and {generated.mean.shape}; embed both with one evaluator"
        )
    values, vectors = np.linalg.eigh(real.covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    cross = np.linalg.eigvalsh(root @ generated.covariance @ root)
    shift = real.mean - generated.mean
    traces = np.trace(real.covariance) + np.trace(generated.covariance)
    return float(shift @ shift + traces - 2.0 * np.sum(np.sqrt(np.maximum(cross, 0.0))))


def fid(real: ArrayLike, generated: ArrayLike) -> float:
    """Return the Fréchet distance of motion embeddings, real (N, D) against generated (M, D)."""
    return frechet_distance(embedding_statistics(real), embedding_statistics(generated))


def draw_pairs(n: int, pairs: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw two independent sets (pairs,) of indices below n, each without repetition; an index may meet
    itself.

    Raises DataError unless n is larger than `pairs`, as the reference demands.
    """
    if not 0 < pairs < n:
        raise DataError(f"{pairs} pairs asked of {n} samples; the metric needs more samples than pairs")
    first, second = (rng.choice(n, pairs, replace=False) for _ in range(2))
    return first.astype(np.int64), second.astype(np.int64)


def diversity(embeddings: ArrayLike, first: ArrayLike, second: ArrayLike) -> float:
    """Return the mean distance of embeddings (N, D) paired by indices `first` (P,) and `second` (P,)."""
    array = _embeddings(embeddings, "embeddings", 2)
    left, right = _indices(first, second, len(array))
    return float(np.mean(np.linalg.norm(array[left] - array[right], axis=1)))


def expected_diversity(embeddings: ArrayLike) -> float:
    """Return what `diversity` is on average over all draws of pairs (`draw_pairs`), without drawing any.

    Both sets of indices are drawn independently, so every pair of embeddings (N, D), an embedding with itself included,
    comes equally often: the mean of all N² distances.
    """
    array = _embeddings(embeddings, "embeddings", 2)
    blocks = (array[start : start + 512] for start in range(0, len(array), 512))
    return float(sum(cdist(block, array).sum() for block in blocks) / len(array) ** 2)


def multimodality(embeddings: ArrayLike, first: ArrayLike, second: ArrayLike) -> float:
    """Return the mean distance between repeats of one text.

    `embeddings` (texts, repeats, D); `first`, `second` (P,) are repeats, the same for all texts.
    """
    array = _embeddings(embeddings, "embeddings", 3)
    left, right = _indices(first, second, array.shape[1])
    return float(np.mean(np.linalg.norm(array[:, left] - array[:, right], axis=2)))


def replicate(values: ArrayLike) -> Replicated:
    """Return mean and 1.96 · std / √R over R replications (R, ...), std being the population's (divisor
    R)."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 0 or len(array) < 2:
        raise DataError(
            f"an interval over replications got shape {array.shape}; it needs two along the first axis"
        )
    return Replicated(np.mean(array, axis=0), 1.96 * np.std(array, axis=0) / np.sqrt(len(array)))


def half_width(values: ArrayLike) -> float:
    """Return half the width of the 95 % interval of the mean of R values (R,): t(R - 1) · std / √R, divisor R - 1.

    Unlike 1.96 with the population's deviation it keeps its word for few values. Raises DataError for fewer than two.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) < 2:
        raise DataError(f"an interval got values of shape {array.shape}; it needs a row of at least two")
    return float(stdtrit(len(array) - 1, 0.975) * np.std(array, ddof=1) / np.sqrt(len(array)))


def _embeddings(values: ArrayLike, name: str, n_axes: int) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != n_axes or 0 in array.shape:
        raise DataError(f"{name} of shape {array.shape}; expected {n_axes} axes, none of them empty")
    if not np.all(np.isfinite(array)):
        place = [int(index) for index in np.argwhere(~np.isfinite(array))[0]]
        raise DataError(f"{name} is not finite at {place}; a metric of it would mean nothing")
    return array


def _aligned(text: ArrayLike, motion: ArrayLike) -> tuple[Floats, Floats]:
    texts, motions = _embeddings(text, "text", 2), _embeddings(motion, "motion", 2)
    if texts.shape != motions.shape:
        raise DataError(f"text {texts.shape} and motion {motions.shape}; expected one row of each per sample")
    return texts, motions


def _indices(first: ArrayLike, second: ArrayLike, n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    left, right = np.asarray(first), np.asarray(second)
    for array in (left, right):
        if array.ndim != 1 or array.shape != left.shape or array.dtype.kind not in "iu" or not len(array):
            raise DataError(
                f"pairs {left.dtype} {left.shape} and {right.dtype} {right.shape}; expected (P,) integers"
            )
        if array.min() < 0 or array.max() >= n:
            raise DataError(
                f"pair index {array.min()} to {array.max()}; there are {n} samples, numbered from 0"
            )
    return left.astype(np.int64), right.astype(np.int64)
