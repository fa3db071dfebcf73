"""Ways to spoil real motion, for an evaluator to learn from and for checking that it notices.

All take raw feature rows (F, 263), F at least 8, and a generator, and return new rows of the same shape in
which positions, velocities and root agree as those of a recording do, so that only the motion is wrong.
Severities are drawn within limits that a person would notice at the lower end.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from collage_motion.features import CONTACTS, POSITIONS, ROOT_HEIGHT, ROOT_XZ, ROOT_YAW, ROTATIONS, VELOCITIES
from collage_motion.skeleton import FPS, N_JOINTS

Rows = NDArray[np.float32]
Corruption = Callable[[Rows, np.random.Generator], Rows]


def jitter(rows: Rows, rng: np.random.Generator, metres: float | None = None) -> Rows:
    """Every joint shakes: independent noise in every frame, standard deviation 5 to 30 mm (drawn when None)."""
    scale = np.exp(rng.uniform(np.log(0.005), np.log(0.03))) if metres is None else metres
    return _displaced(rows, rng.normal(0, scale, (len(rows), N_JOINTS, 3)))


def wobble(rows: Rows, rng: np.random.Generator, metres: float | None = None) -> Rows:
    """Every joint drifts to and fro: noise that changes over about a third of a second, 20 to 80 mm."""
    scale = np.exp(rng.uniform(np.log(0.02), np.log(0.08))) if metres is None else metres
    noise = gaussian_filter1d(rng.normal(0, 1, (len(rows) + 40, N_JOINTS, 3)), 6.0, axis=0)[20:-20]
    return _displaced(rows, noise / noise.std() * scale)


def feature_noise(rows: Rows, rng: np.random.Generator, share: float | None = None) -> Rows:
    """Independent noise on every feature, as a share (0.1 to 0.5) of its own standard deviation in the motion."""
    level = rng.uniform(0.1, 0.5) if share is None else share
    spread = rows.std(0) + 0.02 * np.abs(rows).mean(0)
    return np.asarray(rows + rng.normal(0, 1, rows.shape) * spread * level, dtype=np.float32)


def frozen(rows: Rows, rng: np.random.Generator, share: float | None = None) -> Rows:
    """The body stops for a share (0.4 to 1) of the time, anywhere in the motion."""
    stop = max(4, round(len(rows) * (rng.uniform(0.4, 1.0) if share is None else share)))
    start = int(rng.integers(len(rows) - stop + 1))
    out = rows.copy()
    out[start : start + stop] = rows[start]
    still = slice(start, start + stop - (start + stop < len(rows)))
    for group in (ROOT_YAW, ROOT_XZ, VELOCITIES):
        out[still, group] = 0.0
    out[still, CONTACTS] = 1.0
    return out


def foot_slide(rows: Rows, rng: np.random.Generator, speed: float | None = None) -> Rows:
    """The whole body glides over the floor in one direction of its own, at 0.3 to 1.2 m/s."""
    along = rng.uniform(0.3, 1.2) if speed is None else speed
    angle = rng.uniform(0, 2 * np.pi)
    step = along / FPS * np.array([np.sin(angle), np.cos(angle)])
    out = rows.copy()
    out[:, ROOT_XZ] += step
    velocities = out[:, VELOCITIES].reshape(len(rows), N_JOINTS, 3)  # a view of the copy
    velocities[..., ::2] += step
    out[:, VELOCITIES] = velocities.reshape(len(rows), -1)
    return out


def smoothed(rows: Rows, rng: np.random.Generator, frames: float | None = None) -> Rows:
    """A motion averaged over time with a Gaussian of 4 to 10 frames: small, floating, without impacts."""
    sigma = rng.uniform(4.0, 10.0) if frames is None else frames
    return np.asarray(gaussian_filter1d(rows.astype(np.float64), sigma, axis=0, mode="nearest"), np.float32)


def cut(rows: Rows, rng: np.random.Generator) -> Rows:
    """A jump: the second part begins at another moment of the motion, without anything in between."""
    middle = int(rng.integers(len(rows) // 4, len(rows) - len(rows) // 4))
    shift = int(rng.integers(len(rows) // 4, len(rows) // 2 + 1))
    return np.concatenate([rows[:middle], np.roll(rows, -shift, axis=0)[middle:]])


def reversed_time(rows: Rows, rng: np.random.Generator | None = None) -> Rows:
    """The motion played backwards; velocities point the other way."""
    out = rows[::-1].copy()
    for group in (ROOT_YAW, ROOT_XZ, VELOCITIES):
        out[:-1, group] = -rows[::-1][1:, group]  # the move into a frame was the one out of the frame before
        out[-1, group] = out[-2, group]
    return out


def faster(rows: Rows, rng: np.random.Generator | None = None, times: float = 2.0) -> Rows:
    """The motion played at another speed within the same number of frames, from its start and repeated."""
    at = (np.arange(len(rows)) * times) % (len(rows) - 1)
    low = at.astype(int)
    out = rows[low] + (rows[low + 1] - rows[low]) * (at - low)[:, None].astype(np.float32)
    for group in (ROOT_YAW, ROOT_XZ, VELOCITIES):
        out[:, group] *= times
    return np.asarray(out, np.float32)


def other_legs(rows: Rows, rng: np.random.Generator | None = None) -> Rows:
    """Legs half a motion ahead of the body: joints of both legs take their values from another moment."""
    legs = np.array([1, 2, 4, 5, 7, 8, 10, 11])
    shifted = np.roll(rows, len(rows) // 2, axis=0)
    out = rows.copy()
    for group, joints, width in ((POSITIONS, legs - 1, 3), (ROTATIONS, legs - 1, 6), (VELOCITIES, legs, 3)):
        columns = (group.start + joints[:, None] * width + np.arange(width)).ravel()
        out[:, columns] = shifted[:, columns]
    out[:, CONTACTS] = shifted[:, CONTACTS]
    return out


def _displaced(rows: Rows, offsets: NDArray[Any]) -> Rows:
    """Rows whose joints are moved by offsets (F, 22, 3) in the frame of the heading; the root moves in height only."""
    moved = offsets.copy()
    moved[:, 0, ::2] = 0.0
    out = rows.astype(np.float64)
    out[:, ROOT_HEIGHT] += moved[:, 0, 1:2]
    out[:, POSITIONS] += moved[:, 1:].reshape(len(rows), -1)
    out[:-1, VELOCITIES] += np.diff(moved, axis=0).reshape(len(rows) - 1, -1)
    return out.astype(np.float32)


LEARNT: Final[Mapping[str, Corruption]] = MappingProxyType(
    {
        "jitter": jitter,
        "wobble": wobble,
        "feature_noise": feature_noise,
        "frozen": frozen,
        "foot_slide": foot_slide,
        "smoothed": smoothed,
        "cut": cut,
    }
)
"""Those that the evaluator's auxiliary task tells from real motion and from each other."""

UNSEEN: Final[Mapping[str, Corruption]] = MappingProxyType(
    {"reversed_time": reversed_time, "faster": faster, "other_legs": other_legs}
)
"""Those that training never sees: whether the embedding notices them is an honest question."""
