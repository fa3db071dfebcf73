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

FORMAT: Final = "collage-motion-eval-report 1"

Row = dict[str, Any]
Values = dict[str, list[float]]

COLUMNS: Final = {
    "r_precision_1": "R@1 ↑",
    "r_precision_2": "R@2 ↑",
    "r_precision_3": "R@3 ↑",
    "fid": "FID ↓",
    "fid_above_floor": "FID above floor ↓",
    "cut_fid_above_floor": "FID of cuts above floor ↓",
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
    "cpu_seconds_per_second": "CPU s per s of motion ↓",
}
"""Figures that tables show, where there are any; all of them are in the JSON and the CSV."""

FLOORED: Final = "fid_above_floor"
"""FID as it is compared, where the real sets are disjoint; published tables compare with all and have FID only."""

WALL_TIME, CPU_TIME = "seconds_per_second", "cpu_seconds_per_second"

INTERVALS: Final = (
    "intervals in the table are 1.96 std / sqrt(R), as in published ones, and too narrow for few replications (for 5 "
    "they hold the true mean in about 85 of 100 runs); those of ratios, and with them what is reached, are Student's "
    "t with R - 1 degrees of freedom"
)
"""What a table says of its intervals."""


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


def time_of(report: Mapping[str, Any]) -> str:
    """The figure that tells what motions cost: on a CPU its own seconds, for the clock's count what else runs there."""
    devices = [str(maker.get("device")) for maker in report["made_by"]]
    return CPU_TIME if devices and all(device.startswith("cpu") for device in devices) else WALL_TIME


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
    other = {WALL_TIME, CPU_TIME} - {time_of(report)}
    names = [name for name in COLUMNS if name not in other and any(name in row for row in rows)]
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
        above = "; FID above its floor" if any(FLOORED in row for row in rows) else ""
        lines += ["", f"Ratios of means, with 95 % intervals{above}:", ""]
        lines += _table(
            ["figure", "here", "the paper's", "goal", "reached"],
            [_compared(comparison) for comparison in report["comparisons"]],
        )
    lines += ["", *(f"- {note}" for note in report["notes"])]
    return "\n".join(lines) + "\n"


def _compared(comparison: Mapping[str, Any]) -> list[str]:
    paper, goal = comparison["paper"], comparison["goal"]
    reached = {True: "yes", False: "no", None: "the runs do not tell"}[comparison["met"]]
    if goal is None and comparison["doubt"] is None:
        reached = "-"
    if comparison["doubt"] is not None:
        reached += f": {comparison['doubt']}"
    here = shown(comparison["mean"], comparison["ci95"])
    return [comparison["figure"], here, "-" if paper is None else f"{paper:g}", goal or "-", reached]


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


def check_no_less(folder: Path, name: str, rows: Sequence[str], replications: int, samples: int) -> None:
    """Raise OutputError if the folder's earlier report is of more than these rows and sizes: it would be lost."""
    path = outputs(folder, name)["json"]
    if not path.exists():
        return
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
        had = [str(row["method"]) for row in earlier["rows"]]
        sizes = int(earlier["replications"]), int(earlier["samples"])
    except (OSError, ValueError, KeyError, TypeError):
        raise OutputError(f"{path}: no whole report; move {name}.* away, or name another folder") from None
    if set(had) <= set(rows) and sizes[0] <= replications and sizes[1] <= samples:
        return
    raise OutputError(
        f"{path}: a report of {sizes[0]} replications of {sizes[1]} with {', '.join(had)}; one of {replications} of "
        f"{samples} with {', '.join(rows)} would take its place; ask for as much as there is (--replications, "
        f"--samples, --methods, --given), move {name}.* away, or name another folder"
    )


def write_report(
    report: Mapping[str, Any], prompts: Mapping[str, Any] | None, folder: Path, name: str
) -> list[Path]:
    """Write JSON, CSV, Markdown and the list of prompts over those of an earlier report, each whole or not at all.

    prompts: None leaves their list as it is.
    """
    check_outputs(folder, name)
    paths = outputs(folder, name)
    texts = {
        "json": json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        "csv": table_csv(report),
        "md": markdown(report),
    }
    if prompts is not None:
        texts["prompts.json"] = prompt_text(prompts)
    for suffix, text in texts.items():  # the JSON first: with it there the others are known to be ours
        with replacing(paths[suffix], overwrite=True) as part:
            part.write_text(text, encoding="utf-8")
    return [paths[suffix] for suffix in texts]


def write_list(prompts: Mapping[str, Any], folder: Path, name: str) -> Path:
    """Write what is asked for, before there is a report, over an earlier such list; returns the file."""
    path = folder / f"{name}.asked.json"
    if path.exists():
        try:
            ours = json.loads(path.read_text(encoding="utf-8")).keys() == prompts.keys()
        except (OSError, ValueError, AttributeError):
            ours = False
        if not ours:
            raise OutputError(f"{path}: is in the way and no list of this command; move it away")
    with replacing(path, overwrite=True) as part:
        part.write_text(prompt_text(prompts), encoding="utf-8")
    return path
