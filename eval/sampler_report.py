"""The tables of samplers over steps, and of chains over steps and lengths, from their rows."""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from collage_motion.samplers import SAMPLERS

from .classifier import same_family
from .composers_report import pooled_seams
from .sampler_steps import MANY

Row = dict[str, Any]
Cells = Iterable[tuple[Mapping[str, Any], Row]]

CLIPS: Final[dict[str, tuple[str, str]]] = {
    "evaluations": ("network calls in turn", ".0f"),
    "accuracy": ("named right", ".0%"),
    "family_accuracy": ("named right, by family", ".0%"),
    "jerk_ratio": ("jerk as a multiple of real clips of the same action (median over actions)", ".2f"),
    "pose_m": (f"distance of poses to {MANY} steps of the same sampler, m", ".4f"),
    "placed_m": (f"distance of joints to {MANY} steps of the same sampler, m", ".3f"),
}
CHAINS: Final[dict[str, tuple[str, str]]] = {
    "pose_m": (f"distance of poses to {MANY} steps, m", ".4f"),
    "placed_m": (f"distance of joints to {MANY} steps, m", ".3f"),
    "peak_p50": ("peak jerk at seams, median", ".3f"),
    "peak_p95": ("peak jerk at seams, 95th percentile", ".3f"),
    "area_p50": ("area under jerk at seams, median", ".2f"),
    "family_accuracy": ("named right, by family", ".0%"),
}
CLOSE_M: Final = 0.01
"""Poses as near as this to those of many steps are taken to be the same."""


def clip_rows(cells: Cells, real_jerks: Mapping[str, float]) -> list[Row]:
    """One row for each sampler and number of steps, over contents and seeds. real_jerks: medians by content."""
    groups: dict[tuple[str, int], dict[tuple[str, int], Row]] = defaultdict(dict)
    for cell, row in cells:
        if cell["kind"] == "clip" and "error" not in row:
            group, motion = groups[cell["sampler"], cell["steps"]], (cell["content"], cell["seed"])
            if cell["compared"] or motion not in group:  # measured again, now with a distance
                group[motion] = row
    rows = []
    for sampler, steps in sorted(groups, key=lambda key: (SAMPLERS.index(key[0]), key[1])):
        made = [(content, row) for (content, _), row in groups[sampler, steps].items()]
        ratios = [row["jerk"] / real_jerks[content] for content, row in made if content in real_jerks]
        out: Row = {
            "sampler": sampler,
            "steps": steps,
            "motions": len(made),
            "evaluations": made[0][1]["evaluations"],
            "accuracy": float(np.mean([content == row["answer"] for content, row in made])),
            "family_accuracy": float(np.mean([same_family(content, row["answer"]) for content, row in made])),
        }
        if ratios:
            out["jerk_ratio"] = float(np.median(ratios))
        rows.append(out | distances([row for _, row in made]))
    return rows


def chain_rows(cells: Cells) -> list[Row]:
    """One row for each length and number of steps, over seeds."""
    groups: dict[tuple[float, int], list[Row]] = defaultdict(list)
    for cell, row in cells:
        if cell["kind"] == "chain" and "error" not in row:
            groups[float(cell["seconds"]), cell["steps"]].append(row)
    rows = []
    for seconds, steps in sorted(groups):
        made = groups[seconds, steps]
        pairs = [pair for row in made for pair in zip(row["contents"], row["answers"], strict=True)]
        rows.append(
            {
                "seconds": seconds,
                "steps": steps,
                "motions": len(made),
                "family_accuracy": float(np.mean([same_family(*pair) for pair in pairs])),
                **pooled_seams(made),
                **distances(made),
            }
        )
    return rows


def failures(cells: Cells) -> list[str]:
    """What could not be made, a line each."""
    return [
        f"{', '.join(f'{key} {value}' for key, value in cell.items())}: {row['error']}"
        for cell, row in cells
        if "error" in row
    ]


def distances(rows: Sequence[Row]) -> Row:
    """Mean distances of the rows that have one, and how many those are."""
    far = [row for row in rows if "pose" in row]
    if not far:
        return {}
    means = {f"{key}_m": float(np.mean([row[key] for row in far])) for key in ("pose", "placed")}
    return {**means, "compared": len(far)}


def steps_needed(rows: Sequence[Row]) -> dict[float, int | None]:
    """For each length of chain the least of its steps from which on poses stay within `CLOSE_M`; None: none does."""
    needed: dict[float, int | None] = {}
    for seconds in sorted({row["seconds"] for row in rows}):
        own = [row for row in rows if row["seconds"] == seconds and "pose_m" in row and row["steps"] < MANY]
        needed[seconds] = None
        for row in sorted(own, key=lambda row: -row["steps"]):
            if row["pose_m"] > CLOSE_M:
                break
            needed[seconds] = row["steps"]
    return needed


def markdown(clips: Sequence[Row], chains: Sequence[Row], failed: Sequence[str] = ()) -> str:
    """All tables: a table a figure, steps across."""
    parts = ["# Samplers and steps\n"]
    if clips:
        motions = sorted({row["motions"] for row in clips})
        compared = sorted({row["compared"] for row in clips if "compared" in row})
        parts.append(
            f"Motions of one action: {_span(motions)} a cell, {_span(compared)} of them compared with {MANY} steps "
            "from the same noise. Stochastic samplers are not compared: with more steps they make another motion.\n"
        )
        parts += [_table(clips, "sampler", key, *CLIPS[key]) for key in CLIPS]
    if chains:
        parts.append("# Chains: steps and length (DiffCollage appendix D)\n")
        parts.append(f"Seeds: {_span(sorted({row['motions'] for row in chains}))} a cell.\n")
        parts += [_table(chains, "seconds", key, *CHAINS[key]) for key in CHAINS]
        needed = [f"{seconds:g} s: {count or 'more'}" for seconds, count in steps_needed(chains).items()]
        parts.append(
            f"Steps until poses stay within {CLOSE_M * 100:g} cm of {MANY} steps: {', '.join(needed)}.\n"
        )
    if failed:
        parts += ["# Not made\n", *(f"- {line}" for line in failed), ""]
    return "\n".join(parts)


def _span(values: Sequence[int]) -> str:
    return "none" if not values else "-".join(map(str, dict.fromkeys((values[0], values[-1]))))


def _table(rows: Sequence[Row], by: str, key: str, title: str, form: str) -> str:
    columns = sorted({row["steps"] for row in rows})
    found = {(row[by], row["steps"]): row[key] for row in rows if key in row}
    lines = [f"## {title[0].upper()}{title[1:]}\n", f"| {by} | " + " | ".join(map(str, columns)) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for name in dict.fromkeys(row[by] for row in rows):
        figures = [format(found[name, step], form) if (name, step) in found else "" for step in columns]
        lines.append(f"| {name if by == 'sampler' else format(name, 'g')} | " + " | ".join(figures) + " |")
    return "\n".join([*lines, ""])


def comma_separated(clips: Sequence[Row], chains: Sequence[Row]) -> str:
    """All rows as CSV, one line each; figures that a row does not have are empty."""
    names = ["sampler", "seconds", "steps", "motions", "compared", *dict.fromkeys((*CLIPS, *CHAINS))]
    names += ["peak_of_mean", "area_of_mean", "area_p95", "seams"]
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows([*clips, *chains])
    return text.getvalue()
