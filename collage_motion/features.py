"""The 263 numbers of a HumanML3D frame: their named groups, their statistics, and the way back to joints.

Every function takes numpy arrays or torch tensors and gives back what it was given; this module itself never
imports torch. Layout and recovery follow HumanML3D (Guo et al. 2022). A *half-yaw* is half the angle, in
radians, by which the heading has turned away from +z.
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from collage_motion.errors import DataError
from collage_motion.skeleton import CHAINS, N_FEATURES, N_JOINTS, PARENTS

if TYPE_CHECKING:
    import torch

Array = TypeVar("Array", NDArray[Any], "torch.Tensor")

ROOT_YAW: Final = slice(0, 1)
"""Half-yaw step to the next frame, radians."""
ROOT_XZ: Final = slice(1, 3)
"""Root displacement to the next frame along x and z in the heading frame, metres."""
ROOT_HEIGHT: Final = slice(3, 4)
"""Height of the root, metres."""
POSITIONS: Final = slice(4, 67)
"""Joints 1..21 in the heading frame, root at x = z = 0, y absolute, metres; joint-major x y z."""
ROTATIONS: Final = slice(67, 193)
"""Local rotations of joints 1..21: first, then second column of the matrix."""
VELOCITIES: Final = slice(193, 259)
"""Displacement of joints 0..21 to the next frame in the heading frame, metres."""
CONTACTS: Final = slice(259, 263)
"""1 where left ankle, left foot, right ankle, right foot stand still (`skeleton.FEET`)."""

GROUPS: Final = {
    "root_yaw": ROOT_YAW,
    "root_xz": ROOT_XZ,
    "root_height": ROOT_HEIGHT,
    "positions": POSITIONS,
    "rotations": ROTATIONS,
    "velocities": VELOCITIES,
    "contacts": CONTACTS,
}
"""The seven groups in order; they partition the row, and each has one standard deviation."""


def _rotation_parents() -> tuple[int, ...]:
    parents = [-1] * N_JOINTS
    for chain in CHAINS:
        # Every chain starts again at the root's rotation, the arms too, although they hang on joint 9.
        for above, joint in zip((0, *chain[1:-1]), chain[1:], strict=True):
            parents[joint] = above
    return tuple(parents)


ROTATION_PARENTS: Final = _rotation_parents()
"""Joint that each joint's local rotation is relative to: `PARENTS`, but the root for both collars."""


def recover_root(features: Array) -> tuple[Array, Array]:
    """Integrate the root's velocities into a path that starts at x = z = 0 with heading +z.

    HumanML3D `recover_root_rot_pos`. The velocity of row t leads from frame t to t+1 and is measured in the
    heading of t+1, so the last row's velocities are not used.

    Takes raw (not normalised) features (..., F, 263). Returns the quaternions (..., F, 4), wxyz, that turn
    the world into each frame's heading, and the root's positions (..., F, 3) in metres. Raises `DataError` on
    other shapes.
    """
    xp = _namespace(features)
    half_yaw = _delayed(xp, features[..., 0]).cumsum(-1)
    cos, sin = xp.cos(2 * half_yaw), xp.sin(2 * half_yaw)
    x, z = _delayed(xp, features[..., 1]), _delayed(xp, features[..., 2])
    zero = xp.zeros_like(half_yaw)
    quaternion = xp.stack([xp.cos(half_yaw), zero, xp.sin(half_yaw), zero], -1)
    steps = (cos * x - sin * z).cumsum(-1), (sin * x + cos * z).cumsum(-1)
    return quaternion, xp.stack([steps[0], features[..., 3], steps[1]], -1)


def features_to_joints(features: Array) -> Array:
    """World positions of the 22 joints, from the root and position groups alone.

    HumanML3D `recover_from_ric`. Differentiable for tensors.

    Takes raw (not normalised) features (..., F, 263). Returns (..., F, 22, 3) in metres, y up. Raises
    `DataError` on other shapes.
    """
    xp = _namespace(features)
    quaternion, root = recover_root(features)
    local = features[..., POSITIONS].reshape(*features.shape[:-1], N_JOINTS - 1, 3)
    w, y = quaternion[..., 0:1], quaternion[..., 2:3]
    cos, sin = w * w - y * y, 2 * w * y
    x = cos * local[..., 0] - sin * local[..., 2] + root[..., 0:1]
    z = sin * local[..., 0] + cos * local[..., 2] + root[..., 2:3]
    rest: Array = xp.stack([x, local[..., 1], z], -1)
    return xp.concatenate([root[..., None, :], rest], -2)


def joints_from_rotations(features: Array, offsets: ArrayLike | Any) -> Array:
    """World positions of the 22 joints, from the root and rotation groups and a skeleton.

    HumanML3D `recover_from_rot`: forward kinematics in which every chain starts at the root's rotation.

    Takes raw (not normalised) features (..., F, 263) and bone offsets (22, 3) in metres. Returns
    (..., F, 22, 3) in metres, y up. Raises `DataError` on other shapes.
    """
    xp = _namespace(features)
    bones = _like(features, offsets)
    if tuple(bones.shape) != (N_JOINTS, 3):
        raise DataError(f"bone offsets have shape {tuple(bones.shape)}; expected ({N_JOINTS}, 3)")
    quaternion, root = recover_root(features)
    w, y = quaternion[..., 0], quaternion[..., 2]
    zero, one = xp.zeros_like(w), xp.ones_like(w)
    cos, sin = w * w - y * y, 2 * w * y
    turn = xp.stack(
        [xp.stack(row, -1) for row in ([cos, zero, sin], [zero, one, zero], [-sin, zero, cos])], -2
    )
    local = _matrices(xp, features[..., ROTATIONS].reshape(*features.shape[:-1], N_JOINTS - 1, 6))
    joints = [root]
    world = {0: turn}
    for joint in range(1, N_JOINTS):
        world[joint] = world[ROTATION_PARENTS[joint]] @ local[..., joint - 1, :, :]
        joints.append(joints[PARENTS[joint]] + world[joint] @ bones[joint])
    return xp.stack(joints, -2)


@dataclass(frozen=True, eq=False)
class Normaliser:
    """Maps raw features to the space a network works in, and back: z = (f - mean) / std.

    HumanML3D; the standard deviation has no epsilon. `mean` and `std` are one number per feature (or per
    whatever the last axis holds) and become read-only float32. Raises `DataError` when they differ in shape,
    are not finite, or a standard deviation is not positive.
    """

    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    def __post_init__(self) -> None:
        mean, std = (np.array(values, dtype=np.float32) for values in (self.mean, self.std))
        if mean.ndim != 1 or mean.shape != std.shape:
            raise DataError(
                f"mean has shape {mean.shape} and std {std.shape}; expected two lists of one length"
            )
        bad = ~(np.isfinite(mean) & np.isfinite(std) & (std > 0))
        if bad.any():
            at = int(bad.argmax())
            raise DataError(
                f"feature {at} has mean {mean[at]} and std {std[at]}; expected a finite mean and a finite, "
                "positive std; a std of 0 means that this group never changes in the data"
            )
        for name, values in (("mean", mean), ("std", std)):
            values.setflags(write=False)
            object.__setattr__(self, name, values)

    def normalise(self, features: Array) -> Array:
        """Raw features (..., C) to network space, in the features' own type."""
        mean, std = self._matching(features)
        return (features - mean) / std

    def denormalise(self, features: Array) -> Array:
        """Features (..., C) of network space back to raw ones, in the features' own type."""
        mean, std = self._matching(features)
        return features * std + mean

    def _matching(self, features: Any) -> tuple[Any, Any]:
        if features.shape[-1:] != self.mean.shape:
            raise DataError(
                f"features have shape {tuple(features.shape)}; "
                f"expected {len(self.mean)} numbers on the last axis"
            )
        return _like(features, self.mean), _like(features, self.std)


def group_statistics(rows: Iterable[NDArray[Any]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation over all frames of all clips, the latter averaged within each group.

    HumanML3D `cal_mean_variance`: population standard deviation, clips that contain NaN are left out. Clips
    are merged one at a time in float64 (Chan et al. 1979), so `rows` may be a generator.

    Takes clips (F, 263) of raw features. Returns two float32 arrays (263,). Raises `DataError` on other
    shapes or when no clip is left.
    """
    count = 0
    mean = np.zeros(N_FEATURES)
    squares = np.zeros(N_FEATURES)
    for number, clip in enumerate(rows):
        values = np.asarray(clip, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != N_FEATURES:
            raise DataError(f"clip {number} has shape {values.shape}; expected (frames, {N_FEATURES})")
        if not len(values) or np.isnan(values).any():
            continue
        shift = values.mean(0) - mean
        total = count + len(values)
        squares += ((values - values.mean(0)) ** 2).sum(0) + shift**2 * (count * len(values) / total)
        mean += shift * (len(values) / total)
        count = total
    if not count:
        raise DataError("no clip without NaN to take statistics of; expected at least one")
    std = np.sqrt(squares / count)
    for group in GROUPS.values():
        std[group] = std[group].mean()
    return mean.astype(np.float32), std.astype(np.float32)


def _namespace(features: Any) -> Any:
    """The library the features belong to, after a look at their shape."""
    if features.ndim < 2 or features.shape[-1] != N_FEATURES:
        raise DataError(f"features have shape {tuple(features.shape)}; expected (..., frames, {N_FEATURES})")
    return np if isinstance(features, np.ndarray) else sys.modules["torch"]


def _like(features: Any, values: Any) -> Any:
    """`values` as an array of the same library, type and place as `features`."""
    if isinstance(features, np.ndarray):
        return np.asarray(values, dtype=features.dtype)
    torch = sys.modules["torch"]
    if isinstance(values, np.ndarray):
        values = np.array(values)  # torch warns when it is handed a read-only array
    return torch.as_tensor(values, dtype=features.dtype, device=features.device)


def _delayed(xp: Any, values: Any) -> Any:
    """`values` (..., F) one frame later, with 0 in front."""
    return xp.concatenate([xp.zeros_like(values[..., :1]), values[..., :-1]], -1)


def _cross(xp: Any, a: Any, b: Any) -> Any:
    (ax, ay, az), (bx, by, bz) = ((v[..., 0], v[..., 1], v[..., 2]) for v in (a, b))
    return xp.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], -1)


def _unit(xp: Any, vectors: Any) -> Any:
    # The floor only keeps a network's all-zero triple finite; real ones are never that short.
    return vectors / xp.sqrt((vectors * vectors).sum(-1)[..., None].clip(1e-24))


def _matrices(xp: Any, six: Any) -> Any:
    """Rotation matrices (..., 3, 3) of 6-D rotations (..., 6); Zhou et al. 2019, as HumanML3D writes it."""
    x = _unit(xp, six[..., :3])
    z = _unit(xp, _cross(xp, x, six[..., 3:]))
    return xp.stack([x, _cross(xp, z, x), z], -1)
