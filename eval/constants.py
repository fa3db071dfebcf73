"""Figures of real motion that other figures are measured against, made by scripts/measure_real.py, never typed in."""

import json
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from collage_motion.errors import DataError
from collage_motion.skeleton import TOES

from .bones import bone_drift
from .feet import foot_skating_ratio, ground
from .jerk import area_of_mean, areas, mean_jerk, peak_of_mean, peaks, random_seams, seam_curves
from .quality import SEAM_FRAMES, total_slide

FILE: Final = "constants.json"
WINDOWS: Final = 4000
"""Random 60-frame windows behind the jerk of real motion."""

Joints = Sequence[NDArray[Any]]


def measure_joints(motions: Joints, seed: int = 0, windows: int = WINDOWS) -> dict[str, Any]:
    """Jerk, feet, ground and bones of motions (T, 22, 3) in metres at 20 fps, floor at 0; means weigh by
    frames.

    `j_avg` is FlowMDM's constant: mean J over all frames. `peak_jerk` and `area_under_jerk` stand for random
    windows, in the form of its code; `..._each` in the form of its text, with median and 95th percentile.
    """
    frames = np.array([len(joints) for joints in motions])
    long_enough = [joints for joints in motions if len(joints) >= SEAM_FRAMES]
    j_avg = mean_jerk(motions)
    seams = random_seams(long_enough, windows, np.random.default_rng(seed))
    curves = seam_curves(long_enough, seams)
    grounds = np.array([ground(joints) for joints in motions])
    drifts = [bone_drift(joints) for joints in motions]
    skating = [foot_skating_ratio(joints) for joints in motions]
    return {
        "motions": len(motions),
        "frames": int(frames.sum()),
        "windows": windows,
        "seed": seed,
        "j_avg": j_avg,
        "peak_jerk": peak_of_mean(curves),
        "area_under_jerk": area_of_mean(curves, j_avg),
        "peak_jerk_each": _spread(peaks(curves)),
        "area_under_jerk_each": _spread(areas(curves, j_avg)),
        "foot_skating_ratio": float(np.average(skating, weights=frames - 1)),
        "foot_slide": total_slide(motions).speed,
        "penetration": float(np.average(grounds[:, 0], weights=frames)),
        "floating": float(np.average(grounds[:, 1], weights=frames)),
        "lower_toe": float(np.median(np.concatenate([joints[:, TOES, 1].min(1) for joints in motions]))),
        "bone_drift": float(np.average([drift.mean for drift in drifts], weights=frames)),
        "bone_drift_worst": max(drift.worst for drift in drifts),
    }


@lru_cache(maxsize=1)
def read_constants() -> dict[str, Any]:
    """The constants of the shipped file: `measure_joints` of the test split, and `j_avg_train` beside it.

    Raises:
        DataError: the file is missing or broken.
    """
    try:
        content = json.loads(files(__package__).joinpath(FILE).read_text(encoding="utf-8"))
        return dict(content)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{FILE}: cannot be read ({error}); make it with scripts/measure_real.py") from None


def _spread(values: NDArray[np.float64]) -> dict[str, float]:
    p50, p95 = np.percentile(values, [50, 95])
    return {"mean": float(values.mean()), "p50": float(p50), "p95": float(p95)}
