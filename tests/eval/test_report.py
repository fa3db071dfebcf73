"""Reports: rows with intervals, ratios, and files that replace only earlier ones of their own kind."""

import csv
import json

import numpy as np
import pytest

from collage_motion.errors import DataError, OutputError
from collage_motion.eval import plots
from collage_motion.eval.report import (
    check_outputs,
    comparisons,
    markdown,
    ratio,
    row_of,
    shown,
    write_report,
)

PROMPTS = {"protocol": "long", "replications": [[[["walks"], [40], [[0, 40]]], [["runs"], [40], [[0, 40]]]]]}


def made_report(**figures):
    """A report of three replications; a figure is a list of values by method."""
    methods = dict.fromkeys(name for values in figures.values() for name in values)
    rows = [
        row_of(method, [{n: v[method][k] for n, v in figures.items() if method in v} for k in range(3)])
        for method in methods
    ]
    return {
        "format": "collage-motion-eval-report 1",
        "title": "24 s a caption",
        "protocol": {"name": "long"},
        "rows": rows,
        "comparisons": comparisons(rows),
        "jerk_curves": {"real": [0.1] * 57, "collage": np.linspace(0.1, 0.3, 57).tolist()},
        "j_avg": 0.04,
        "notes": ["three replications"],
    }


REPORT = made_report(
    fid={"short": [2.0, 2.1, 1.9], "collage": [2.2, 2.3, 2.1]},
    fid_above_floor={"short": [1.0, 1.1, 0.9], "collage": [1.2, 1.3, 1.1], "naive": [12.0, 14.0, 13.0]},
    r_precision_3={"short": [0.7, 0.8, 0.75], "collage": [0.72, 0.79, 0.75]},
    seconds_per_second={"short": [0.3, 0.3, 0.3], "collage": [0.4, 0.4, 0.4], "naive": [0.5, 0.5, 0.6]},
)


def test_a_row_has_mean_interval_and_values():
    row = row_of("collage", [{"fid": 1.0, "once": 3.0}, {"fid": 2.0}, {"fid": 3.0}])
    assert row["method"] == "collage"
    assert row["fid"] == {
        "mean": 2.0,
        "ci95": pytest.approx(1.96 * np.std([1, 2, 3]) / np.sqrt(3)),
        "values": [1.0, 2.0, 3.0],
    }
    assert row["once"] == {"mean": 3.0, "ci95": None, "values": [3.0]}
    with pytest.raises(DataError, match="naive: fid is not a finite number"):
        row_of("naive", [{"fid": float("nan")}])


def test_a_ratio_of_means_has_the_interval_of_pairs():
    assert ratio([2.0, 4.0, 6.0], [1.0, 2.0, 3.0]) == {"mean": 2.0, "ci95": pytest.approx(0.0)}
    rng = np.random.default_rng(0)
    below = rng.normal(5, 0.5, size=(2000, 400))
    above = 1.5 * below + rng.normal(0, 0.3, size=below.shape)
    found = [ratio(a, b) for a, b in zip(above, below, strict=True)]
    inside = np.mean([abs(f["mean"] - 1.5) <= f["ci95"] for f in found])
    assert 0.93 < inside < 0.97
    assert ratio([1.0], [2.0]) == {"mean": 0.5, "ci95": None}
    assert ratio([1.0, 1.0], [1.0, -1.0])["mean"] is None
    with pytest.raises(DataError, match="same replications"):
        ratio([1.0, 2.0], [1.0])


def test_comparisons_say_whether_a_goal_is_reached():
    found = {c["figure"]: c for c in REPORT["comparisons"]}
    assert set(found) == {
        "FID(collage) / FID(short)",
        "FID(naive) / FID(collage)",
        "R@3(collage) / R@3(short)",
    }
    short = found["FID(collage) / FID(short)"]
    assert short["mean"] == pytest.approx(1.2) and short["paper"] == 1.23 and short["goal"] == "at most 1.15"
    assert short["met"] is False
    assert found["FID(naive) / FID(collage)"]["met"] is True
    assert found["R@3(collage) / R@3(short)"]["met"] is None  # 1.004, give or take more than that

    def diversity(*values):
        rows = [
            row_of(m, [{"diversity": v} for v in vs])
            for m, vs in (("real", [10.0, 10.1]), ("collage", values))
        ]
        return comparisons(rows)[0]["met"]

    assert diversity(9.95, 10.05) is True
    assert diversity(8.0, 8.08) is False
    assert diversity(9.4, 10.2) is None


def test_figures_are_short_and_tell_small_from_none():
    assert [shown(v) for v in (123.4, 12.345, 0.1234, 0.00012, 0.0, None)] == [
        "123", "12.35", "0.123", "1.2e-04", "0.000", "-"
    ]  # fmt: skip
    assert shown(1.5, 0.25) == "1.50 ±0.250"


def test_the_table_has_a_line_a_row_and_the_ratios_beneath():
    text = markdown(REPORT)
    lines = text.splitlines()
    assert lines[0] == "# long: 24 s a caption"
    heads = [cell.strip() for cell in lines[2].strip("|").split("|")]
    assert heads == ["method", "R@3 ↑", "FID ↓", "FID above floor ↓", "s per s of motion ↓"]
    assert lines[6].split("|")[1].strip() == "naive" and lines[6].split("|")[2].strip() == "-"
    assert len({len(line) for line in lines[2:7]}) == 1
    assert any(line.startswith("| FID(naive) / FID(collage)") and "17.7" in line for line in lines)
    assert lines[-1] == "- three replications"


def test_files_are_written_whole_and_again(tmp_path):
    paths = write_report(REPORT, PROMPTS, tmp_path, "long")
    assert [path.name for path in paths] == ["long.json", "long.csv", "long.md", "long.prompts.json"]
    assert json.loads(paths[0].read_text()) == json.loads(json.dumps(REPORT))
    rows = list(csv.reader(paths[1].read_text().splitlines()))
    assert rows[0] == ["method", "metric", "mean", "ci95", "values"]
    assert rows[1][:2] == ["short", "fid"] and list(map(float, rows[1][4:])) == [2.0, 2.1, 1.9]
    assert json.loads(paths[3].read_text()) == PROMPTS
    assert write_report(REPORT, PROMPTS, tmp_path, "long") == paths
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in paths)


@pytest.mark.parametrize("name", ["long.json", "long.csv", "long.png"])
def test_a_file_of_somebody_else_stays(tmp_path, name):
    (tmp_path / name).write_text('{"format": "mine"}')
    for work in (check_outputs, lambda *place: write_report(REPORT, PROMPTS, *place)):
        with pytest.raises(OutputError, match=rf"{name}: is in the way and no report of this command"):
            work(tmp_path, "long")
    assert (tmp_path / name).read_text() == '{"format": "mine"}' and len(list(tmp_path.iterdir())) == 1
    check_outputs(tmp_path, "short")


def test_the_figure_is_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    path = plots.plot(REPORT, tmp_path / "long.png")
    assert path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 10_000
