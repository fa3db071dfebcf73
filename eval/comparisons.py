"""What the project must show: ratios of figures with honest intervals, beside the paper's own and the goals."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from collage_motion.errors import DataError

from .metrics import half_width
from .protocols import REAL, SHORT
from .report import FLOORED, Row


def ratio(above: Sequence[float], below: Sequence[float]) -> dict[str, Any]:
    """Ratio of two means over the same replications, its interval by the delta method for paired values.

    mean(a) / mean(b); the half width of Student's interval (`metrics.half_width`) of a - ratio * b, over |mean(b)|.
    With a mean of zero below there is none. `doubt` says why the ratio tells nothing: there is one replication, or the
    interval of what is below does not lie above 0, so that its sign, and the ratio's, may be either.
    """
    a, b = np.asarray(above, np.float64), np.asarray(below, np.float64)
    if a.shape != b.shape or a.ndim != 1 or not len(a):
        raise DataError(f"ratio of {a.shape} and {b.shape} values; give the same replications of both")
    doubt = None
    if len(a) < 2:
        doubt = "one replication has no interval"
    elif b.mean() - half_width(b) <= 0.0:
        doubt = "what is divided by may be 0 or less"
    if b.mean() == 0.0:
        return {"mean": None, "ci95": None, "doubt": doubt}
    value = a.mean() / b.mean()
    interval = half_width(a - value * b) / abs(b.mean()) if len(a) > 1 else None
    return {"mean": float(value), "ci95": interval, "doubt": doubt}


def comparisons(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The ratios that the project must show, as far as their rows are there, with the paper's own and the goal.

    `met` is null where the goal lies within the interval, and where there is a `doubt` (`ratio`): then the runs do
    not tell.
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

    floored = any(FLOORED in row for row in rows)
    net, transition = (FLOORED, "transition_fid_above_floor") if floored else ("fid", "transition_fid")
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
        ("collage", transition),
        ("collage", net),
        2.9,
        "at most",
        2.0,
    )
    return made


def _met(found: Mapping[str, Any], goal: str, limit: float) -> bool | None:
    if found["mean"] is None or found["ci95"] is None or found["doubt"] is not None:
        return None
    low, high = (found["mean"] + sign * found["ci95"] for sign in (-1, 1))
    if goal.startswith("within"):
        off = float(goal.split()[1])
        low, high = (abs(found["mean"] - limit) + sign * found["ci95"] for sign in (-1, 1))
        limit, goal = off, "at most"
    if goal == "at most":
        return True if high <= limit else False if low > limit else None
    return True if low >= limit else False if high < limit else None
