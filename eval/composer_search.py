"""The setting that is best for each composer, found by trying its one knob on motions of their own seeds.

The rule: of the settings whose share of segments named right (by family) is no further from the best of that
composer than chance explains (`margin`), the one whose seams have the least mean area under jerk. Area counts jerk
above that of real motion and below it alike, so neither a jump nor an over-smooth passage wins, and a setting
cannot win by not doing what was asked.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from math import sqrt
from typing import Any, Final

import numpy as np

from .composers import COMPOSERS, KNOBS, Options, Row
from .composers_report import pooled

FIRST_SEED: Final = 1000
"""Seeds from here on, which the table does not use."""


def candidates(names: Iterable[str]) -> list[tuple[str, Options]]:
    """Every composer of `names` that has a knob with every setting of it."""
    return [(name, options) for name in names for options in KNOBS.get(name, ())]


def results(cells: Iterable[tuple[Mapping[str, Any], Row]]) -> list[Row]:
    """One row for each composer and setting, pooled over its cells, `chosen` where it is the best."""
    groups: dict[str, list[tuple[Options, list[Row]]]] = defaultdict(list)
    for cell, row in cells:
        group = groups[cell["composer"]]
        known = next((rows for options, rows in group if options == cell["options"]), None)
        if known is None:
            group.append((cell["options"], known := []))
        known.append(row)
    rows = []
    for name in sorted(groups, key=list(COMPOSERS).index):
        made = [
            {"composer": name, "options": options, **pooled(found), "area_mean": _area(found)}
            for options, found in groups[name]
        ]
        usable = [row for row in made if row["area_mean"] is not None and "error" not in row]
        most = max((row["family_accuracy"] for row in usable), default=0.0)
        good = [row for row in usable if row["family_accuracy"] >= most - margin(row["segments"])]
        winner = min(good, key=lambda row: row["area_mean"], default=None)
        rows += [{**row, "chosen": row is winner} for row in made]
    return rows


def margin(segments: int) -> float:
    """The standard error of the difference of two shares of so many segments, at its largest."""
    return sqrt(0.5 / segments)


def winners(rows: Iterable[Row]) -> dict[str, Options]:
    """The chosen setting of each composer that has one."""
    return {row["composer"]: row["options"] for row in rows if row["chosen"]}


def markdown(rows: Iterable[Row]) -> str:
    """What was tried, as a table."""
    lines = [
        "# The setting of each composer\n",
        "Of those whose share of actions named right (by family) is within a standard error of a composer's best, "
        "the least mean area under jerk.\n",
        "| composer | setting | seeds | seams | by family | mean area | peak p50 | peak p95 | |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        setting = " ".join(f"{key}={value:g}" for key, value in row["options"].items())
        known = "family_accuracy" in row and row["area_mean"] is not None
        figures = (
            f"{row['family_accuracy']:.0%} | {row['area_mean']:.2f} | {row['peak_p50']:.3f} | {row['peak_p95']:.3f}"
            if known
            else f"{row.get('error', 'no seam')} | | |"
        )
        mark = "chosen" if row["chosen"] else ""
        lines.append(
            f"| {row['composer']} | {setting} | {row['seeds']} | {row.get('seams', '')} | {figures} | {mark} |"
        )
    return "\n".join([*lines, ""])


def _area(rows: Iterable[Row]) -> float | None:
    found = [area for row in rows for area in row.get("areas", ())]
    return float(np.mean(found)) if found else None
