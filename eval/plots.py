"""The figure of an evaluation: quality against time, and jerk around the seams."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np

from collage_motion.export.atomic import replacing
from collage_motion.skeleton import FPS

from .report import CPU_TIME, FLOORED, time_of

MISSING: Final = (
    "no figure: it needs matplotlib; pip install 'collage-motion[eval]', then run the same command again"
)


def can_plot() -> bool:
    """Whether matplotlib is there."""
    return find_spec("matplotlib") is not None


def plot(report: Mapping[str, Any], path: Path) -> Path:
    """Draw a report into a .png: on the left FID (or area under jerk) against time, on the right mean jerk curves."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    _quality(left, report["rows"], time_of(report))
    _curves(right, report["jerk_curves"], report["j_avg"])
    figure.suptitle(f"{report['protocol']['name']}: {report['title']}", fontsize=10)
    with replacing(path, overwrite=True) as part:
        figure.savefig(part, dpi=130, metadata={"Software": None})
    return path


def _quality(axes: Any, rows: Sequence[Mapping[str, Any]], cost: str) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    labels = {
        FLOORED: "FID above its floor",
        "fid": "FID",
        "area_under_jerk_per_seam": "area under jerk per seam",
    }
    name = next((name for name in labels if any(name in row for row in rows)), "fid")
    for row in rows:
        if name not in row or cost not in row:
            continue
        time, value = row[cost], row[name]
        axes.errorbar(
            time["mean"],
            value["mean"],
            value["ci95"] or 0.0,
            time["ci95"] or 0.0,
            fmt="o",
            capsize=3,
            label=row["method"],
        )
        axes.annotate(
            row["method"], (time["mean"], value["mean"]), (5, 5), textcoords="offset points", fontsize=8
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.3, y=0.1)  # room for the names beside the points
    axes.set_xlabel(f"{'CPU seconds' if cost == CPU_TIME else 'seconds'} for a second of motion")
    axes.set_ylabel(labels[name])
    axes.set_title("quality against time (lower left is better)", fontsize=9)
    axes.grid(alpha=0.3)


def _curves(axes: Any, curves: Mapping[str, Sequence[float]], j_avg: float) -> None:
    for method, curve in curves.items():
        # J(t) belongs to frames t to t + 3, so to the middle of them.
        at = (np.arange(len(curve)) + 1.5 - (len(curve) + 3) / 2) / FPS
        axes.plot(at, curve, label=method, linewidth=1.2, color="black" if method == "real" else None)
    axes.axhline(j_avg, color="grey", linewidth=0.8, linestyle=":")
    axes.set_xlabel("seconds from the seam")
    axes.set_ylabel("jerk, m per frame³")
    axes.set_title("mean jerk around the seams", fontsize=9)
    axes.grid(alpha=0.3)
    if curves:
        axes.legend(fontsize=7)
