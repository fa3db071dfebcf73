"""From joint positions to the 263 features of HumanML3D, in its exact form and in a mended one.

The exact form reproduces the data set with its flaws: when the heading passes 180 degrees away from +z, one
yaw step gets the wrong sign, and a bone opposite to its rest direction becomes NaN. The mended form, the
default, turns the right way and refuses such a bone. Both keep the data set's reading of the hips (see
`inverse_kinematics`), because published statistics and models contain it. As there, rotations are float32, and
sums, roots and products are rounded in its order and by torch's kernels: an arc between nearly opposite directions
magnifies the last bit a thousandfold.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter1d

from collage_motion.errors import DataError
from collage_motion.features import ROTATION_PARENTS
from collage_motion.rotation import inverse, matrix_to_six, multiply, to_matrix
from collage_motion.skeleton import FEET, JOINTS, MIRROR, N_FEATURES, N_JOINTS, PARENTS, RAW_DIRECTIONS

CONTACT_THRESHOLD: Final = 0.002
"""A foot is in contact while its squared displacement in one frame is below this, square metres."""

HEADING_SIGMA: Final = 20.0
"""Width of the Gaussian that smooths the heading, frames; it is cut off at four times this."""

_RAW: Final = np.array(RAW_DIRECTIONS, dtype=np.float32)
_ABOVE: Final = list(PARENTS[1:])


def _levels() -> list[tuple[list[int], list[int]]]:
    """Joints and the joints that their local rotations are relative to, from the root outwards."""
    levels, done = [], [0]
    while done:
        done = [joint for joint in range(1, N_JOINTS) if ROTATION_PARENTS[joint] in done]
        levels.append((done, [ROTATION_PARENTS[joint] for joint in done]))
    return levels[:-1]


_LEVELS: Final = _levels()
_IDENTITY: Final = np.array([1, 0, 0, 0], dtype=np.float32)
_LEFT_HAND: Final = (*range(22, 25), *range(34, 37), *range(25, 28), *range(31, 34), *range(28, 31))
_RIGHT_HAND: Final = (*range(43, 49), *range(40, 43), *range(37, 40), *range(49, 52))

Floats = NDArray[np.floating[Any]]


def extract_features(
    joints: ArrayLike, mend_flip: bool = True, heading_free: bool = False
) -> NDArray[np.float32]:
    """Features of a clip at 20 frames per second, after `canonicalise`; `uniform_skeleton` is the caller's.

    HumanML3D `process_file`. With `mend_flip` the root quaternion of frame t+1 is negated when its dot
    product with that of frame t is negative, so `features_to_joints` gives back the canonical joints; without
    it the row in which the heading passes 180 degrees has the wrong yaw sign, as in the data set, and bones
    without a direction give NaN.

    In the data set the rotation block holds arcs measured in the axes of the whole clip, so the heading since
    the clip's first frame leaks into it, and two windows of one motion disagree there. With `heading_free` the
    arcs are measured in each frame's heading instead; the other groups are the same.

    Takes (T, 22, 3) in metres, y up, T >= 2. Returns (T-1, 263). Raises `DataError` on other shapes and a
    first frame without a heading; with `mend_flip` also on joints that are not finite, other frames without a
    heading, and bones without length or opposite to their rest direction.
    """
    places = canonicalise(_clip(joints, least=2, finite=mend_flip))
    turns = inverse_kinematics(places, smooth=True, strict=mend_flip)
    root = turns[:, 0]
    steps = np.diff(places, axis=0)

    yaw = multiply(root[1:], inverse(root[:-1]))
    if mend_flip:
        # The product's scalar part is the two quaternions' dot product. The arc tangent equals the data set's
        # arc sine, but keeps its precision when the heading turns by nearly 180 degrees in one frame.
        half_yaw = np.arctan2(yaw[:, 2] * np.where(yaw[:, 0] < 0, -1, 1), np.abs(yaw[:, 0]))
    else:
        half_yaw = np.arcsin(np.clip(yaw[:, 2], -1, 1))
    contacts = (steps[:, FEET] ** 2).sum(-1) < CONTACT_THRESHOLD

    local = local_positions(places, root)
    if heading_free:
        turns, _ = _bone_turns(local, np.broadcast_to(_IDENTITY, root.shape), strict=mend_flip)

    rows = np.empty((len(places) - 1, N_FEATURES), dtype=np.float32)
    blocks = (
        half_yaw,
        _rotate(root[1:], steps[:, 0])[:, ::2],
        places[:-1, 0, 1],
        local[:-1, 1:],
        matrix_to_six(to_matrix(turns[:-1, 1:])),
        _rotate(root[:-1, None], steps),
        contacts,
    )
    return np.concatenate([block.reshape(len(rows), -1) for block in blocks], 1, out=rows)


def canonicalise(joints: ArrayLike) -> NDArray[np.float32]:
    """Put a clip on the floor, its first root at x = z = 0, its first heading along +z.

    HumanML3D `process_file`. Differs where the first heading is exactly -z: a half turn instead of NaN.

    Takes (T, 22, 3) in metres, y up. Returns the same shape. Raises `DataError` on other shapes or when the
    first frame has no heading.
    """
    places = _clip(joints, least=1)
    places = places - np.array([places[0, 0, 0], places[..., 1].min(), places[0, 0, 2]], dtype=places.dtype)
    first = places[0]
    forward = _heading((first[2] - first[1]) + (first[17] - first[16]))
    if _is_zero(forward):
        raise DataError(
            "frame 0: the line across hips and shoulders is vertical or has no length, so the clip has no "
            "heading; start it at a frame in which the body stands"
        )
    forward /= np.linalg.norm(forward)
    return _rotate(_to_front(forward[None]), places.astype(np.float32))


def inverse_kinematics(joints: ArrayLike, smooth: bool = True, strict: bool = False) -> NDArray[np.float32]:
    """Local rotations that give every bone its direction: the shortest arc from its rest direction, no twist.

    HumanML3D `Skeleton.inverse_kinematics_np`. Joint 0 holds the rotation from each frame's heading to +z,
    frame 0 the identity; both collars are relative to the root. The heading adds shoulders and hips with
    opposite signs, as the data set does: its joint list and the routine that reads it disagree about left and
    right. `smooth` filters the heading over time.

    Takes (T, 22, 3) in metres, y up. Returns quaternions (T, 22, 4), wxyz. Where a direction is missing or
    opposite the result is NaN, or with `strict` a `DataError`.
    """
    places = _clip(joints, least=1, finite=strict)
    return _bone_turns(places, _root_turns(places, smooth, strict), strict)[0]


def _root_turns(places: Floats, smooth: bool, strict: bool) -> NDArray[np.float32]:
    """Rotations (T, 4) from each frame's heading to +z, the first frame's the identity."""
    forward = _heading((places[:, 1] - places[:, 2]) + (places[:, 17] - places[:, 16]))
    if strict:
        _refuse(_is_zero(forward), "the line across hips and shoulders is vertical or has no length")
    if smooth:
        forward = gaussian_filter1d(forward, HEADING_SIGMA, axis=0, mode="nearest", truncate=4.0)
    size = np.linalg.norm(forward, axis=-1, keepdims=True)
    if strict:
        _refuse((size < 1e-6)[:, 0], "the headings around it cancel out")
    with np.errstate(invalid="ignore"):
        forward = forward / size
    root = _to_front(forward) if strict else _shortest_arc(forward, _front())
    root[0] = _IDENTITY
    return root


def _bone_turns(
    places: Floats, root: NDArray[np.float32], strict: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rotations (T, 22, 4) of bones relative to the bone above, the first ones to `root` (T, 4); and to the world."""
    arcs = np.empty((*places.shape[:2], 4), dtype=np.float32)
    bones = places[:, 1:] - places[:, _ABOVE]
    length = np.linalg.norm(bones, axis=-1, keepdims=True)
    if strict:
        _refuse_bones((length == 0)[..., 0], "has no length")
    with np.errstate(invalid="ignore"):
        arcs[:, 1:] = _shortest_arc(_RAW[1:], bones / length)
    if strict:
        _refuse_bones(np.any(np.isnan(arcs[:, 1:]), axis=-1), "points exactly opposite to its rest direction")

    turns = np.empty_like(arcs)
    turns[:, 0] = root
    world = turns.copy()
    for joints, above in _LEVELS:
        # The bone above stands where its rounded local rotations put it, not where its own arc would.
        turns[:, joints] = multiply(inverse(world[:, above]), arcs[:, joints])
        world[:, joints] = multiply(world[:, above], turns[:, joints])
    return turns, world


def local_positions(joints: Floats, root: Floats) -> Floats:
    """Joints (T, 22, 3) with each frame's root at x = z = 0, turned by its root quaternion (T, 4)."""
    return _rotate(root[:, None], joints - joints[:, :1] * np.array([1, 0, 1], dtype=joints.dtype))


def uniform_skeleton(joints: ArrayLike, target_offsets: ArrayLike) -> Floats:
    """The same motion on a skeleton of other bone lengths, the root's path scaled by the ratio of the legs.

    HumanML3D `uniform_skeleton`: the rotations of the bones, then forward kinematics with the target's, each
    step rounded as there. The source's leg length is that of frame 0.

    Takes (T, 22, 3) and offsets (22, 3), as `offsets_of` gives them, in metres. Returns (T, 22, 3). Raises
    `DataError` on other shapes, joints that are not finite, frames without a heading, and bones without length
    or opposite to their rest direction.
    """
    places = _clip(joints, least=1, finite=True)
    target = np.asarray(target_offsets, dtype=np.float32)
    if target.shape != (N_JOINTS, 3):
        raise DataError(f"target offsets have shape {target.shape}; expected ({N_JOINTS}, 3)")
    _, world = _bone_turns(places, _root_turns(places, smooth=False, strict=True), strict=True)
    placed = np.empty(places.shape)
    placed[:, 0] = places[:, 0] * (_leg(target) / _leg(offsets_of(places[0])))
    for joint, above in enumerate(_ABOVE, start=1):
        placed[:, joint] = _rotate(world[:, joint], target[joint]) + placed[:, above]
    return placed


def offsets_of(pose: ArrayLike) -> NDArray[np.float32]:
    """Bone offsets of one pose: each bone's length along its rest direction; zero for the root.

    HumanML3D `get_offsets_joints`. Takes (22, 3) in metres. Returns (22, 3). Raises `DataError` on other
    shapes.
    """
    places = np.asarray(pose)
    if places.shape != (N_JOINTS, 3):
        raise DataError(f"the pose has shape {places.shape}; expected ({N_JOINTS}, 3)")
    offsets = _RAW.copy()
    offsets[1:] *= _length(places[1:] - places[_ABOVE])[:, None]
    return offsets


def mirror(joints: ArrayLike) -> Floats:
    """Swap left and right: negate x and exchange the joints of the two sides.

    HumanML3D `swap_left_right`, whose pairing of finger joints is not anatomical and is kept.

    Takes (..., 22, 3), or (..., 52, 3) with hands. Returns the same shape. Raises `DataError` on others.
    """
    places = np.asarray(joints)
    other = list(MIRROR)
    if places.ndim >= 2 and places.shape[-2:] == (52, 3):
        other += range(22, 52)
        for left, right in zip(_LEFT_HAND, _RIGHT_HAND, strict=True):
            other[left], other[right] = right, left
    elif places.ndim < 2 or places.shape[-2:] != (N_JOINTS, 3):
        raise DataError(f"joints have shape {places.shape}; expected (..., {N_JOINTS}, 3) or (..., 52, 3)")
    swapped = places[..., other, :]
    swapped[..., 0] *= -1
    return swapped


def _clip(joints: ArrayLike, least: int, finite: bool = False) -> Floats:
    places = np.asarray(joints)
    if places.ndim != 3 or places.shape[1:] != (N_JOINTS, 3) or len(places) < least:
        raise DataError(f"joints have shape {places.shape}; expected ({least} or more, {N_JOINTS}, 3)")
    if finite:
        bad = ~np.isfinite(places).all(-1)
        if bad.any():
            frame, joint = np.argwhere(bad)[0]
            raise DataError(
                f"frame {frame}: joint {JOINTS[joint]} is at {places[frame, joint].tolist()}; "
                "expected finite metres; cut the clip before it"
            )
    return places if places.dtype in (np.float32, np.float64) else places.astype(np.float64)


def _refuse(bad: NDArray[np.bool_], what: str) -> None:
    if bad.any():
        raise DataError(f"frame {int(bad.argmax())}: {what}, so the body has no heading; leave the frame out")


def _refuse_bones(bad: NDArray[np.bool_], what: str) -> None:
    """Name the first frame and bone; `bad` is (T, 21)."""
    if bad.any():
        frame, bone = np.argwhere(bad)[0]
        raise DataError(
            f"frame {frame}: the bone from {JOINTS[_ABOVE[bone]]} to {JOINTS[bone + 1]} {what}, "
            "so it has no rotation; leave the frame out or mend its joints"
        )


def _leg(offsets: NDArray[np.float32]) -> np.float32:
    """Upper plus lower right leg, each by its largest component, as the data set measures it."""
    upper, lower = np.abs(offsets[[5, 8]]).max(-1)
    return np.float32(upper + lower)


def _heading(across: Floats) -> NDArray[np.float64]:
    """Horizontal (0, 1, 0) x unit(across), itself not normalised, of vectors (..., 3) from left to right."""
    length = np.linalg.norm(across, axis=-1, keepdims=True)
    across = across / np.where(_is_zero(across)[..., None], 1, length)  # in the joints' own precision
    return np.stack([across[..., 2], np.zeros(across.shape[:-1]), -across[..., 0]], -1).astype(np.float64)


def _is_zero(vectors: Floats) -> NDArray[np.bool_]:
    return np.all(np.abs(vectors) < 1e-9, axis=-1)


def _front() -> NDArray[np.float32]:
    return np.array([0, 0, 1], dtype=np.float32)


def _to_front(forward: Floats) -> NDArray[np.float32]:
    """Shortest arcs (T, 4) from horizontal vectors to +z; from exactly -z the half turn about y."""
    arcs = _shortest_arc(forward, _front())
    arcs[~np.isfinite(arcs).all(-1)] = (0, 0, 1, 0)
    return arcs


def _shortest_arc(a: Floats, b: Floats) -> NDArray[np.float32]:
    """Quaternion that turns a into b; NaN for opposite or zero vectors."""
    a, b = a.astype(np.float32), b.astype(np.float32)
    scalar = _sqrt((a * a).sum(-1) * (b * b).sum(-1)) + (a * b).sum(-1)
    arc = np.concatenate([scalar[..., None], _cross(a, b)], -1)
    with np.errstate(invalid="ignore"):
        return arc / np.linalg.norm(arc, axis=-1, keepdims=True)


def _rotate(q: Floats, v: Floats) -> NDArray[np.float32]:
    """Vectors (..., 3) turned by unit quaternions (..., 4), as `rotation.rotate`."""
    v = v.astype(np.float32)
    across = _cross(q[..., 1:], v)
    return v + 2 * (q[..., :1] * across + _cross(q[..., 1:], across))


def _cross(a: Floats, b: Floats) -> NDArray[np.float32]:
    """Cross product in float32. Like the two below it is torch's: some of its kernels round otherwise than numpy's."""
    return _torch().linalg.cross(*(_tensor(v) for v in np.broadcast_arrays(a, b))).numpy()


def _sqrt(x: Floats) -> NDArray[np.float32]:
    return _torch().sqrt(_tensor(x)).numpy()


def _length(vectors: Floats) -> Floats:
    return _torch().linalg.vector_norm(_tensor(vectors), dim=-1).numpy()


def _tensor(array: Floats) -> Any:
    return _torch().from_numpy(np.ascontiguousarray(array))


def _torch() -> Any:
    import torch  # only here, so that what imports this module need not wait for it

    return torch
