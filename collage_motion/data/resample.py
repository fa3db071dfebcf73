"""Change the frame rate of joint positions, and cut long recordings into pieces."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from collage_motion.errors import DataError
from collage_motion.skeleton import FPS


def resample(joints: NDArray[np.floating], fps: float, target_fps: float = FPS) -> NDArray[np.float64]:
    """Positions (T, ..., 3) at the times k / target_fps that the recording covers.

    Rates that divide evenly are picked out exactly. Otherwise a cubic spline is read at the exact times: from
    30 to 20 fps every second output lies midway between two frames, and averaging those two (linear
    interpolation) would blur every second frame and leave a 10 Hz flutter in velocity and jerk.
    Raises DataError for rates that are not positive.
    """
    if not (np.isfinite(fps) and fps > 0 and np.isfinite(target_fps) and target_fps > 0):
        raise DataError(f"cannot resample from {fps} to {target_fps} fps; both must be positive")
    step = fps / target_fps
    if len(joints) < 2 or abs(step - round(step)) < 1e-9:
        return np.array(joints[:: max(round(step), 1)], dtype=np.float64)
    # The small allowance keeps a last frame that falls on the end of the recording up to rounding.
    times = np.arange(int(np.floor((len(joints) - 1) / step + 1e-6)) + 1) * step
    return np.asarray(CubicSpline(np.arange(len(joints)), joints, axis=0)(times), dtype=np.float64)


def pieces(n_frames: int, longest: int = 196, shortest: int = 10) -> list[tuple[int, int]]:
    """Cut a recording into ranges of nearly equal length of at most `longest` frames; none if too short."""
    if n_frames < shortest:
        return []
    count = -(-n_frames // longest)
    bounds = [round(n_frames * k / count) for k in range(count + 1)]
    return list(pairwise(bounds))


def steady_ranges(joints: NDArray[np.floating], fps: float, most: float = 700.0) -> list[tuple[int, int]]:
    """The ranges of frames of (T, J, 3) in metres that hold no jump, in order; all of it when nothing jumps.

    A jump is a joint that accelerates by more than `most` m/s²: a knee that snaps aside for one frame and
    back, as motion solved from lost markers has it. Kicks and landings of real people stay below 200 m/s².
    """
    if len(joints) < 3:
        return [(0, len(joints))]
    acceleration = np.linalg.norm(np.diff(joints, 2, axis=0), axis=-1).max(axis=1) * fps**2
    # A second difference spans three frames; any of them may be the bad one.
    bad = np.zeros(len(joints) + 2, dtype=bool)
    for shift in range(3):
        bad[1 + shift : 1 + shift + len(acceleration)] |= acceleration > most
    bad[0] = bad[-1] = True
    edges = np.flatnonzero(np.diff(bad.astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in zip(edges[0::2], edges[1::2], strict=True)]
