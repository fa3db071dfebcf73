"""Motions that earlier code made, made again by this one: whether both are the same, bit for bit."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .running import Evaluation, Part, Watch
from .sampling import perform
from .store import Shard, read_features


def recheck(evaluation: Evaluation, watch: Watch) -> list[dict[str, Any]]:
    """One batch of every method and other code, made again: for JSON, with how far the two are apart.

    A run that spans a change of the package is worth its time only if the change left its methods as they were; this
    measures it, in the batch with the fewest frames. Not of motions that another device or torch made, which
    differ anyway.
    """
    now = json.loads(evaluation.store.maker)
    chosen = _smallest(evaluation, now)
    if chosen:
        watch.begin(f"making {len(chosen)} batches of earlier code again")
    found = []
    for done, ((method, code), (part, shard)) in enumerate(chosen.items()):
        watch.step(done, len(chosen))
        made = perform(evaluation.model, [part.scripts[number] for number in shard.numbers], part.settings)
        apart = float(np.abs(made - read_features(shard)).max())
        commit = json.loads(shard.maker)["commit"]
        found.append(
            {
                "method": method, "made_by": code, "commit": commit, "again_by": now["code"],
                "motions": len(shard.numbers), "largest_difference": apart,
            }
        )  # fmt: skip
    return found


def same_code(rechecked: Sequence[Mapping[str, Any]]) -> set[str]:
    """The other codes whose motions all came out the same again."""
    codes = {str(row["made_by"]) for row in rechecked}
    return codes - {str(row["made_by"]) for row in rechecked if row["largest_difference"] != 0.0}


def said(rechecked: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for the table on each other code: what was made again, and how it came out."""
    lines = []
    for code in dict.fromkeys(str(row["made_by"]) for row in rechecked):
        rows = [row for row in rechecked if row["made_by"] == code]
        count, methods = sum(row["motions"] for row in rows), ", ".join(str(row["method"]) for row in rows)
        other = [str(row["method"]) for row in rows if row["largest_difference"] != 0.0]
        came = (
            "all came out the same, bit for bit" if not other else f"other motions came of {', '.join(other)}"
        )
        lines.append(
            f"motions of {methods} are of earlier code {code}; {count} of them were made again by this one: {came}"
        )
    return lines


def _smallest(evaluation: Evaluation, now: Mapping[str, Any]) -> dict[tuple[str, str], tuple[Part, Shard]]:
    """The batch with the fewest frames of each method and code other than this one's, on this device and torch."""
    chosen: dict[tuple[str, str], tuple[Part, Shard]] = {}
    sizes: dict[tuple[str, str], int] = {}
    for part in evaluation.parts():
        for shard in evaluation.store.shards(part.method, part.record, part.replication, part.marks):
            maker = json.loads(shard.maker)
            if maker.get("code") in (None, now["code"]) or max(shard.numbers) >= len(part.scripts):
                continue
            if any(maker.get(name) != now[name] for name in ("device", "torch")):
                continue
            key, size = (part.method, maker["code"]), sum(part.scripts[n].n_frames for n in shard.numbers)
            if size < sizes.get(key, size + 1):
                chosen[key], sizes[key] = (part, shard), size
    return chosen
