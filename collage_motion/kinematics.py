"""Joint positions <-> local rotations of a skeleton with constant bone lengths; numpy, float64 inside.

A joint's rotation turns the bones that leave it (as in BVH): position[j] = position[p] + R_p offset[j] with
R_p the product of the local rotations from the root down to the parent p. With all rotations the identity it
stands in its rest pose, a T-pose: y up, facing +z, left towards +x, arms along x, feet flat.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solveh_banded

from collage_motion import rotation
from collage_motion.errors import DataError
from collage_motion.skeleton import N_JOINTS, PARENTS

Array = NDArray[np.floating]
Complex = NDArray[np.complex128]

CHILDREN = tuple(tuple(c for c in range(N_JOINTS) if PARENTS[c] == j) for j in range(N_JOINTS))
"""Children of each joint; a joint without children ends a limb and has no rotation of its own."""

REST_DIRECTIONS = np.array(
    [
        (0, 0, 0), (0, -1, 0), (0, -1, 0), (0, 1, 0), (0, -1, 0), (0, -1, 0), (0, 1, 0), (0, -1, 0),
        (0, -1, 0), (0, 1, 0), (0, 0, 1), (0, 0, 1), (0, 1, 0), (1, 0, 0), (-1, 0, 0), (0, 1, 0),
        (1, 0, 0), (-1, 0, 0), (1, 0, 0), (-1, 0, 0), (1, 0, 0), (-1, 0, 0),
    ],
    dtype=np.float64,
)  # fmt: skip
"""Unit direction of each bone in the T-pose; those at hubs, the head and the feet are measured."""

HUBS = {0: (1, 2, 3), 9: (13, 14, 12)}
"""Left, right and upward child of the joints with several children; three bones fix such a joint fully."""

LEGS, ARMS = (1, 2), (16, 17)
HINGES = {1: (1, 0, 0), 2: (1, 0, 0), 16: (0, -1, 0), 17: (0, 1, 0)}
"""Axis, in the T-pose, about which the knee or elbow below this joint bends; it tells the bone's twist."""

HINGE_WEIGHT = (
    6.0  # a joint bent by 25 degrees says as much about the twist as the frame carried down from above
)
FOOT_WEIGHT = 0.7
TWIST_STIFFNESS = 10.0
HEAD_TILT = (-0.2, 1.0)  # radians forward of the neck that a head at rest may have
FOOT_PITCH = (0.0, 0.9)  # radians below the horizon that a flat foot's ankle-to-toe line may have


class SolveError(NamedTuple):
    """Distance of solved from raw joints in metres; largest turn of a joint in one frame in radians."""

    mean: float
    worst: float
    largest_step: float


def forward_kinematics(rotations: ArrayLike, offsets: ArrayLike, root: ArrayLike) -> NDArray[np.float32]:
    """Joints (F, 22, 3) of local rotations (F, 22, 4) wxyz, offsets (22, 3) and root positions (F, 3)."""
    turned = global_rotations(rotations)
    bones = np.asarray(offsets, dtype=np.float64)
    joints = np.empty((*turned.shape[:-1], 3))
    joints[:, 0] = np.asarray(root, dtype=np.float32)  # as it is stored, so that a result reproduces itself
    for j in range(1, N_JOINTS):
        joints[:, j] = joints[:, PARENTS[j]] + rotation.rotate(turned[:, PARENTS[j]], bones[j])
    return joints.astype(np.float32)


def global_rotations(rotations: ArrayLike) -> Array:
    """Rotations (F, 22, 4) from each joint to the world, of local rotations (F, 22, 4)."""
    turned = rotation.unit(np.asarray(rotations, dtype=np.float64))
    for j in range(1, N_JOINTS):
        turned[:, j] = rotation.multiply(turned[:, PARENTS[j]], turned[:, j])
    return turned


def solve_rotations(joints: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Local rotations (F, 22, 4) wxyz and offsets (22, 3) that best reach the raw `joints` (F, 22, 3).

    Bone lengths are the medians over the frames. From the root down, hubs are aligned with all their bones at
    once, other joints point at their child from where they themselves ended up, so errors do not add up along
    a limb. The root stays where it is. Positions leave the twist about a bone open: it is taken from the bend
    of the knee or elbow below, from the foot, and otherwise carried down from the parent and along time, so
    that it never jumps. Limb ends have the identity.

    Raises DataError when the array has another shape or a number in it is not finite.
    """
    raw = np.asarray(joints, dtype=np.float64)
    if raw.ndim != 3 or raw.shape[1:] != (N_JOINTS, 3) or not len(raw):
        raise DataError(
            f"joints: got shape {raw.shape}, need (frames, {N_JOINTS}, 3) with at least one frame"
        )
    if not np.isfinite(raw).all():
        frame = int(np.flatnonzero(~np.isfinite(raw).all(axis=(1, 2)))[0])
        raise DataError(f"joints: frame {frame} holds a number that is not finite; drop it before solving")
    offsets = _rest_offsets(raw)
    turned = _solve_frames(_onto_lengths(raw, offsets), offsets)
    local = turned.copy()
    for j in range(1, N_JOINTS):
        local[:, j] = rotation.multiply(rotation.inverse(turned[:, PARENTS[j]]), turned[:, j])
    for j in range(N_JOINTS):
        if not CHILDREN[j]:
            local[:, j] = rotation.IDENTITY
    return rotation.unflip(rotation.unit(local)).astype(np.float32), offsets.astype(np.float32)


def solve_error(raw: ArrayLike, rotations: ArrayLike, offsets: ArrayLike) -> SolveError:
    """How well solved rotations (F, 22, 4) and offsets (22, 3) follow the raw joints (F, 22, 3)."""
    target = np.asarray(raw, dtype=np.float64)
    distance = np.linalg.norm(forward_kinematics(rotations, offsets, target[:, 0]) - target, axis=-1)
    quaternions = np.asarray(rotations, dtype=np.float64)
    steps = rotation.angle_between(quaternions[:-1], quaternions[1:])
    return SolveError(float(distance.mean()), float(distance.max()), float(steps.max(initial=0.0)))


def _rest_offsets(raw: Array) -> Array:
    """Offsets (22, 3) of the T-pose with the clip's bone lengths, hub shapes, head tilt and foot pitch."""
    lengths = np.array(
        [np.median(np.linalg.norm(raw[:, j] - raw[:, max(PARENTS[j], 0)], axis=-1)) for j in range(N_JOINTS)]
    )
    directions = REST_DIRECTIONS.copy()
    hub_frames = {hub: _hub_axes(raw, hub) for hub in HUBS}
    chest = hub_frames[9]
    head = np.einsum("fba,fb->fa", chest, rotation.unit(raw[:, 15] - raw[:, 12]))
    tilt = np.clip(np.median(np.arctan2(head[:, 2], head[:, 1])), *HEAD_TILT)
    directions[15] = (0, np.sin(np.pi / 2 - tilt), np.cos(np.pi / 2 - tilt))
    for ankle, toe in ((7, 10), (8, 11)):
        low = raw[:, toe, 1] <= np.percentile(raw[:, toe, 1], 25)
        foot = rotation.unit(raw[low, toe] - raw[low, ankle])
        pitch = np.clip(np.median(np.arcsin(np.clip(-foot[:, 1], -1, 1))), *FOOT_PITCH)
        directions[toe] = (0, -np.sin(pitch), np.cos(pitch))
    offsets = directions * lengths[:, None]
    for hub, children in HUBS.items():
        bones = raw[:, children] - raw[:, [hub]]
        frames = hub_frames[hub]
        for _ in range(3):
            shape = np.median(np.einsum("fba,fkb->fka", frames, bones), axis=0)
            frames = _align(shape, bones)
        offsets[list(children)] = shape
    return offsets


def _onto_lengths(raw: Array, offsets: Array, rounds: int = 4) -> Array:
    """Joints (F, 22, 3) near `raw` whose bones have almost the lengths of `offsets`; the root does not move.

    Both ends of a bone of the wrong length move half the way, which spreads an error over its neighbours
    instead of handing it down the limb (a seventh less mean error at 1 cm of noise; more rounds do little).
    """
    joints = raw.copy()
    lengths = np.linalg.norm(offsets, axis=-1)
    single = [j for j in range(1, N_JOINTS) if PARENTS[j] not in HUBS]
    for _ in range(rounds):
        for hub, children in HUBS.items():
            members = [hub, *children]
            shape = np.vstack((np.zeros(3), offsets[list(children)]))
            joints[:, members] = _rigid_fit(shape, joints[:, members], pinned=hub == 0)
        for j in single:
            bone = joints[:, j] - joints[:, PARENTS[j]]
            size = np.maximum(np.linalg.norm(bone, axis=-1, keepdims=True), 1e-9)
            half = bone * (0.5 - 0.5 * lengths[j] / size)
            joints[:, j] -= half
            joints[:, PARENTS[j]] += half
        joints[:, 0] = raw[:, 0]
    return joints


def _rigid_fit(shape: Array, points: Array, pinned: bool) -> Array:
    """`shape` (K, 3) as near to points (F, K, 3) as a rigid body can be; pinned: its first point does not move."""
    pivot = shape[0] if pinned else shape.mean(axis=0)
    place = points[:, :1] if pinned else points.mean(axis=1, keepdims=True)
    return place + np.einsum("fab,kb->fka", _align(shape - pivot, points - place), shape - pivot)


def _hub_axes(raw: Array, hub: int) -> Array:
    """Frames (F, 3, 3) of a hub read off its bones: x from right to left child, y upwards, z forward."""
    left, right, up = HUBS[hub]
    x = rotation.unit(raw[:, left] - raw[:, right])
    # Two estimates of "up", because on some skeletons one of them is nearly zero.
    upward = 2 * raw[:, up] - raw[:, hub] - 0.5 * (raw[:, left] + raw[:, right])
    z = rotation.unit(np.cross(x, upward))
    return np.stack((x, np.cross(z, x), z), axis=-1)


def _align(shape: Array, bones: Array) -> Array:
    """Rotation matrices (F, 3, 3) that best turn `shape` (K, 3) onto `bones` (F, K, 3) (Kabsch)."""
    u, _, vt = np.linalg.svd(np.einsum("ka,fkb->fab", shape, bones))
    v, ut = np.swapaxes(vt, -1, -2), np.swapaxes(u, -1, -2)
    v[..., 2] *= np.where(np.linalg.det(v @ ut) < 0, -1, 1)[:, None]
    return v @ ut


def _solve_frames(raw: Array, offsets: Array) -> Array:
    """Global rotations (F, 22, 4) of all joints, from the root down."""
    n_frames = len(raw)
    turned = np.tile(rotation.IDENTITY, (n_frames, N_JOINTS, 1))
    solved = raw.copy()
    for j in range(N_JOINTS):
        if j:
            p = PARENTS[j]
            solved[:, j] = solved[:, p] + rotation.rotate(turned[:, p], offsets[j])
        if j in HUBS:
            children = list(HUBS[j])
            turned[:, j] = rotation.from_matrix(_align(offsets[children], raw[:, children] - solved[:, [j]]))
        elif CHILDREN[j]:
            turned[:, j] = _aim(raw, solved, turned, offsets, j)
        else:
            turned[:, j] = turned[:, PARENTS[j]]
    _spread_spine_twist(turned)
    return turned


def _aim(raw: Array, solved: Array, turned: Array, offsets: Array, j: int) -> Array:
    """Global rotations (F, 4) of a joint that points at its one child, its twist smooth in time."""
    (child,) = CHILDREN[j]
    parent = turned[:, PARENTS[j]]
    upright = rotation.inverse(parent)
    rest = rotation.unit(offsets[child])
    aim = rotation.unit(rotation.rotate(upright, raw[:, child] - solved[:, j]))
    aim = np.where(np.any(aim, axis=-1, keepdims=True), aim, rest)
    carried = _carry_along_time(rest, aim)
    swing = rotation.multiply(rotation.inverse(carried), rotation.shortest_arc(rest, aim))
    swing_angle = 2 * np.arctan2(swing[:, 1:] @ rest, swing[:, 0])
    # A swing of half a turn has no axis: trust it less the nearer it comes to that.
    votes = np.asarray(0.5 * (1 + aim @ rest) * np.exp(1j * swing_angle), dtype=np.complex128)
    if j in HINGES:
        to_local = rotation.multiply(rotation.inverse(carried), upright)
        below = rotation.unit(raw[:, CHILDREN[child][0]] - raw[:, child])
        bend = rotation.rotate(to_local, np.cross(rotation.rotate(parent, aim), below))
        votes += HINGE_WEIGHT * _vote(rest, np.array(HINGES[j], dtype=float), bend)
        if j in LEGS:
            toe, ankle = child + 6, child + 3
            foot = rotation.rotate(to_local, rotation.unit(raw[:, toe] - raw[:, ankle]))
            straight = np.clip(np.sum(rotation.rotate(parent, aim) * below, axis=-1), 0, 1) ** 2
            votes += FOOT_WEIGHT * straight * _vote(rest, np.array([0.0, 0.0, 1.0]), foot)
    twist = rotation.from_axis_angle(rest, _settle(votes))
    return rotation.multiply(parent, rotation.multiply(carried, twist))


def _carry_along_time(rest: Array, aim: Array) -> Array:
    """Rotations (F, 4) that take `rest` (3,) to `aim` (F, 3), each the smallest turn from the one before."""
    steps = rotation.shortest_arc(np.concatenate((rest[None], aim[:-1])), aim)
    carried = np.empty_like(steps)
    now = rotation.IDENTITY
    for f, step in enumerate(steps):
        now = rotation.multiply(step, now)
        carried[f] = now
    return rotation.unit(carried)


def _vote(axis: Array, reference: Array, seen: Array) -> Complex:
    """Twist about `axis` (3,) from `reference` (3,) to `seen` (F, 3), complex (F,), length |seen|^2."""
    side = np.cross(axis, reference)
    flat = seen @ reference + 1j * (seen @ side)
    return flat * np.abs(flat)


def _settle(votes: Complex) -> Array:
    """Angles (F,) near the directions of `votes` (F,) where those are long, smooth where they are short."""
    weights = np.abs(votes) + 1e-6
    angles = np.angle(votes)
    targets = np.empty_like(angles)
    now = angles[int(np.argmax(weights[:20]))]
    for f, (angle, weight) in enumerate(zip(angles, weights, strict=True)):
        ahead = np.mod(angle - now + np.pi, 2 * np.pi) - np.pi
        targets[f] = now + ahead
        now += ahead * weight / (weight + 0.5)
    if len(targets) == 1:
        return targets
    # Minimise sum w (x - target)^2 + stiffness (x[f+1] - x[f])^2: a tridiagonal system.
    bands = np.zeros((2, len(targets)))
    bands[1] = weights + 2 * TWIST_STIFFNESS
    bands[1, [0, -1]] -= TWIST_STIFFNESS
    bands[0, 1:] = -TWIST_STIFFNESS
    return solveh_banded(bands, weights * targets)


def _spread_spine_twist(turned: Array) -> None:
    """Share the chest's twist against the pelvis among the three spine joints, in place; no joint moves."""
    between = rotation.multiply(rotation.inverse(turned[:, 6]), turned[:, 9])
    angle = 2 * np.arctan2(between[:, 2], between[:, 0])
    angle = np.unwrap(np.mod(angle + np.pi, 2 * np.pi) - np.pi)
    for joint, share in ((3, 1 / 3), (6, 2 / 3)):
        turned[:, joint] = rotation.multiply(
            turned[:, joint], rotation.from_axis_angle((0.0, 1.0, 0.0), share * angle)
        )
