"""How good a motion is as movement: sliding feet, jerk, seams and loops, as pure functions of joints.

Joints are (T, 22, 3) in metres, y up, at 20 fps. Jerk and the 60-frame window around a seam are those of
FlowMDM; the wrap gap of a loop is our own.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from collage_motion.errors import DataError
from collage_motion.skeleton import FPS, JOINTS, N_JOINTS, TOES

CONTACT_HEIGHT_M: Final = 0.05
"""A toe joint below this is taken to stand on the ground."""

SEAM_FRAMES: Final = 60
"""Length of the window around a seam (FlowMDM: 30 frames on each side)."""

INNER_MARGIN: Final = 15
"""Frames beside a seam that are not inside: half an overlap, and room for what it bends."""

Floats = NDArray[np.float64]

_LEFT_HIP, _RIGHT_HIP = JOINTS.index("left_hip"), JOINTS.index("right_hip")
_LEFT_SHOULDER, _RIGHT_SHOULDER = JOINTS.index("left_shoulder"), JOINTS.index("right_shoulder")


class Slide(NamedTuple):
    """Horizontal metres covered by the toes while on the ground, and for how many seconds."""

    metres: float
    seconds: float

    @property
    def speed(self) -> float:
        """Mean horizontal speed on the ground in m/s; 0 when no toe ever touches it."""
        return self.metres / self.seconds if self.seconds else 0.0


class WrapGap(NamedTuple):
    """How the end of a loop meets its beginning, beside neighbouring frames of the same motion.

    `pose` in metres and `velocity` in metres per frame are means over the joints; the limits are the
    percentile of the same figures at all neighbouring frames inside.
    """

    pose: float
    pose_limit: float
    velocity: float
    velocity_limit: float

    @property
    def closed(self) -> bool:
        """Whether the wrap is no larger a step than the limits allow."""
        return self.pose <= self.pose_limit and self.velocity <= self.velocity_limit


def across_heading(joints: ArrayLike) -> Floats:
    """Heading in radians (T,), unwrapped: 0 when facing +z, growing towards +x (to the left of the body).

    Perpendicular to the mean of the lines across hips and shoulders.
    """
    places = checked_joints(joints, least=1)
    across = places[:, _LEFT_HIP] - places[:, _RIGHT_HIP]
    across = across + places[:, _LEFT_SHOULDER] - places[:, _RIGHT_SHOULDER]
    return np.unwrap(np.arctan2(-across[:, 2], across[:, 0]))


def to_heading(vectors: ArrayLike, heading: ArrayLike) -> Floats:
    """Turn vectors (T, N, 3) into the frame of the heading (T,): x to the left, y up, z forward."""
    rows, angle = np.asarray(vectors, np.float64), np.asarray(heading, np.float64)[:, None]
    cos, sin = np.cos(angle), np.sin(angle)
    x, z = rows[..., 0], rows[..., 2]
    return np.stack([x * cos - z * sin, rows[..., 1], x * sin + z * cos], axis=-1)


def slide(joints: ArrayLike, floor: float = 0.0) -> Slide:
    """Horizontal way of the toe joints (10, 11) over frame pairs in which they are below 5 cm at both ends.

    `floor` is the height of the ground in metres.
    """
    toes = checked_joints(joints, least=2)[:, TOES]
    low = toes[..., 1] - floor < CONTACT_HEIGHT_M
    standing = low[1:] & low[:-1]
    way = np.linalg.norm(np.diff(toes[..., ::2], axis=0), axis=-1)
    return Slide(float(way[standing].sum()), float(standing.sum()) / FPS)


def total_slide(motions: Iterable[ArrayLike]) -> Slide:
    """The slides of several motions together, floor at y = 0."""
    slides = [slide(joints) for joints in motions]
    return Slide(sum(s.metres for s in slides), sum(s.seconds for s in slides))


def jerk(joints: ArrayLike) -> Floats:
    """Jerk J(t) (T-3,): third difference over frames, L1 over the axes, largest joint; metres per frame^3.

    J(t) belongs to frames t to t+3.
    """
    third = np.diff(checked_joints(joints, least=4), n=3, axis=0)
    return np.asarray(np.abs(third).sum(-1).max(-1))


def seam_jerk(joints: ArrayLike, seam: int, frames: int = SEAM_FRAMES) -> float:
    """Largest J(t) of the window of `frames` frames centred on a seam (the first frame of the new segment).

    Raises:
        DataError: the window leaves the motion.
    """
    places = checked_joints(joints, least=4)
    start = seam - frames // 2
    if start < 0 or start + frames > len(places):
        raise DataError(
            f"seam at frame {seam}: its window of {frames} frames leaves the motion of {len(places)} frames; "
            "choose segments of at least half the window"
        )
    return float(jerk(places[start : start + frames]).max())


def window_jerks(
    motions: Sequence[ArrayLike], count: int, rng: np.random.Generator, frames: int = SEAM_FRAMES
) -> Floats:
    """Largest J(t) (count,) of random windows of `frames` frames, every possible window being as likely.

    Raises:
        DataError: no motion is that long.
    """
    long_enough = [places for places in map(np.asarray, motions) if len(places) >= frames]
    if not long_enough:
        raise DataError(f"no motion has {frames} frames; a window needs that many")
    places_left = np.array([len(places) - frames + 1 for places in long_enough], dtype=np.float64)
    chosen = rng.choice(len(long_enough), count, p=places_left / places_left.sum())
    starts = [int(rng.integers(len(long_enough[k]) - frames + 1)) for k in chosen]
    return np.array([jerk(long_enough[k][s : s + frames]).max() for k, s in zip(chosen, starts, strict=True)])


def inner_jerk(
    joints: ArrayLike, start: int, end: int, seams: Sequence[int], margin: int = INNER_MARGIN
) -> Floats:
    """J(t) of the frames of a segment [start, end) that lie at least `margin` frames from every seam; may be none."""
    values = jerk(joints)
    first = np.arange(len(values))
    inside = (first >= start) & (first + 3 < end)
    for seam in seams:
        inside &= (first + 3 < seam - margin) | (first >= seam + margin)
    return values[inside]


def wrap_gap(joints: ArrayLike, percentile: float = 95.0) -> WrapGap:
    """Step from the last frame of a loop to its first, beside the steps between neighbouring frames.

    Poses are seen from the pelvis' floor point and heading. The pose gap is the mean joint distance of two
    neighbouring poses. The velocity change is the mean joint distance of the velocities before and after a
    pair of frames, each seen in its own heading: u[t+2] - u[t] with u[t] = p[t+1] - p[t]; at the wrap
    u[0] - u[T-2], the way from T-1 to 0 being known only up to the ground covered.
    """
    places = checked_joints(joints, least=8)
    heading = across_heading(places)
    poses = to_heading(places - places[:, :1] * np.array([1, 0, 1]), heading)
    velocities = to_heading(np.diff(places, axis=0), heading[:-1])
    steps = _mean_distance(poses[1:], poses[:-1])
    changes = _mean_distance(velocities[2:], velocities[:-2])
    return WrapGap(
        pose=float(_mean_distance(poses[:1], poses[-1:])[0]),
        pose_limit=float(np.percentile(steps, percentile)),
        velocity=float(_mean_distance(velocities[:1], velocities[-1:])[0]),
        velocity_limit=float(np.percentile(changes, percentile)),
    )


def _mean_distance(a: Floats, b: Floats) -> Floats:
    return np.asarray(np.linalg.norm(a - b, axis=-1).mean(-1))


def checked_joints(joints: Any, least: int) -> Floats:
    """Joints as float64 (T, 22, 3); raises DataError for another shape, fewer frames than `least` or NaN."""
    places = np.asarray(joints, dtype=np.float64)
    if places.ndim != 3 or places.shape[1:] != (N_JOINTS, 3):
        raise DataError(f"joints {places.shape}; a motion is (frames, 22, 3)")
    if len(places) < least:
        raise DataError(f"a motion of {len(places)} frames; this figure needs at least {least}")
    if not np.isfinite(places).all():
        raise DataError("joints are not finite numbers")
    return places
