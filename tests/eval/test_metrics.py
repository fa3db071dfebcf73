"""The metrics equal the reference's, and obey what their definitions promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collage_motion.errors import DataError
from collage_motion.eval import metrics


def _checks(vectors):
    """Map each array that the file is known to hold to (computed value, tolerance), None for inputs."""
    text, motion = vectors["rp/text"], vectors["rp/motion"]
    batch, k = text.shape[1], vectors["rp/topk_counts_per_batch"].shape[1]
    flat_text, flat_motion = (array.reshape(-1, array.shape[-1]) for array in (text, motion))
    distances = np.stack([metrics.distance_matrix(*pair) for pair in zip(text, motion, strict=True)])
    real, generated = (metrics.embedding_statistics(vectors[f"fid/{name}"]) for name in ("real", "gen"))
    replicated = metrics.replicate(vectors["ci/values"])
    div, mm = (
        [vectors[f"{name}/{part}"] for part in ("embeddings", "first", "second")] for name in ("div", "mm")
    )
    return {
        "rp/text": None,
        "rp/motion": None,
        "rp/distance_matrix": (distances, 1e-4),
        "rp/topk_counts_per_batch": (np.stack([metrics.top_k_hits(matrix, k) for matrix in distances]), 0),
        "rp/r_precision": (metrics.r_precision(flat_text, flat_motion, k, batch), 0),
        "rp/matching_score": (metrics.multimodal_distance(flat_text, flat_motion), 1e-5),
        "fid/real": None,
        "fid/gen": None,
        "fid/mu_real": (real.mean, 1e-5),
        "fid/mu_gen": (generated.mean, 1e-5),
        "fid/cov_real": (real.covariance, 1e-6),
        "fid/cov_gen": (generated.covariance, 1e-6),
        "fid/value": (metrics.frechet_distance(real, generated), 1e-4),
        "fid/self": (metrics.fid(vectors["fid/real"], vectors["fid/real"]), 1e-4),
        "fid_small/real": None,
        "fid_small/gen": None,
        "fid_small/value": (metrics.fid(vectors["fid_small/real"], vectors["fid_small/gen"]), 1e-3),
        "div/embeddings": None,
        "div/first": None,
        "div/second": None,
        "div/value": (metrics.diversity(*div), 1e-5),
        "mm/embeddings": None,
        "mm/first": None,
        "mm/second": None,
        "mm/value": (metrics.multimodality(*mm), 1e-5),
        "ci/values": None,
        "ci/mean": (replicated.mean, 1e-9),
        "ci/interval": (replicated.interval, 1e-9),
    }


@pytest.mark.golden
def test_every_array_of_the_reference_is_reproduced(golden):
    with np.load(golden / "metrics.npz") as archive:
        vectors = dict(archive)
    checks = _checks(vectors)
    assert set(vectors) - set(checks) == set(), "arrays this test does not know"
    for name, check in checks.items():
        if check is not None:
            value, tolerance = check
            assert np.shape(value) == vectors[name].shape, name
            np.testing.assert_allclose(value, vectors[name], rtol=0, atol=tolerance, err_msg=name)


def test_r_precision_of_perfect_embeddings_is_one_and_an_incomplete_batch_is_dropped():
    embeddings = np.random.default_rng(0).normal(size=(70, 5))
    shuffled = np.concatenate([embeddings[:64], embeddings[64:][::-1] + 9])
    np.testing.assert_array_equal(metrics.r_precision(embeddings, shuffled), [1, 1, 1])


def test_r_precision_of_unrelated_embeddings_is_chance():
    text, motion = np.random.default_rng(1).normal(size=(2, 32 * 200, 6))
    np.testing.assert_allclose(metrics.r_precision(text, motion), np.array([1, 2, 3]) / 32, atol=0.01)


def test_of_equal_distances_the_first_counts_as_nearer():
    np.testing.assert_array_equal(metrics.top_k_hits(np.zeros((4, 4)), 3), [1, 2, 3])


def test_distances_of_nearly_equal_vectors_are_not_nan():
    vector = np.random.default_rng(2).normal(size=(1, 512)).astype(np.float32) * 100
    both = np.concatenate([vector, vector * np.float32(1 + 1e-7)])
    matrix = metrics.distance_matrix(both, both)
    assert np.all(np.isfinite(matrix))
    assert matrix[0, 0] == 0
    np.testing.assert_allclose(matrix[0, 1], np.linalg.norm(both[0].astype(float) - both[1]), rtol=1e-12)


def test_fid_of_axis_aligned_normals_is_the_closed_form():
    """For diagonal covariances the distance is |m1 - m2|² + Σ (s1 - s2)²."""
    s1, s2, shift = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 0.5]), np.array([0.0, 1.0, -2.0])
    one = metrics.EmbeddingStatistics(np.zeros(3), np.diag(s1**2))
    two = metrics.EmbeddingStatistics(shift, np.diag(s2**2))
    np.testing.assert_allclose(
        metrics.frechet_distance(one, two), shift @ shift + np.sum((s1 - s2) ** 2), rtol=1e-12
    )


@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.integers(2, 40))
def test_fid_is_symmetric_not_negative_and_blind_to_rotation(seed, n, m):
    rng = np.random.default_rng(seed)
    real, generated = rng.normal(size=(n, 8)), rng.normal(1.0, 2.0, size=(m, 8))
    value = metrics.fid(real, generated)
    turn = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    assert value >= 0
    np.testing.assert_allclose(metrics.fid(generated, real), value, atol=1e-5)
    np.testing.assert_allclose(metrics.fid(real @ turn, generated @ turn), value, atol=1e-5)


def test_drawn_pairs_do_not_repeat_an_index_and_follow_the_seed():
    first, second = metrics.draw_pairs(50, 30, np.random.default_rng(3))
    assert len(set(first)) == len(set(second)) == 30
    assert min(*first, *second) >= 0 and max(*first, *second) < 50
    again = metrics.draw_pairs(50, 30, np.random.default_rng(3))
    np.testing.assert_array_equal([first, second], again)
    assert not np.array_equal(first, second)


def test_diversity_and_multimodality_are_mean_distances_of_the_given_pairs():
    points = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])
    assert metrics.diversity(points, [0, 2], [1, 2]) == 2.5
    assert metrics.multimodality(np.stack([points, 2 * points]), [0], [1]) == 7.5


def test_the_interval_uses_the_population_deviation():
    mean, interval = metrics.replicate([[1.0, 5.0], [3.0, 5.0]])
    np.testing.assert_allclose(mean, [2.0, 5.0])
    np.testing.assert_allclose(interval, [1.96 / np.sqrt(2), 0.0])


def test_expected_diversity_is_what_draws_of_pairs_come_to_and_does_not_scatter():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(601, 5)) * [4, 2, 1, 1, 1]
    draws = [metrics.diversity(points, *metrics.draw_pairs(601, 300, rng)) for _ in range(3000)]
    assert np.std(draws) > 0.1  # what a single draw is off by
    error = np.std(draws) / np.sqrt(len(draws))
    assert abs(metrics.expected_diversity(points) - np.mean(draws)) < 4 * error
    assert metrics.expected_diversity([[0.0, 0.0], [3.0, 4.0]]) == 2.5  # half of the pairs are of one point
    same = metrics.expected_diversity(np.random.default_rng(1).permutation(points))
    assert same == pytest.approx(metrics.expected_diversity(points), rel=1e-12)


@pytest.mark.parametrize("count", [2, 3, 5, 20])
def test_student_intervals_hold_the_mean_in_95_of_100_runs_of_any_length(count):
    values = np.random.default_rng(count).normal(3.0, 2.0, size=(20_000, count))
    widths = [metrics.half_width(row) for row in values[:4000]]
    assert 0.935 < np.mean(np.abs(values[:4000].mean(1) - 3.0) <= widths) < 0.965


def test_the_published_interval_of_five_holds_the_mean_in_85():
    values = np.random.default_rng(5).normal(size=(5, 20_000))
    mean, interval = metrics.replicate(values)
    assert 0.83 < np.mean(np.abs(mean) <= interval) < 0.86
    # t(4) at 97.5 % is 2.776 in every table.
    assert metrics.half_width([1, 2, 3, 4, 5]) == pytest.approx(2.7764451 * np.sqrt(2.5 / 5))


_ROWS = np.ones((40, 3))
_BROKEN = np.where(np.arange(120).reshape(40, 3) == 7, np.nan, 1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.distance_matrix(_ROWS, _ROWS[:, :2]), "text is 3 wide and motion 2"),
        (lambda: metrics.distance_matrix(_ROWS, _BROKEN), r"motion is not finite at \[2, 1\]"),
        (lambda: metrics.distance_matrix(_ROWS, _ROWS[0]), r"motion of shape \(3,\); expected 2 axes"),
        (lambda: metrics.top_k_hits(_ROWS), "expected a square matrix"),
        (lambda: metrics.top_k_hits(np.eye(2), 3), "k = 3; expected a square matrix with at least k rows"),
        (lambda: metrics.r_precision(_ROWS[:31], _ROWS[:31]), "got 31 samples; it ranks in batches of 32"),
        (lambda: metrics.r_precision(_ROWS, _ROWS[:39]), "expected one row of each per sample"),
        (lambda: metrics.multimodal_distance(_ROWS[:0], _ROWS[:0]), "none of them empty"),
        (lambda: metrics.fid(_ROWS[:1], _ROWS), "got 1 embeddings on one side"),
        (lambda: metrics.fid(_ROWS, _ROWS[:, :2]), "embed both with one evaluator"),
        (lambda: metrics.draw_pairs(300, 300, np.random.default_rng(0)), "300 pairs asked of 300 samples"),
        (lambda: metrics.diversity(_ROWS, [0], [40]), "pair index 40 to 40; there are 40 samples"),
        (lambda: metrics.diversity(_ROWS, [-1], [0]), "pair index -1 to -1"),
        (lambda: metrics.diversity(_ROWS, [0], [0.5]), r"expected \(P,\) integers"),
        (lambda: metrics.multimodality(_ROWS, [0], [1]), "expected 3 axes"),
        (lambda: metrics.replicate([1.0]), "needs two along the first axis"),
        (lambda: metrics.half_width([1.0]), r"values of shape \(1,\); it needs a row of at least two"),
        (lambda: metrics.expected_diversity(_BROKEN), r"embeddings is not finite at \[2, 1\]"),
    ],
)
def test_input_that_cannot_be_measured_is_one_clear_line(call, message):
    with pytest.raises(DataError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
