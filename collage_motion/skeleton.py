"""The 22 joints of HumanML3D: names, tree, mirror pairs and the directions its rotations are measured from."""

from typing import Final

FPS: Final = 20
"""Frames per second of the features (HumanML3D)."""

N_FEATURES: Final = 263
"""Length of one feature row (see `collage_motion.features`)."""

JOINTS: Final = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle",
    "right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
)  # fmt: skip
"""Joint names in the order of every array in this package."""

N_JOINTS: Final = len(JOINTS)

PARENTS: Final = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
"""Parent of each joint, -1 for the root; a parent always comes before its children."""

CHAINS: Final = (
    (0, 2, 5, 8, 11),
    (0, 1, 4, 7, 10),
    (0, 3, 6, 9, 12, 15),
    (9, 14, 17, 19, 21),
    (9, 13, 16, 18, 20),
)
"""Right leg, left leg, spine, right arm, left arm, in HumanML3D's processing order."""

RAW_DIRECTIONS: Final = (
    (0, 0, 0), (1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, -1, 0), (0, 1, 0), (0, -1, 0),
    (0, -1, 0), (0, 1, 0), (0, 0, 1), (0, 0, 1), (0, 1, 0), (1, 0, 0), (-1, 0, 0), (0, 0, 1),
    (0, -1, 0), (0, -1, 0), (0, -1, 0), (0, -1, 0), (0, -1, 0), (0, -1, 0),
)  # fmt: skip
"""Unit direction of each bone (parent to joint) in HumanML3D's rest pose; y is up, z forward, x to the left."""

MIRROR: Final = (0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20)
"""`MIRROR[j]` is the joint on the other side of the body."""

FEET: Final = (7, 10, 8, 11)
"""Left ankle, left foot, right ankle, right foot: the order of the four contact features."""

TOES: Final = (10, 11)
"""Left and right foot joints, the ones foot sliding is measured on."""
