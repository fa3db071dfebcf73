"""Put recordings of named skeletons on the 22 joints: by world positions, metres, y up, one set of bones."""

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from collage_motion.data.bvh import BvhClip
from collage_motion.errors import DataError
from collage_motion.skeleton import FEET, JOINTS, PARENTS


class Between(NamedTuple):
    """A point on the straight way from one joint of the recording to another."""

    start: str
    end: str
    fraction: float


class Fixed(NamedTuple):
    """A point that moves with a joint of the recording, given in the joint's own axes and the file's unit."""

    joint: str
    point: tuple[float, float, float]


Source = str | Between | Fixed
"""Where a target joint is found: at a joint of the recording, or at a point beside it."""


@dataclass(frozen=True)
class SkeletonMap:
    """How a named skeleton becomes the 22 joints: a source for each, its unit in metres, its up axis.

    `up` "y" trusts the file; "upright" chooses y or z by where the neck lies above the ankles on average, for
    skeletons that are exported both ways.
    """

    name: str
    sources: tuple[Source, ...]
    metres: float
    up: Literal["y", "upright"]


def _in_order(**sources: Source) -> tuple[Source, ...]:
    return tuple(sources[joint] for joint in JOINTS)


def _both_sides(pattern: str, **names: str) -> dict[str, Source]:
    """`left_hip="Thigh"` style entries for both sides, `pattern` holding {side} and {bone}."""
    return {
        f"{side}_{joint}": pattern.format(side=side[0].upper(), bone=bone)
        for joint, bone in names.items()
        for side in ("left", "right")
    }


BANDAI_NAMCO: Final = SkeletonMap(
    name="Bandai Namco Research",
    # Two spine bones for the three of the target: the point halfway between them keeps all lengths constant.
    sources=_in_order(
        pelvis="Hips",
        spine1="Spine",
        spine2=Between("Spine", "Chest", 0.5),
        spine3="Chest",
        neck="Neck",
        head="Head",
        **_both_sides(
            "{bone}_{side}",
            hip="UpperLeg",
            knee="LowerLeg",
            ankle="Foot",
            foot="Toes",
            collar="Shoulder",
            shoulder="UpperArm",
            elbow="LowerArm",
            wrist="Hand",
        ),
    ),
    metres=0.01,
    up="y",
)

CMU_CHARACTER: Final = SkeletonMap(
    name="CMU on the 100-bone character",
    # Between pelvis and Spine02 lie bones that lean forward at rest; the straight way there rests as the other
    # skeleton does. This character's ankle lies only 2.5 cm above its toes; the fixed points lie where the toes
    # of the Bandai Namco performer would be, 7.5 cm below the ankle of a flat foot.
    sources=_in_order(
        pelvis="CC_Base_Hip",
        spine1=Between("CC_Base_Hip", "CC_Base_Spine02", 0.5),
        spine2=Between("CC_Base_Hip", "CC_Base_Spine02", 0.75),
        spine3="CC_Base_Spine02",
        neck="CC_Base_NeckTwist01",
        head="CC_Base_Head",
        left_foot=Fixed("CC_Base_L_Foot", (-0.146, 10.493, -5.285)),
        right_foot=Fixed("CC_Base_R_Foot", (0.146, 10.493, -5.285)),
        **_both_sides(
            "CC_Base_{side}_{bone}",
            hip="Thigh",
            knee="Calf",
            ankle="Foot",
            collar="Clavicle",
            shoulder="Upperarm",
            elbow="Forearm",
            wrist="Hand",
        ),
    ),
    metres=0.01,
    up="upright",
)

OWN: Final = SkeletonMap(name="collage_motion's own", sources=JOINTS, metres=0.01, up="y")
"""What `export` writes, perhaps changed by hand since."""

SKELETONS: Final = (BANDAI_NAMCO, CMU_CHARACTER, OWN)
"""The skeletons that are known by the names of their joints."""

_LIMBS: Final = {
    "spine1": 0.1574, "spine2": 0.0450, "spine3": 0.0450, "neck": 0.1638, "head": 0.0646, "hip": 0.0683,
    "knee": 0.3908, "ankle": 0.4099, "foot": 0.1175, "collar": 0.1392, "shoulder": 0.0535, "elbow": 0.2433,
    "wrist": 0.2229,
}  # fmt: skip

BONE_LENGTHS: Final = (0.0, *(_LIMBS[joint.split("_")[-1]] for joint in JOINTS[1:]))
"""Length of the bone from its parent to each joint in metres: the median of the Bandai Namco recordings."""

# A recording may open with its reference pose: no body moves all its joints by this much within one frame.
_JUMP_M: Final = 0.10


def retarget(clip: BvhClip) -> NDArray[np.float64]:
    """The 22 joints (T, 22, 3) in metres, y up, right-handed, of a recording whose skeleton is known.

    A reference pose in the first frame (T-pose before the motion) is dropped. Bone lengths and the floor are
    those of the recording; see `onto_skeleton` and `onto_floor`. Raises DataError for an unknown skeleton.
    """
    skeleton = find_skeleton(clip)
    joints = np.stack([_locate(clip, source) for source in skeleton.sources], axis=1)
    joints *= skeleton.metres
    if skeleton.up == "upright":
        joints = _upright(joints)
    return joints[1:] if _opens_with_reference_pose(joints) else joints


def find_skeleton(clip: BvhClip) -> SkeletonMap:
    """The map whose joints the recording has all of; DataError lists what was found and what is missing."""
    found = set(clip.names)
    missing = {skeleton.name: sorted(_needed(skeleton) - found) for skeleton in SKELETONS}
    for skeleton in SKELETONS:
        if not missing[skeleton.name]:
            return skeleton
    nearest = min(missing, key=lambda name: len(missing[name]))
    raise DataError(
        f"{clip.source}: unknown skeleton with {len(clip.names)} joints ({_shorten(clip.names)}); nearest is "
        f"'{nearest}', which also needs {_shorten(missing[nearest])}; known: "
        f"{', '.join(skeleton.name for skeleton in SKELETONS)}; rename the joints or add a map"
    )


def _locate(clip: BvhClip, source: Source) -> NDArray[np.float64]:
    """World positions (T, 3) of a source, in the file's unit."""
    if isinstance(source, Between):
        start, end = (clip.world[:, clip.names.index(name)] for name in source[:2])
        return start + source.fraction * (end - start)
    if isinstance(source, Fixed):
        joint = clip.names.index(source.joint)
        return clip.world[:, joint] + clip.orientations[:, joint] @ np.array(source.point)
    return clip.world[:, clip.names.index(source)]


def _needed(skeleton: SkeletonMap) -> set[str]:
    """Names of all joints that a map reads."""
    needed: set[str] = set()
    for source in skeleton.sources:
        if isinstance(source, Between):
            needed |= {source.start, source.end}
        else:
            needed.add(source.joint if isinstance(source, Fixed) else source)
    return needed


def _shorten(names: tuple[str, ...] | list[str], limit: int = 12) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _upright(joints: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn a z-up recording to y up; one that already is y up is returned as it is."""
    ankles = joints[:, [FEET[0], FEET[2]]].mean(axis=1)
    rise = (joints[:, JOINTS.index("neck")] - ankles).mean(axis=0)
    if rise[1] >= rise[2]:
        return joints
    return np.stack([joints[..., 0], joints[..., 2], -joints[..., 1]], axis=-1)


def _opens_with_reference_pose(joints: NDArray[np.float64]) -> bool:
    if len(joints) < 3:
        return False
    steps = np.linalg.norm(np.diff(joints[:3], axis=0), axis=-1).mean(axis=1)
    return bool(steps[0] > _JUMP_M and steps[0] > 3 * steps[1])


def bone_lengths(joints: NDArray[np.floating]) -> NDArray[np.float64]:
    """Median over frames of each bone's length (22,), zero for the root; joints (T, 22, 3)."""
    bones = joints[:, 1:] - joints[:, PARENTS[1:]]
    return np.concatenate([[0.0], np.median(np.linalg.norm(bones, axis=-1), axis=0)])


def onto_skeleton(
    joints: NDArray[np.floating], lengths: tuple[float, ...] | NDArray[np.floating] = BONE_LENGTHS
) -> NDArray[np.float64]:
    """Re-pose (T, 22, 3) on bones of the given lengths (22,): each bone keeps its direction.

    The path of the root is scaled by the ratio of leg lengths (thigh and shin), so that steps stay as long as
    the legs allow and feet that stood still keep standing still. Unlike inverse kinematics (HumanML3D's
    uniform skeleton) this is exact in direction. Raises DataError when a bone has no length.
    """
    target = np.asarray(lengths, dtype=np.float64)
    legs = [JOINTS.index(name) for name in ("left_knee", "left_ankle", "right_knee", "right_ankle")]
    own = bone_lengths(joints)
    if not (own[1:] > 1e-6).all():
        bare = JOINTS[1 + int(np.argmin(own[1:]))]
        raise DataError(f"the bone to '{bare}' has no length; the recording or its joint map is wrong")
    result = np.empty(joints.shape, dtype=np.float64)
    result[:, 0] = joints[:, 0] * (target[legs].sum() / own[legs].sum())
    for joint, parent in enumerate(PARENTS[1:], start=1):
        bone = joints[:, joint] - joints[:, parent]
        size = np.maximum(np.linalg.norm(bone, axis=-1, keepdims=True), 1e-9)
        result[:, joint] = result[:, parent] + bone * (target[joint] / size)
    return result


def onto_floor(joints: NDArray[np.float64], quantile: float = 0.01) -> NDArray[np.float64]:
    """Lower or raise (T, 22, 3) so that the lowest foot joint stands at height zero.

    The floor is a low quantile of the lowest foot joint of each frame, so single bad frames do not move it.
    """
    lowest = joints[:, FEET, 1].min(axis=1)
    return joints - np.array([0.0, np.quantile(lowest, quantile), 0.0])
