"""What an evaluation says: rows of figures with intervals, ratios beneath them, as JSON, CSV and Markdown."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from collage_motion.errors import DataError, OutputError
from collage_motion.export.atomic import replacing

from .metrics import replicate
from .protocols import REAL, SHORT

FORMAT: Final = "collage-motion-eval-report 1"

Row = dict[str, Any]
Values = dict[str, list[float]]

COLUMNS: Final = {
    "r_precision_1": "R@1 ↑",
    "r_precision_2": "R@2 ↑",
    "r_precision_3": "R@3 ↑",
    "fid": "FID ↓",
    "fid_above_floor": "FID above floor ↓",
    "mm_dist": "MM-Dist ↓",
    "diversity": "Diversity →",
    "multimodality": "MModality ↑",
    "transition_fid": "T-FID ↓",
    "transition_fid_above_floor": "T-FID above floor ↓",
    "peak_jerk": "PJ →",
    "area_under_jerk": "AUJ ↓",
    "area_under_jerk_per_seam": "AUJ per seam →",
    "foot_slide": "Foot slide m/s →",
    "seam_lag": "Lag frames →",
    "content_accuracy": "Content ↑",
    "style_accuracy": "Style ↑",
    "wrap_closed": "Closed ↑",
    "path_error": "Path m ↓",
    "keyframe_error": "Pose m ↓",
    "seconds_per_second": "s per s of motion ↓",
}
"""Figures that tables show, where there are any; all of them are in the JSON and the CSV."""


def row_of(method: str, replications: Sequence[Mapping[str, float]]) -> Row:
    """One row: the method, and of each figure its mean, half the width of its 95 % interval, and its values.

    The interval is 1.96 std / sqrt(R), as published tables have it; of one replication there is none (null).
    """
    row: Row = {"method": method}
    for name in dict.fromkeys(name for figures in replications for name in figures):
        values = [float(figures[name]) for figures in replications if name in figures]
        if not np.isfinite(values).all():
            raise DataError(f"{method}: {name} is not a finite number in one of {len(values)} replications")
        row[name] = _summary(values)
    return row


def _summary(values: Sequence[float]) -> dict[str, Any]:
    if len(values) < 2:
        return {"mean": float(values[0]), "ci95": None, "values": list(values)}
    mean, interval = replicate(values)
    return {"mean": float(mean), "ci95": float(interval), "values": list(values)}


def ratio(above: Sequence[float], below: Sequence[float]) -> dict[str, Any]:
    """Ratio of two means over the same replications, its interval by the delta method for paired values.

    mean(a) / mean(b); 1.96 std(a - ratio * b) / (sqrt(R) |mean(b)|). With a mean of zero below there is none.
    """
    a, b = np.asarray(above, np.float64), np.asarray(below, np.float64)
    if a.shape != b.shape or a.ndim != 1 or not len(a):
        raise DataError(f"ratio of {a.shape} and {b.shape} values; give the same replications of both")
    if b.mean() == 0.0:
        return {"mean": None, "ci95": None}
    value = a.mean() / b.mean()
    interval = 1.96 * np.std(a - value * b) / np.sqrt(len(a)) / abs(b.mean()) if len(a) > 1 else None
    return {"mean": float(value), "ci95": None if interval is None else float(interval)}


def comparisons(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The ratios that the project must show, as far as their rows are there, with the paper's own and the goal.

    `met` is null where the goal lies within the interval: then the runs do not tell.
    """
    table = {row["method"]: row for row in rows}
    made: list[dict[str, Any]] = []

    def add(
        name: str,
        above: tuple[str, str],
        below: tuple[str, str],
        paper: float | None,
        goal: str,
        limit: float,
    ) -> None:
        if above[0] not in table or below[0] not in table:
            return
        one, other = (table[method].get(figure) for method, figure in (above, below))
        if one is None or other is None or len(one["values"]) != len(other["values"]):
            return
        found = ratio(one["values"], other["values"])
        made.append(
            {
                "figure": name,
                **found,
                "paper": paper,
                "goal": f"{goal} {limit:g}",
                "met": _met(found, goal, limit),
            }
        )

    net = "fid_above_floor"
    add("FID(collage) / FID(short)", ("collage", net), (SHORT, net), 1.23, "at most", 1.15)
    for method, paper in (
        ("naive", 17.7),
        ("replacement", 2.1),
        ("reconstruction", 1.7),
        ("consensus", None),
        ("handshake", None),
    ):
        add(f"FID({method}) / FID(collage)", (method, net), ("collage", net), paper, "above", 1.0)
    add(
        "R@3(collage) / R@3(short)",
        ("collage", "r_precision_3"),
        (SHORT, "r_precision_3"),
        1.01,
        "at least",
        1.0,
    )
    add(
        "diversity(collage) / diversity(real)",
        ("collage", "diversity"),
        (REAL, "diversity"),
        0.99,
        "within 0.02 of",
        1.0,
    )
    area = "area_under_jerk_per_seam"
    add("area under jerk(collage) / real", ("collage", area), (REAL, area), None, "at most", 1.5)
    add(
        "transition FID / motion FID (collage)",
        ("collage", "transition_fid_above_floor"),
        ("collage", net),
        2.9,
        "at most",
        2.0,
    )
    return made


def _met(found: Mapping[str, Any], goal: str, limit: float) -> bool | None:
    if found["mean"] is None:
        return None
    low, high = (found["mean"] + sign * (found["ci95"] or 0.0) for sign in (-1, 1))
    if goal.startswith("within"):
        off = float(goal.split()[1])
        low, high = (abs(found["mean"] - limit) + sign * (found["ci95"] or 0.0) for sign in (-1, 1))
        limit, goal = off, "at most"
    if goal == "at most":
        return True if high <= limit else False if low > limit else None
    return True if low >= limit else False if high < limit else None


def shown(value: float | None, interval: float | None = None) -> str:
    """A figure in three digits or so, with its interval."""
    if value is None:
        return "-"
    text = _digits(value)
    return text if interval is None else f"{text} ±{_digits(interval)}"


def _digits(value: float) -> str:
    size = abs(value)
    return (
        f"{value:.0f}"
        if size >= 100
        else f"{value:.2f}"
        if size >= 1
        else f"{value:.3f}"
        if size >= 0.001 or not size
        else f"{value:.1e}"
    )


def markdown(report: Mapping[str, Any]) -> str:
    """The table, the ratios beneath it, and how they came to be."""
    rows = report["rows"]
    names = [name for name in COLUMNS if any(name in row for row in rows)]
    lines = [f"# {report['protocol']['name']}: {report['title']}", ""]
    lines += _table(
        ["method", *(COLUMNS[name] for name in names)],
        [
            [
                row["method"],
                *(shown(row[name]["mean"], row[name]["ci95"]) if name in row else "-" for name in names),
            ]
            for row in rows
        ],
    )
    if report["comparisons"]:
        lines += ["", "Ratios of means, with 95 % intervals; FID above its floor:", ""]
        lines += _table(
            ["figure", "here", "the paper's", "goal", "reached"],
            [_compared(comparison) for comparison in report["comparisons"]],
        )
    lines += ["", *(f"- {note}" for note in report["notes"])]
    return "\n".join(lines) + "\n"


def _compared(comparison: Mapping[str, Any]) -> list[str]:
    paper = comparison["paper"]
    reached = {True: "yes", False: "no", None: "the runs do not tell"}[comparison["met"]]
    here = shown(comparison["mean"], comparison["ci95"])
    return [comparison["figure"], here, "-" if paper is None else f"{paper:g}", comparison["goal"], reached]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(line[k]) for line in (head, *rows)) for k in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return [line(head), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, rows)]


def table_csv(report: Mapping[str, Any]) -> str:
    """Every figure of every row: method, metric, mean, interval, then the values of the replications."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["method", "metric", "mean", "ci95", "values"])
    for row in report["rows"]:
        for name, figure in row.items():
            if name != "method":
                interval = "" if figure["ci95"] is None else repr(figure["ci95"])
                writer.writerow(
                    [row["method"], name, repr(figure["mean"]), interval, *map(repr, figure["values"])]
                )
    return out.getvalue()


def prompt_text(prompts: Mapping[str, Any]) -> str:
    """A list of prompts as JSON, a line each."""
    head = json.dumps({key: value for key, value in prompts.items() if key != "replications"}, indent=1)
    blocks = (
        "[\n" + ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in rows) + "\n ]"
        for rows in prompts["replications"]
    )
    return head.removesuffix("\n}") + ',\n "replications": [' + ",\n ".join(blocks) + "]\n}\n"


def outputs(folder: Path, name: str) -> dict[str, Path]:
    """Where the files of a report lie, by suffix."""
    return {suffix: folder / f"{name}.{suffix}" for suffix in ("json", "csv", "md", "prompts.json", "png")}


def check_outputs(folder: Path, name: str) -> None:
    """Raise OutputError if a file that is no earlier report of this command is in a report's way."""
    paths = outputs(folder, name)
    there = [path for path in paths.values() if path.exists()]
    if not there:
        return
    try:
        earlier = json.loads(paths["json"].read_text(encoding="utf-8"))
        ours = isinstance(earlier, dict) and earlier.get("format") == FORMAT
    except (OSError, ValueError):
        ours = False
    if not ours:
        raise OutputError(
            f"{there[0]}: is in the way and no report of this command; move it, or name another folder"
        )


def write_report(
    report: Mapping[str, Any], prompts: Mapping[str, Any], folder: Path, name: str
) -> list[Path]:
    """Write JSON, CSV, Markdown and the list of prompts over those of an earlier report, each whole or not at all."""
    check_outputs(folder, name)
    paths = outputs(folder, name)
    texts = {
        "json": json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        "csv": table_csv(report),
        "md": markdown(report),
        "prompts.json": prompt_text(prompts),
    }
    for suffix, text in texts.items():  # the JSON first: with it there the others are known to be ours
        with replacing(paths[suffix], overwrite=True) as part:
            part.write_text(text, encoding="utf-8")
    return [paths[suffix] for suffix in texts]
