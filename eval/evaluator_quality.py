"""How good an evaluator is itself: on real motion with its captions, with shuffled ones, and on spoiled motion."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from . import corruption
from .benchmark import Benchmark, BenchmarkItem, distinct_meanings
from .metrics import BATCH, DIVERSITY_PAIRS, diversity, draw_pairs, fid, multimodal_distance, replicate
from .own_evaluator import MotionTextEvaluator
from .retrieval import chance_r_precision, r_precision_of_meanings

Report = dict[str, Any]
Embedded = Mapping[str, NDArray[Any]]
Track = Callable[[Iterable[Any]], Iterable[Any]]

SAMPLES: Final = 1024
"""Samples of a replication, as in the published tables."""

SPOILED: Final[Mapping[str, corruption.Corruption]] = MappingProxyType(
    {
        **{f"jitter {mm} mm": partial(corruption.jitter, metres=mm / 1000) for mm in (2, 5, 10, 20)},
        **{f"wobble {mm} mm": partial(corruption.wobble, metres=mm / 1000) for mm in (10, 40)},
        **{f"feature noise {s:.0%}": partial(corruption.feature_noise, share=s) for s in (0.05, 0.2)},
        **{f"frozen {s:.0%}": partial(corruption.frozen, share=s) for s in (0.25, 0.5, 1.0)},
        **{f"foot slide {v} m/s": partial(corruption.foot_slide, speed=v) for v in (0.1, 0.3, 1.0)},
        **{f"smoothed {f} frames": partial(corruption.smoothed, frames=f) for f in (2, 6)},
        "cut": corruption.cut,
        "reversed time": corruption.reversed_time,
        "twice as fast": corruption.faster,
        "legs of another moment": corruption.other_legs,
    }
)
"""Ways to spoil real motion by degrees; the last three have no counterpart in training."""


def embed_items(evaluator: MotionTextEvaluator, items: Sequence[BenchmarkItem]) -> dict[str, NDArray[Any]]:
    """Embeddings (D,) of clips by name, so that clips that are drawn again need not be embedded again."""
    return dict(
        zip(
            (item.name for item in items),
            evaluator.embed_motions([item.features for item in items]),
            strict=True,
        )
    )


def real_to_real(
    evaluator: MotionTextEvaluator,
    benchmark: Benchmark,
    embedded: Embedded,
    *,
    seeds: Sequence[int] = tuple(range(20)),
    samples: int = SAMPLES,
) -> Report:
    """Figures of real motion with its own captions and, as the floor, with captions shuffled among all
    samples.

    Each as [mean, half of the 95 % interval] over replications: R-precision top 1 to 3 among meanings,
    matching distance, diversity; `chance` is the R-precision of random ranks.
    """
    rows: dict[str, list[Any]] = {}
    for seed in seeds:
        items = benchmark.draw(samples, seed)
        meanings = [item.meaning for item in items]
        motions = np.stack([embedded[item.name] for item in items])
        texts = evaluator.embed_captions([item.caption for item in items])
        rng = np.random.default_rng((seed, 3))
        shuffled = texts[rng.permutation(len(texts))]
        pairs = draw_pairs(len(motions), min(DIVERSITY_PAIRS, len(motions) - 1), rng)
        figures = {
            "r_precision": r_precision_of_meanings(texts, motions, meanings),
            "r_precision_shuffled": r_precision_of_meanings(shuffled, motions, meanings),
            "chance": chance_r_precision(meanings),
            "mm_dist": multimodal_distance(texts, motions),
            "mm_dist_shuffled": multimodal_distance(shuffled, motions),
            "diversity": diversity(motions, *pairs),
            "distinct_meanings_in_32": distinct_meanings(items),
        }
        for name, value in figures.items():
            rows.setdefault(name, []).append(value)
    return {name: _interval(values) for name, values in rows.items()}


def fid_floor(benchmark: Benchmark, embedded: Embedded, seeds: Sequence[int] = tuple(range(20))) -> Report:
    """FID between two halves of the real clips that share no recording: [mean, half of the 95 % interval].

    `halves` compares all clips of each half, `halves_1024` as many samples drawn from each as a replication
    has.
    """
    plain, drawn = [], []
    for seed in seeds:
        halves = benchmark.halves(seed)
        plain.append(fid(*([embedded[item.name] for item in half.items] for half in halves)))
        drawn.append(fid(*([embedded[i.name] for i in half.draw(SAMPLES, seed)] for half in halves)))
    return {
        "halves": _interval(plain),
        f"halves_{SAMPLES}": _interval(drawn),
        "clips_a_half": len(benchmark) // 2,
    }


def sensitivity(
    evaluator: MotionTextEvaluator,
    benchmark: Benchmark,
    embedded: Embedded,
    *,
    spoiled: Mapping[str, corruption.Corruption] = SPOILED,
    seeds: Sequence[int] = tuple(range(5)),
    track: Track = iter,
) -> dict[str, Report]:
    """FID of one half of the real clips against the other half spoiled in each way, floor included, means
    over `seeds`.

    `times_floor`: over the same halves unspoiled. `r_precision_3` of the spoiled motions with their captions.
    """
    items = benchmark.items
    halves = [[[item.name for item in half.items] for half in benchmark.halves(seed)] for seed in seeds]
    draws = [item for seed in seeds[:2] for item in benchmark.draw(BATCH * 10, seed)]
    texts = evaluator.embed_captions([item.caption for item in draws])
    table: dict[str, Report] = {}
    floor = float(np.mean([_fid_of(embedded, embedded, *half) for half in halves]))
    for name, spoil in track({"unspoiled": None, **spoiled}.items()):
        if spoil is None:
            bad: Embedded = embedded
        else:
            rng = np.random.default_rng(7)
            rows = evaluator.embed_motions([spoil(item.features, rng) for item in items])
            bad = dict(zip((item.name for item in items), rows, strict=True))
        value = float(np.mean([_fid_of(embedded, bad, *half) for half in halves]))
        motions = np.stack([bad[item.name] for item in draws])
        hits = r_precision_of_meanings(texts, motions, [item.meaning for item in draws])
        table[name] = {"fid": value, "times_floor": value / floor, "r_precision_3": float(hits[2])}
    return table


def _fid_of(real: Embedded, other: Embedded, one: Sequence[str], two: Sequence[str]) -> float:
    return fid([real[name] for name in one], [other[name] for name in two])


def _interval(values: Sequence[Any]) -> list[Any]:
    mean, interval = replicate(values)
    return [np.asarray(mean).tolist(), np.asarray(interval).tolist()]
