"""Rows of an earlier report beside those of a new one, so that what did not change need not be made again."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from collage_motion.errors import DataError
from collage_motion.methods import METHODS

from .comparisons import comparisons
from .protocols import REAL, SHORT
from .report import FORMAT

ALIKE: Final = ("protocol", "testbed", "seed", "quick", "replications", "samples")
"""What two reports must have in common, besides the model's weights and the judge's files."""
OF_CLIPS: Final = (
    "fid",
    "fid_floor",
    "diversity",
    "r_precision_1",
    "r_precision_2",
    "r_precision_3",
    "mm_dist",
)
"""Figures of the real clips that depend on which were drawn and on the judge, not on where the methods have seams."""
CLOSE: Final = 1e-3
"""How far these may be apart, or what share of a figure above 1: judges round otherwise on other processors."""
NAMED: Final = 0.02
"""How far the share of real clips that are named right may be: a classifier comes out otherwise on each machine."""


def read_report(path: str | Path) -> dict[str, Any]:
    """A report as `report.write_report` wrote it; raises DataError for anything else."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}; name a report's JSON") from None
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise DataError(f"{path}: no report of `collage-motion eval`; name the .json of one")
    return found


def joined(new: Mapping[str, Any], earlier: Mapping[str, Any]) -> dict[str, Any]:
    """The new report, and of the earlier one the rows of methods that the new one lacks.

    Ratios are made anew, and a note says whose rows they are. Raises DataError unless protocol, real clips, seed,
    sizes, the model's weights and the evaluator are the same, and the real clips have the same figures in every
    replication.
    """
    for name in ALIKE:
        if new[name] != earlier[name]:
            raise DataError(
                f"reports: {name} is {str(new[name])[:60]} and {str(earlier[name])[:60]}; join reports of the same"
            )
    for name, one, other in (
        ("weights of the model", new["model"]["weights"], earlier["model"]["weights"]),
        ("files of the judge", _evaluator(new), _evaluator(earlier)),
    ):
        if one != other:
            raise DataError(f"reports: the {name} differ; join reports of the same")
    table, others = ({row["method"]: row for row in report["rows"]} for report in (new, earlier))
    if REAL in table and REAL in others:  # lists of prompts have no real clips
        _check_real(table[REAL], others[REAL])
    added = [method for method in METHODS if method in others and method not in table]
    if not added:
        raise DataError("reports: the earlier one has no method that the new one lacks; nothing to join")
    order = [name for name in (REAL, SHORT, *METHODS) if name in table or name in added]
    order += [name for name in table if name not in order]  # motions that were made elsewhere
    rows = [table[name] if name in table else others[name] for name in order]
    note = (
        f"{', '.join(added)}: of a run of commit {str(earlier['commit'])[:7]} on {earlier['device']}, finished "
        f"{earlier['finished'][:10]}, with windows around seams at {earlier['sizes']['places']} places; times are of "
        "the machine of that day"
    )
    classifiers = [report["judge"]["files"].get("classifier") for report in (new, earlier)]
    if classifiers[0] != classifiers[1]:
        note += "; another classifier, trained in the same way, named their contents"
    return {
        **new,
        "settings": new["settings"] | {name: earlier["settings"][name] for name in added},
        "made_by": [*new["made_by"], *({**maker, "methods": added} for maker in earlier["made_by"])],
        "joined": {
            "methods": added,
            "commit": earlier["commit"],
            "finished": earlier["finished"],
            "classifier": classifiers[1],
        },
        "rows": rows,
        "comparisons": comparisons(rows, new["protocol"]["name"]),
        "jerk_curves": new["jerk_curves"] | {name: earlier["jerk_curves"][name] for name in added},
        "notes": [*new["notes"], note],
    }


def _evaluator(report: Mapping[str, Any]) -> dict[str, str]:
    """Checksums of what judges, but for the classifier, which nobody ships."""
    return {name: value for name, value in report["judge"]["files"].items() if name != "classifier"}


def _check_real(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    for name, far in (*((name, CLOSE) for name in OF_CLIPS), ("content_accuracy", NAMED)):
        if name in one and name in other:
            for number, (a, b) in enumerate(zip(one[name]["values"], other[name]["values"], strict=True)):
                if abs(a - b) > far * max(1.0, abs(a)):
                    raise DataError(
                        f"reports: {name} of the real clips is {a:g} and {b:g} in replication {number}; they were not "
                        "measured alike, so measure all rows anew"
                    )
