"""Seeded noise that belongs to frames of the canvas, whatever else is drawn around them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from collage_motion.errors import CollageError

_WORDS = 4  # 64-bit words that Philox makes of one counter value
_LIMIT = 2**64
_CHUNK = 1024  # rows drawn at a time: what stands between them and float32 is three times their size


def frame_noise(
    seed: int, n_frames: int, n_features: int, stream: int = 0, start: int = 0
) -> NDArray[np.float32]:
    """Standard normal noise (n_frames, n_features) for canvas frames start, start + 1, ...

    A row depends on nothing but (seed, stream, its frame number) and the feature count: the counter-based
    generator Philox4x64 (Salmon et al. 2011) is placed on the frame's own counters, so neither chunks nor
    batches nor the machine change it. Raw words, not a library's normal deviates, since only those are
    promised to stay. Raises CollageError for a seed, stream or start outside 0..2^64-1.
    """
    for name, value in (("seed", seed), ("stream", stream), ("start frame", start)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 0 <= value < _LIMIT:
            raise CollageError(f"{name}: got {value}; allowed: whole numbers from 0 to 2^64 - 1")
    counters = -(-n_features // _WORDS)  # whole counters per row, so that every row begins on one
    key = np.array([seed, stream], dtype=np.uint64)
    source = np.random.Philox(key=key, counter=int(start) * counters)
    noise = np.empty((n_frames, n_features), np.float32)
    # In chunks, so that a long canvas takes little more memory than its noise, and Ctrl-C is heard in between.
    for first in range(0, n_frames, _CHUNK):
        chunk = noise[first : first + _CHUNK]
        bits = source.random_raw(len(chunk) * counters * _WORDS)
        rows = bits.reshape(len(chunk), counters * _WORDS)[:, :n_features]
        # 52 bits and a half: never 0 or 1, where the inverse of the normal distribution is infinite.
        chunk[:] = ndtri(((rows >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52)
    return noise


def canvas_noise(
    seeds: Sequence[int], n_frames: int, n_features: int, stream: int = 0, start: int = 0
) -> NDArray[np.float32]:
    """Noise (S, n_frames, n_features), one seed a sample: a sample is the same alone and in any batch."""
    return np.stack([frame_noise(seed, n_frames, n_features, stream, start) for seed in seeds])
