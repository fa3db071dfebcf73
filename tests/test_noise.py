"""Noise belongs to a frame of the canvas: chunks, batches and order of drawing change nothing."""

import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from collage_motion.errors import CollageError
from collage_motion.noise import canvas_noise, frame_noise


@given(st.integers(0, 2**64 - 1), st.integers(1, 9), st.integers(0, 40), st.integers(0, 40))
@settings(deadline=None)
def test_any_chunk_of_frames_is_cut_from_the_same_canvas(
    seed: int, features: int, first: int, size: int
) -> None:
    whole = frame_noise(seed, first + size + 3, features, stream=2)
    chunk = frame_noise(seed, size, features, stream=2, start=first)
    np.testing.assert_array_equal(chunk, whole[first : first + size])


def test_a_long_canvas_takes_little_more_memory_than_its_noise() -> None:
    tracemalloc.start()
    noise = frame_noise(5, 20_000, 40)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2 * noise.nbytes
    np.testing.assert_array_equal(noise[1020:1030], frame_noise(5, 10, 40, start=1020))  # across two chunks


def test_a_sample_is_the_same_alone_and_in_any_batch() -> None:
    batch = canvas_noise([7, 0, 7], 20, 263, stream=4)
    np.testing.assert_array_equal(batch[0], batch[2])
    np.testing.assert_array_equal(batch[1], frame_noise(0, 20, 263, stream=4))
    assert batch.shape == (3, 20, 263) and batch.dtype == np.float32


def test_values_stay_what_they_were() -> None:
    # Pinned: a seed must give the same motion with later versions of this package and of NumPy.
    expected = [
        [-1.7304534912109375, 1.0140783786773682, 1.3013542890548706],
        [0.8931872844696045, -0.14283308386802673, -0.34178033471107483],
    ]
    np.testing.assert_allclose(frame_noise(1234, 2, 3, stream=5, start=100000), expected, rtol=1e-6)


def test_noise_is_standard_normal() -> None:
    noise = frame_noise(3, 1500, 263).astype(np.float64)
    assert stats.kstest(noise.ravel(), "norm").pvalue > 1e-3
    count = noise.size
    assert abs(noise.mean()) < 4 / np.sqrt(count)
    assert abs(noise.var() - 1) < 4 * np.sqrt(2 / count)
    assert abs((noise**3).mean()) < 4 * np.sqrt(15 / count)
    assert abs((noise**4).mean() - 3) < 4 * np.sqrt(96 / count)
    assert np.isfinite(noise).all()


def test_frames_and_features_are_uncorrelated() -> None:
    noise = frame_noise(11, 4000, 40).astype(np.float64)
    count = noise.shape[0]
    features = np.corrcoef(noise.T) - np.eye(40)
    assert np.abs(features).max() < 5.5 / np.sqrt(count)
    neighbours = (noise[1:] * noise[:-1]).mean()
    assert abs(neighbours) < 4 / np.sqrt(noise.size)


@pytest.mark.parametrize(
    ("first", "second"),
    [((0, 0), (1, 0)), ((0, 0), (0, 1)), ((0, 1), (1, 0)), ((5, 6), (6, 5)), ((2**63, 0), (2**63 + 1, 0))],
)
def test_seeds_and_streams_are_independent(first: tuple[int, int], second: tuple[int, int]) -> None:
    draws = [
        frame_noise(seed, 400, 263, stream=stream).astype(np.float64) for seed, stream in (first, second)
    ]
    correlation = np.corrcoef(draws[0].ravel(), draws[1].ravel())[0, 1]
    assert abs(correlation) < 4 / np.sqrt(draws[0].size)
    assert abs((draws[0][1:] * draws[1][:-1]).mean()) < 4 / np.sqrt(draws[0].size)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "seed: got -1; allowed: whole numbers from 0 to 2^64 - 1"),
        ({"seed": 2**64}, "seed: got 18446744073709551616; allowed"),
        ({"seed": 1.5}, "seed: got 1.5; allowed: whole numbers"),
        ({"seed": 0, "stream": -2}, "stream: got -2; allowed"),
        ({"seed": 0, "start": -1}, "start frame: got -1; allowed"),
    ],
)
def test_numbers_outside_64_bits_are_refused(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(CollageError, match=re.escape(message)):
        frame_noise(n_frames=1, n_features=1, **arguments)
