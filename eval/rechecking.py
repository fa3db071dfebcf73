"""Motions that earlier code made, made again by this one: whether both are the same, bit for bit."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from collage_motion.errors import CollageError

from .parts import Part, Watch
from .running import Evaluation
from .sampling import perform
from .store import Shard, read_features


def recheck(evaluation: Evaluation, watch: Watch) -> list[dict[str, Any]]:
    """One batch of every method and other code, made again: for JSON, with how far the two are apart.

    A run that spans a change of the package is worth its time only if the change left its methods as they were; this
    measures it, in a batch with the longest motions. Not of motions that another device or torch made, which
    differ anyway. The difference is None where the motions cannot be made any more.
    """
    now = json.loads(evaluation.store.maker)
    chosen = _longest(evaluation, now)
    if chosen:
        watch.begin(f"making {len(chosen)} batches of earlier code again")
    found = []
    for done, ((method, code), (part, shard)) in enumerate(chosen.items()):
        watch.step(done, len(chosen))
        found.append(
            {
                "method": method, "made_by": code, "commit": json.loads(shard.maker).get("commit"),
                "again_by": now["code"], "motions": len(shard.numbers),
                "largest_difference": _apart(evaluation, part, shard),
            }
        )  # fmt: skip
    return found


def same_code(rechecked: Sequence[Mapping[str, Any]], evaluation: Evaluation) -> set[str]:
    """The code that runs, and those other ones of which every method's motions came out the same again."""
    same = {(row["method"], row["made_by"]) for row in rechecked if row["largest_difference"] == 0.0}
    own = str(json.loads(evaluation.store.maker)["code"])
    made = evaluation.methods_of()
    return {own} | {
        code for code in made if code is not None and all((method, code) in same for method in made[code])
    }


def said(rechecked: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for the table on each other code: what was made again, and how it came out."""
    lines = []
    for code in dict.fromkeys(str(row["made_by"]) for row in rechecked):
        rows = [row for row in rechecked if row["made_by"] == code]
        count, methods = sum(row["motions"] for row in rows), ", ".join(str(row["method"]) for row in rows)
        other = [
            f"{row['method']} ({_digits(row['largest_difference'])})"
            for row in rows
            if row["largest_difference"] != 0.0
        ]
        came = (
            "all came out the same, bit for bit"
            if not other
            else f"others came of {', '.join(other)}, in brackets the largest difference of a feature"
        )
        lines.append(
            f"motions of {methods} are of earlier code {code}; {count} of them were made again by this one: {came}"
        )
    return lines


def _digits(difference: float | None) -> str:
    return "none could be made" if difference is None else f"{difference:.2g}"


def _apart(evaluation: Evaluation, part: Part, shard: Shard) -> float | None:
    scripts = [part.scripts[number] for number in shard.numbers]
    try:
        made = perform(evaluation.model, scripts, part.settings)
    except CollageError:  # what earlier code could make is no reason to lose a scored table
        return None
    kept = read_features(shard)
    return float(np.abs(made - kept).max()) if made.shape == kept.shape else None


def _longest(evaluation: Evaluation, now: Mapping[str, Any]) -> dict[tuple[str, str], tuple[Part, Shard]]:
    """Of each method and code other than this one's, on this device and torch, a batch with the longest motion.

    Of several the one with the fewest frames: long motions have the most windows, and so the most that can differ.
    """
    chosen: dict[tuple[str, str], tuple[Part, Shard]] = {}
    sizes: dict[tuple[str, str], tuple[int, int]] = {}
    for part in evaluation.parts():
        for shard in evaluation.store.shards(part.method, part.record, part.replication, part.marks):
            maker = json.loads(shard.maker)
            if maker.get("code") in (None, now["code"]) or max(shard.numbers) >= len(part.scripts):
                continue
            if any(maker.get(name) != now[name] for name in ("device", "torch")):
                continue
            key, frames = (part.method, maker["code"]), [part.scripts[n].n_frames for n in shard.numbers]
            size = (-max(frames), sum(frames))
            if key not in sizes or size < sizes[key]:
                chosen[key], sizes[key] = (part, shard), size
    return chosen
