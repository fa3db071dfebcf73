"""What the project must show: ratios of figures with honest intervals, beside the paper's own and the goals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

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


@dataclass(frozen=True)
class Ratio:
    """A ratio that is shown: two figures, each of a method, the goal, and the paper's own.

    papers: its figure in Tables 3 and 4, and FlowMDM's of its transitions, shown for `long` alone. single: it sets a
    composer beside single clips, for which only `long` has a goal; elsewhere it is shown without one.
    """

    name: str
    above: tuple[str, str]
    below: tuple[str, str]
    goal: str
    limit: float
    papers: float | None = None
    single: bool = False


PAPERS: Final = "long"
"""The protocol of the paper's Tables 3 and 4."""
BASELINES: Final = {
    "naive": 17.7,
    "replacement": 2.1,
    "reconstruction": 1.7,
    "consensus": None,
    "handshake": None,
}
"""FID of other composers over the collage's, as the paper has it; none where it does not."""


def _asked(fid: str, transition_fid: str) -> list[Ratio]:
    """All ratios, of these forms of FID."""
    ours, top, area = ("collage", fid), "r_precision_3", "area_under_jerk_per_seam"
    return [
        Ratio("FID(collage) / FID(short)", ours, (SHORT, fid), "at most", 1.15, 1.23, single=True),
        *(
            Ratio(f"FID({method}) / FID(collage)", (method, fid), ours, "above", 1.0, papers)
            for method, papers in BASELINES.items()
        ),
        Ratio("R@3(collage) / R@3(short)", ("collage", top), (SHORT, top), "at least", 1.0, 1.01, single=True),
        Ratio(
            "diversity(collage) / diversity(real)",
            ("collage", "diversity"), (REAL, "diversity"), "within 0.02 of", 1.0, 0.99,
        ),
        Ratio("area under jerk(collage) / real", ("collage", area), (REAL, area), "at most", 1.5),
        Ratio("transition FID / motion FID (collage)", ("collage", transition_fid), ours, "at most", 2.0, 2.9),
    ]  # fmt: skip


def comparisons(rows: Sequence[Row], protocol: str = PAPERS) -> list[dict[str, Any]]:
    """The ratios that the project must show, as far as their rows are there, with the paper's own and the goal.

    `met` is null where the goal lies within the interval, and where there is a `doubt` (`ratio`): then the runs do
    not tell; and where there is no goal.
    """
    table = {row["method"]: row for row in rows}
    floored = any(FLOORED in row for row in rows)
    forms = (FLOORED, "transition_fid_above_floor") if floored else ("fid", "transition_fid")
    made = []
    for asked in _asked(*forms):
        one, other = (table.get(method, {}).get(figure) for method, figure in (asked.above, asked.below))
        if one is None or other is None or len(one["values"]) != len(other["values"]):
            continue
        found = ratio(one["values"], other["values"])
        aimed = protocol == PAPERS or not asked.single
        made.append(
            {
                "figure": asked.name,
                **found,
                "paper": asked.papers if protocol == PAPERS else None,
                "goal": f"{asked.goal} {asked.limit:g}" if aimed else None,
                "met": _met(found, asked.goal, asked.limit) if aimed else None,
            }
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
