"""Ratios with intervals that keep their word, and what they may be taken for."""

import numpy as np
import pytest

from collage_motion.errors import DataError
from collage_motion.eval.comparisons import comparisons, ratio
from collage_motion.eval.report import row_of


def test_a_ratio_of_means_has_the_interval_of_pairs():
    exact = {"mean": 2.0, "ci95": pytest.approx(0.0), "doubt": None}
    assert ratio([20.0, 22.0, 24.0], [10.0, 11.0, 12.0]) == exact
    assert ratio([1.0], [2.0]) == {"mean": 0.5, "ci95": None, "doubt": "one replication has no interval"}
    assert ratio([1.0, 1.0], [1.0, -1.0])["mean"] is None
    with pytest.raises(DataError, match="same replications"):
        ratio([1.0, 2.0], [1.0])


@pytest.mark.parametrize("count", [2, 5, 20, 400])
def test_intervals_of_ratios_hold_the_ratio_in_95_of_100_runs(count):
    rng = np.random.default_rng(count)
    below = rng.normal(5, 0.5, size=(4000, count))
    above = 1.5 * below + rng.normal(0, 0.3, size=below.shape)
    found = [ratio(a, b) for a, b in zip(above, below, strict=True)]
    inside = np.mean([abs(f["mean"] - 1.5) <= f["ci95"] for f in found])
    assert 0.935 < inside < 0.965  # 1.96 and the population's deviation: 0.70 of 2, 0.85 of 5 replications


def rows_of(**figures):
    """Rows of three methods or so: values of one figure each."""
    return [row_of(method, [{"fid_above_floor": v} for v in values]) for method, values in figures.items()]


def verdict(name, **figures):
    return next(c for c in comparisons(rows_of(**figures)) if c["figure"] == name)


def test_comparisons_say_whether_a_goal_is_reached():
    name = "FID(collage) / FID(short)"
    missed = verdict(name, short=[1.0, 1.02, 0.98], collage=[1.3, 1.32, 1.29])
    assert missed["mean"] == pytest.approx(3.91 / 3) and missed["met"] is False
    assert missed["paper"] == 1.23 and missed["goal"] == "at most 1.15" and missed["doubt"] is None
    assert verdict(name, short=[1.0, 1.02, 0.98], collage=[1.01, 1.0, 0.99])["met"] is True
    assert verdict(name, short=[1.0, 1.1, 0.9], collage=[1.2, 1.3, 1.0])["met"] is None
    naive = {"naive": [12.0, 14.0, 13.0], "collage": [1.2, 1.3, 1.1]}
    assert verdict("FID(naive) / FID(collage)", **naive)["met"] is True
    assert [c["figure"] for c in comparisons(rows_of(**naive))] == ["FID(naive) / FID(collage)"]

    def diversity(*values):
        rows = [
            row_of(m, [{"diversity": v} for v in vs])
            for m, vs in (("real", [10.0, 10.1, 10.05]), ("collage", values))
        ]
        return comparisons(rows)[0]["met"]

    assert diversity(9.95, 10.05, 10.0) is True
    assert diversity(8.0, 8.08, 8.03) is False
    assert diversity(9.4, 10.2, 9.9) is None


def test_a_verdict_needs_the_interval_of_few_replications():
    values = [1.09, 1.16, 1.10, 1.15, 1.12]  # with 1.96 and the population's deviation: 1.124 ± 0.024
    found = verdict("FID(collage) / FID(short)", short=[1.0] * 5, collage=values)
    assert found["mean"] + 1.96 * np.std(values) / np.sqrt(5) < 1.15 < found["mean"] + found["ci95"]
    assert found["met"] is None


def test_one_replication_tells_nothing():
    found = verdict("FID(collage) / FID(short)", short=[1.0], collage=[0.5])
    assert (found["mean"], found["ci95"], found["met"]) == (0.5, None, None)


@pytest.mark.parametrize(
    "short", [[-0.5, -0.6, -0.55], [0.2, -0.1, 0.05], [0.3, 0.01, 0.02], [0.1, -0.1, 0.0]]
)
def test_a_ratio_over_what_may_be_nothing_tells_nothing(short):
    """Below zero the ratio is negative, which is at most anything; around zero it is anything."""
    found = verdict("FID(collage) / FID(short)", short=short, collage=[1.0, 1.1, 1.05])
    assert found["met"] is None and found["doubt"] == "what is divided by may be 0 or less"
    over = verdict("FID(naive) / FID(collage)", naive=[13.0, 12.0, 14.0], collage=short)
    assert over["met"] is None


def test_where_the_real_sets_are_not_disjoint_fid_is_compared_as_it_is():
    figures = {"fid": [2.0, 2.02], "transition_fid": [2.0, 2.1], "transition_fid_above_floor": [0.1, 0.2]}
    rows = [row_of(m, [{n: v[k] for n, v in figures.items()} for k in (0, 1)]) for m in ("short", "collage")]
    found = {c["figure"]: c["mean"] for c in comparisons(rows)}
    assert found["FID(collage) / FID(short)"] == pytest.approx(1.0)
    assert found["transition FID / motion FID (collage)"] == pytest.approx(2.05 / 2.01)


def test_what_the_paper_measured_in_long_is_no_measure_of_other_protocols():
    rows = rows_of(short=[1.0, 1.02, 0.98], collage=[1.3, 1.32, 1.29], replacement=[2.6, 2.7, 2.5])
    single, other = comparisons(rows, "compose")
    assert single["mean"] > 1 and (single["paper"], single["goal"], single["met"]) == (None, None, None)
    assert (other["paper"], other["goal"], other["met"]) == (None, "above 1", True)
    assert comparisons(rows)[1]["paper"] == 2.1
