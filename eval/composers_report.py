"""The table of composers from its cells: figures pooled over seeds, and the same table as Markdown and CSV."""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .classifier import same_family
from .composers import COMPOSERS, Real
from .jerk import area_of_mean, areas, peak_of_mean, peaks

Row = dict[str, Any]
Cells = Iterable[tuple[Mapping[str, Any], Row]]

DRAWS: Final = 200
"""How often as many random places of real motion are drawn as a row has seams."""

COLUMNS: Final[dict[str, tuple[str, str]]] = {
    "peak_of_mean": ("peak jerk, coded", ".3f"),
    "area_of_mean": ("area, coded", ".2f"),
    "peak_p50": ("peak p50", ".3f"),
    "peak_p95": ("peak p95", ".3f"),
    "area_p50": ("area p50", ".2f"),
    "area_p95": ("area p95", ".2f"),
    "slide_m_per_s": ("foot slide m/s", ".3f"),
    "accuracy": ("named right", ".0%"),
    "family_accuracy": ("by family", ".0%"),
    "calls": ("network calls", ".0f"),
    "rounds": ("sequential", ".0f"),
    "wall_s": ("wall s", ".1f"),
    "cpu_s": ("CPU s", ".1f"),
    "memory_mb": ("peak MB", ".0f"),
}
"""Figures of a row: heading and format."""

REAL: Final = "real clips"


def summary(cells: Cells, real: Real) -> list[Row]:
    """One row for each device, length and composer, in this order, below the real clips in the same figures."""
    groups: dict[tuple[str, float], dict[tuple[str, str], list[Row]]] = defaultdict(lambda: defaultdict(list))
    for cell, row in cells:
        options = json.dumps(cell["options"], sort_keys=True)
        groups[cell["device"], float(cell["seconds"])][cell["composer"], options].append(row)
    rows = []
    for (device, seconds), group in sorted(groups.items()):
        most = max(sum(row.get("seams", 0) for row in made) for made in group.values())
        rows.append({"device": device, "seconds": seconds, "composer": REAL, **real_row(real, most)})
        for name, options in sorted(
            group, key=lambda key: (list(COMPOSERS).index(key[0]), len(key[1]), key[1])
        ):
            known = {"device": device, "seconds": seconds, "composer": name, "options": json.loads(options)}
            rows.append(known | pooled(group[name, options]))
    return rows


def pooled(rows: Sequence[Row]) -> Row:
    """The figures of one composer at one length over its seeds: seams and segments of all of them together."""
    made = [row for row in rows if "error" not in row]
    out: Row = {"seeds": len(rows)}
    if len(made) < len(rows):
        out["error"] = next(row["error"] for row in rows if "error" in row)
        out["failed"] = len(rows) - len(made)
    if not made:
        return out
    pairs = [pair for row in made for pair in zip(row["contents"], row["answers"], strict=True)]
    seconds = sum(row["slide_s"] for row in made)
    out |= {
        "segments": len(pairs),
        "slide_m_per_s": sum(row["slide_m"] for row in made) / seconds if seconds else 0.0,
        "accuracy": float(np.mean([content == answer for content, answer in pairs])),
        "family_accuracy": float(np.mean([same_family(*pair) for pair in pairs])),
        **{key: float(np.mean([row[key] for row in made])) for key in ("calls", "rounds", "wall_s", "cpu_s")},
    }
    peak = [row["memory_b"] for row in made if row["memory_b"] is not None]
    if peak:
        out["memory_mb"] = max(peak) / 2**20
    told = [row["prompts_told"] for row in made if row["prompts_told"] is not None]
    if told:
        out["prompts_told"] = min(told)
    return out | pooled_seams(made)


def pooled_seams(rows: Sequence[Row]) -> Row:
    """Jerk at the seams of several motions together; the number of seams alone where there are none."""
    made = [row for row in rows if row["seams"]]
    out: Row = {"seams": sum(row["seams"] for row in made)}
    if made:
        mean = np.average([row["curve"] for row in made], axis=0, weights=[row["seams"] for row in made])
        out |= coded(mean[None], made[0]["usual_jerk"])
        out |= spread("peak", np.concatenate([row["peaks"] for row in made]))
        out |= spread("area", np.concatenate([row["areas"] for row in made]))
    return out


def real_row(real: Real, seams: int) -> Row:
    """Real clips in the figures of a row with so many seams.

    The mean curve of few seams is rougher than that of many, so the coded figures are the means over draws of as
    many random places; the others are those of all places.
    """
    out: Row = {
        "slide_m_per_s": real.slide_m_per_s,
        "accuracy": real.accuracy,
        "family_accuracy": real.family_accuracy,
        "segments": real.clips,
    }
    if not seams:
        return out
    rng = np.random.default_rng(0)
    draws = [
        coded(real.curves[rng.integers(len(real.curves), size=seams)], real.usual_jerk) for _ in range(DRAWS)
    ]
    out |= {key: float(np.mean([draw[key] for draw in draws])) for key in draws[0]}
    return out | spread("peak", peaks(real.curves)) | spread("area", areas(real.curves, real.usual_jerk))


def coded(curves: NDArray[np.float64], usual_jerk: float) -> Row:
    """Peak and area of the mean curve, as FlowMDM's code has them."""
    return {"peak_of_mean": peak_of_mean(curves), "area_of_mean": area_of_mean(curves, usual_jerk)}


def spread(name: str, values: NDArray[np.float64]) -> Row:
    """Median and 95th percentile over seams."""
    return {f"{name}_p50": float(np.median(values)), f"{name}_p95": float(np.percentile(values, 95))}


def markdown(rows: Sequence[Row], usual_jerk: float) -> str:
    """The tables, one for each device and length, with what one must know to read them."""
    parts = [
        "# Composers\n",
        f"Jerk in metres per frame^3 over 60 frames around each seam; the mean of real test clips is "
        f"{usual_jerk:.5f}, areas are sums of the distance from it. Coded: of the mean curve of all seams, which "
        "gets smoother with their number; compare within a table. Real clips: at random places, as many for the "
        "coded figures as the table has seams. Named right: segments whose action the classifier names, by the "
        "very label and by family. Sequential: calls that wait for one another. Peak MB: what sampling took "
        "beyond the loaded model.\n",
    ]
    for device, seconds in sorted({(row["device"], row["seconds"]) for row in rows}):
        chosen = [row for row in rows if (row["device"], row["seconds"]) == (device, seconds)]
        parts.append(_table(f"{seconds:g} s of motion, {device}", chosen))
    return "\n".join(parts)


def _table(title: str, rows: Sequence[Row]) -> str:
    heads = ["composer", "seeds", "seams", *(head for head, _ in COLUMNS.values())]
    lines = [f"## {title}\n", _line(heads), _line(["---"] * len(heads))]
    notes = []
    for row in rows:
        name = row["composer"] + "".join(f" {k}={v:g}" for k, v in (row.get("options") or {}).items())
        figures = [format(row[key], form) if key in row else "" for key, (_, form) in COLUMNS.items()]
        lines.append(_line([name, row.get("seeds", ""), row.get("seams", ""), *figures]))
        if "error" in row:
            notes.append(f"{name}: {row['failed']} of {row['seeds']} seeds failed: {row['error']}")
        if "prompts_told" in row:
            notes.append(
                f"{name}: at least {row['prompts_told']} different prompts fit into its one sentence"
            )
    return "\n".join([*lines, "", *(f"- {note}" for note in notes), ""])


def _line(values: Iterable[Any]) -> str:
    return "| " + " | ".join(map(str, values)) + " |"


def comma_separated(rows: Sequence[Row]) -> str:
    """The rows as CSV, one line each; figures that a row does not have are empty."""
    names = ["device", "seconds", "composer", "options", "seeds", "segments", "seams", *COLUMNS]
    names += ["prompts_told", "failed", "error"]
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        options = " ".join(f"{key}={value:g}" for key, value in (row.get("options") or {}).items())
        writer.writerow({**row, "options": options})
    return text.getvalue()
