"""Reports: rows with intervals, ratios, and files that replace only earlier ones of their own kind."""

import csv
import json

import numpy as np
import pytest

from collage_motion.errors import DataError, OutputError
from collage_motion.eval import plots
from collage_motion.eval.comparisons import comparisons
from collage_motion.eval.report import (
    INTERVALS,
    check_no_less,
    check_outputs,
    markdown,
    row_of,
    shown,
    time_of,
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
        "replications": 3,
        "samples": 64,
        "rows": rows,
        "comparisons": comparisons(rows),
        "jerk_curves": {"real": [0.1] * 57, "collage": np.linspace(0.1, 0.3, 57).tolist()},
        "j_avg": 0.04,
        "made_by": [{"commit": "1234", "device": "cuda NVIDIA H200", "motions": 96}],
        "notes": ["three replications"],
    }


REPORT = made_report(
    fid={"short": [2.0, 2.1, 1.9], "collage": [2.2, 2.3, 2.1]},
    fid_above_floor={"short": [1.0, 1.1, 0.9], "collage": [1.2, 1.3, 1.1], "naive": [12.0, 14.0, 13.0]},
    r_precision_3={"short": [0.7, 0.8, 0.75], "collage": [0.72, 0.79, 0.75]},
    seconds_per_second={"short": [0.3, 0.3, 0.3], "collage": [0.4, 0.4, 0.4], "naive": [0.5, 0.5, 0.6]},
    cpu_seconds_per_second={"short": [0.1, 0.1, 0.1], "collage": [0.2, 0.2, 0.2], "naive": [0.2, 0.3, 0.2]},
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
    assert "Ratios of means, with 95 % intervals; FID above its floor:" in lines
    plain = made_report(fid={"short": [2.0, 2.1, 1.9], "collage": [2.2, 2.3, 2.1]})
    assert "Ratios of means, with 95 % intervals:" in markdown(plain).splitlines()
    assert "1.96 std / sqrt(R)" in INTERVALS and "Student's t with R - 1" in INTERVALS


def test_a_ratio_that_tells_nothing_says_why():
    rows = [
        row_of("short", [{"fid_above_floor": 0.1}, {"fid_above_floor": -0.3}]),
        row_of("collage", [{"fid_above_floor": 1.0}, {"fid_above_floor": 1.1}]),
    ]
    text = markdown({**REPORT, "rows": rows, "comparisons": comparisons(rows)})
    assert "the runs do not tell: what is divided by may be 0 or less" in text


def on_cpu(report):
    made_by = [{"device": f"cpu {n} threads", "motions": 48} for n in (2, 4)]
    return {**report, "made_by": made_by}


def test_motions_of_a_cpu_cost_what_the_processor_spent_on_them():
    head = markdown(on_cpu(REPORT)).splitlines()[2]
    assert "CPU s per s of motion" in head and "| s per s of motion" not in head
    partly = {**REPORT, "made_by": [*on_cpu(REPORT)["made_by"], *REPORT["made_by"]]}
    assert "| s per s of motion" in markdown(partly).splitlines()[2]


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


def test_a_report_gives_way_to_one_of_as_much_or_more(tmp_path):
    check_no_less(tmp_path, "long", ["short"], 1, 4)  # nothing is there
    write_report(REPORT, PROMPTS, tmp_path, "long")
    rows, sizes = [row["method"] for row in REPORT["rows"]], (REPORT["replications"], REPORT["samples"])
    check_no_less(tmp_path, "long", rows, *sizes)
    check_no_less(tmp_path, "long", [*rows, "naive"], sizes[0] + 1, sizes[1] + 1)
    for less in ((rows[1:], *sizes), (rows, sizes[0] - 1, sizes[1]), (rows, sizes[0], sizes[1] - 1)):
        with pytest.raises(OutputError, match="would take its place; ask for as much"):
            check_no_less(tmp_path, "long", *less)
    (tmp_path / "long.json").write_text(json.dumps({"format": REPORT["format"], "rows": [1]}))
    with pytest.raises(OutputError, match=r"long\.json: no whole report; move long\.\* away"):
        check_no_less(tmp_path, "long", rows, *sizes)


@pytest.mark.parametrize("name", ["long.json", "long.csv", "long.png"])
def test_a_file_of_somebody_else_stays(tmp_path, name):
    (tmp_path / name).write_text('{"format": "mine"}')
    for work in (check_outputs, lambda *place: write_report(REPORT, PROMPTS, *place)):
        with pytest.raises(OutputError, match=rf"{name}: is in the way and no report of this command"):
            work(tmp_path, "long")
    assert (tmp_path / name).read_text() == '{"format": "mine"}' and len(list(tmp_path.iterdir())) == 1
    check_outputs(tmp_path, "short")


@pytest.mark.parametrize(
    ("report", "places", "label"),
    [
        (REPORT, [0.3, 0.4, 1.6 / 3], "seconds for a second of motion"),
        (on_cpu(REPORT), [0.1, 0.2, 0.7 / 3], "CPU seconds for a second of motion"),
    ],
)
def test_quality_stands_against_the_time_of_the_device(report, places, label):
    figure = pytest.importorskip("matplotlib.figure").Figure()
    axes = figure.subplots()
    plots._quality(axes, report["rows"], time_of(report))
    assert axes.get_xlabel() == label and axes.get_ylabel() == "FID above its floor"
    drawn = {c.get_label(): c[0].get_xydata()[0].tolist() for c in axes.containers}
    assert [drawn[name][0] for name in ("short", "collage", "naive")] == pytest.approx(places)
    assert drawn["naive"][1] == pytest.approx(13.0)


def test_quality_without_a_floor_is_fid(tmp_path):
    figure = pytest.importorskip("matplotlib.figure").Figure()
    axes = figure.subplots()
    rows = [
        {name: value for name, value in row.items() if name != "fid_above_floor"} for row in REPORT["rows"]
    ]
    plots._quality(axes, rows, "seconds_per_second")
    assert axes.get_ylabel() == "FID" and {c.get_label() for c in axes.containers} == {"short", "collage"}


def test_the_figure_is_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    path = plots.plot(REPORT, tmp_path / "long.png")
    assert path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 10_000
