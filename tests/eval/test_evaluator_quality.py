"""The figures of an evaluator itself, with evaluators whose quality is known."""

from collections.abc import Sequence

import numpy as np
import pytest
from real_like import small_benchmark

from collage_motion.eval import corruption
from collage_motion.eval.benchmark import Benchmark
from collage_motion.eval.evaluator_quality import embed_items, fid_floor, real_to_real, sensitivity
from collage_motion.eval.meaning import meaning_of_caption


class Knowing:
    """Puts every meaning at a corner of its own; motions are known by their features, spoiled ones lie apart."""

    def __init__(self, benchmark: Benchmark) -> None:
        self.numbers = {meaning: k for k, meaning in enumerate(benchmark.meanings)}
        self.known = {item.features.tobytes(): item.meaning for item in benchmark.items}

    def embed_motions(self, features: Sequence[np.ndarray]) -> np.ndarray:
        rng = np.random.default_rng(0)
        places = [self._corner(self.known.get(rows.tobytes())) for rows in features]
        return np.array(places) + rng.normal(0, 0.01, (len(places), 6))

    def embed_captions(self, captions: Sequence[str]) -> np.ndarray:
        return np.array([self._corner(meaning_of_caption(caption)) for caption in captions])

    def _corner(self, meaning: str | None) -> np.ndarray:
        return 10.0 * np.eye(6)[5 if meaning is None else self.numbers[meaning]]


@pytest.fixture(scope="module")
def benchmark() -> Benchmark:
    return small_benchmark(14)


def test_a_knowing_evaluator_is_right_on_real_motion_and_by_chance_on_shuffled_captions(
    benchmark: Benchmark,
) -> None:
    evaluator = Knowing(benchmark)
    embedded = embed_items(evaluator, benchmark.items)
    figures = real_to_real(evaluator, benchmark, embedded, seeds=(0, 1, 2), samples=320)
    assert figures["r_precision"] == [[1.0] * 3, [0.0] * 3]
    # A wrong meaning's motions all lie before the right one's, so only the first rank is that of chance.
    assert figures["r_precision_shuffled"][0][0] == pytest.approx(figures["chance"][0][0], abs=0.03)
    assert figures["chance"][0][0] > 0.15  # five meanings in 32
    assert figures["mm_dist"][0] < 0.1 < figures["mm_dist_shuffled"][0]
    assert figures["distinct_meanings_in_32"][0] == 5
    assert fid_floor(benchmark, embedded, seeds=(0, 1))["halves"][0] < 1.0


def test_spoiled_motion_that_an_evaluator_sees_raises_fid_and_costs_r_precision(benchmark: Benchmark) -> None:
    evaluator = Knowing(benchmark)
    embedded = embed_items(evaluator, benchmark.items)
    same = {"untouched": lambda rows, rng: rows, "jitter": corruption.jitter}
    table = sensitivity(evaluator, benchmark, embedded, spoiled=same, seeds=(0, 1))
    assert list(table) == ["unspoiled", "untouched", "jitter"]
    assert table["unspoiled"]["times_floor"] == 1.0
    assert table["untouched"]["fid"] == pytest.approx(table["unspoiled"]["fid"], abs=0.1)
    assert table["jitter"]["fid"] > 50
    assert table["jitter"]["r_precision_3"] < 0.9 < table["untouched"]["r_precision_3"]
