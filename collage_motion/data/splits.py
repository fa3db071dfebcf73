"""Deal recordings into training, validation and test sets."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

SPLITS: Final = ("train", "val", "test")
"""Names of the splits; their place is the code in a prepared file."""

SHARES: Final = {"test": 0.10, "val": 0.05}

FEWEST_TO_SPLIT: Final = 10
"""A content with fewer recordings goes into training as a whole."""


def deal(
    groups: Sequence[str], styles: Sequence[str], seed: int = 0, heads: Sequence[int] | None = None
) -> list[int]:
    """Split code of each recording, stratified by group (content) and, within it, by style.

    Within a group the recordings are shuffled, laid out style by style, and every tenth or so is taken, so
    that each share is met within one recording in every group and as nearly as possible in every style. A group of
    at least `FEWEST_TO_SPLIT` recordings always has one in each split. `heads` ties recordings together:
    `heads[i]` is the index of the recording whose split i must share, its own where it is free.
    Depends only on the arguments.
    """
    heads = range(len(groups)) if heads is None else heads
    codes = [SPLITS.index("train")] * len(groups)
    for number, group in enumerate(sorted(set(groups))):
        members = [index for index, name in enumerate(groups) if name == group and heads[index] == index]
        if len(members) < FEWEST_TO_SPLIT:
            continue
        random = np.random.default_rng([seed, number])
        order = [members[k] for k in random.permutation(len(members))]
        order.sort(key=lambda index: styles[index])
        for split, share in SHARES.items():
            count = max(1, math.ceil(len(order) * share))
            taken = {int((k + random.random()) * len(order) / count) for k in range(count)}
            for place in taken:
                codes[order[place]] = SPLITS.index(split)
            order = [index for place, index in enumerate(order) if place not in taken]
    return [codes[head] for head in heads]


def tie(frames: Sequence[set[bytes]], least: int = 3) -> list[int]:
    """`heads` for `deal` from the frames of each recording: sharing at least `least` frames ties them."""
    heads = list(range(len(frames)))

    def head(index: int) -> int:
        while heads[index] != index:
            index = heads[index]
        return index

    for (one, other), count in shared_frames(frames).items():
        if count >= least:
            low, high = sorted((head(one), head(other)))
            heads[high] = low
    return [head(index) for index in range(len(frames))]


def shared_frames(frames: Sequence[set[bytes]]) -> dict[tuple[int, int], int]:
    """How many frames two recordings have in common, for all pairs (lower, higher) that have any."""
    owners: dict[bytes, list[int]] = {}
    for index, keys in enumerate(frames):
        for key in keys:
            owners.setdefault(key, []).append(index)
    counts: dict[tuple[int, int], int] = {}
    for indices in owners.values():
        for place, one in enumerate(indices):
            for other in indices[place + 1 :]:
                counts[one, other] = counts.get((one, other), 0) + 1
    return dict(sorted(counts.items()))
