"""What metrics are shown: one method in one replication, and the real clips that it is compared with."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collage_motion.features import features_to_joints

from .jerk import seam_curves
from .protocols import Held
from .testbed import Asked, Rows, Testbed

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Real:
    """What a replication's figures are compared with, embedded once for all methods.

    reference: the clips of FID (M, D). windows: random 60-frame windows of `Drawn.apart` (K, D), as many as there are
    seams, clips of that length counted alike. different, different_windows: clips that stand for generated motions
    (`Drawn.different`), and windows of them in the same way. floor, window_floor: FID between those disjoint real sets
    of the sizes compared; none where the reference holds what was asked for. cuts, different_cuts: random stretches
    of the clips of `reference` and `different` (`windows.cuts`), where there is a floor. j_avg: mean jerk of the clips.
    """

    reference: Floats
    windows: Floats | None
    floor: float | None
    window_floor: float | None
    j_avg: float
    different: Floats | None = None
    different_windows: Floats | None = None
    cuts: Floats | None = None
    different_cuts: Floats | None = None


@dataclass(frozen=True, eq=False)
class Scene:
    """One method in one replication.

    asked: with a row of `text` and `motion` (N, D) and raw features (`pieces`) each; none of them where captions
    have no real clips. sample: what FID is of where that is not `motion`: different clips for the row of real ones,
    whose captions are drawn again. motions: raw features of whole motions, a loop twice over.
    seams: of each, those with room for their window that have real places beside them (`windows.places_beside`).
    windows: embeddings (K, D) of the 60 frames around each seam. prompts: of each motion where they change, `changes`
    being the seams between them. held: what each motion was held to. seed: of the draws of metrics, the same for all.
    """

    real: Real
    testbed: Testbed | None
    asked: Sequence[Asked]
    text: Floats | None
    motion: Floats | None
    motions: Sequence[Rows]
    seams: Sequence[Sequence[int]]
    pieces: Sequence[Rows] = ()
    windows: Floats | None = None
    prompts: Sequence[Sequence[str]] = ()
    changes: Sequence[Sequence[int]] = ()
    held: Sequence[Held | None] = ()
    loop: bool = False
    seconds_each: tuple[float, float] | None = None
    seed: int = 0
    sample: Floats | None = None

    @property
    def rng(self) -> np.random.Generator:
        """A generator of its own for each draw."""
        return np.random.default_rng((self.seed, 6))

    @cached_property
    def joints(self) -> list[NDArray[Any]]:
        """Joints (F, 22, 3) in metres of the whole motions, from the positions of their features."""
        return joints_of(self.motions)

    @cached_property
    def piece_joints(self) -> list[NDArray[Any]]:
        """Joints (F, 22, 3) in metres of the pieces; of the whole motions where nothing of them stands for a clip."""
        return joints_of(self.pieces) if len(self.pieces) else self.joints

    @cached_property
    def curves(self) -> Floats | None:
        """J(t) around every seam (K, 57), or nothing where there is none."""
        return seam_curves(self.joints, self.seams) if any(map(len, self.seams)) else None


def joints_of(motions: Sequence[Rows]) -> list[NDArray[Any]]:
    """Joints (F, 22, 3) in metres of raw features (F, 263), in double precision."""
    return [np.asarray(features_to_joints(rows.astype(np.float64))) for rows in motions]
