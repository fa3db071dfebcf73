"""The figure: a mannequin of round, shaded limbs, drawn with numpy straight into a picture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collage_motion import rotation
from collage_motion.export.camera import Camera
from collage_motion.kinematics import global_rotations
from collage_motion.motion import Motion
from collage_motion.skeleton import N_JOINTS

Array = NDArray[np.floating]
Colour = tuple[float, float, float]

# Points that are not joints: (index, joint, offset in metres in the frame of that joint at body scale 1).
_EXTRA = (
    (22, 15, (0.0, 0.03, 0.015)), (23, 15, (0.0, 0.115, 0.02)),  # skull
    (24, 15, (0.034, 0.085, 0.095)), (25, 15, (-0.034, 0.085, 0.095)),  # face
    (26, 10, (0.0, 0.0, 0.06)), (27, 11, (0.0, 0.0, 0.06)),  # toe tips
    (28, 20, (0.09, 0.0, 0.0)), (29, 21, (-0.09, 0.0, 0.0)),  # knuckles
    (30, 7, (0.0, -0.035, -0.03)), (31, 8, (0.0, -0.035, -0.03)),  # heels
)  # fmt: skip

_MIDDLE, _LEFT, _RIGHT, _FACE = range(4)

_LIMBS = (
    # from, to, radius at either end in metres, shade
    (1, 2, 0.088, 0.088, _MIDDLE), (0, 1, 0.090, 0.088, _MIDDLE), (0, 2, 0.090, 0.088, _MIDDLE),
    (0, 6, 0.092, 0.097, _MIDDLE), (6, 9, 0.097, 0.100, _MIDDLE), (9, 16, 0.100, 0.055, _MIDDLE),
    (9, 17, 0.100, 0.055, _MIDDLE), (13, 16, 0.060, 0.055, _MIDDLE), (14, 17, 0.060, 0.055, _MIDDLE),
    (9, 12, 0.100, 0.050, _MIDDLE), (12, 15, 0.047, 0.047, _MIDDLE),
    (22, 23, 0.082, 0.098, _MIDDLE), (24, 25, 0.030, 0.030, _FACE),
    (1, 4, 0.085, 0.058, _LEFT), (4, 7, 0.057, 0.039, _LEFT), (7, 10, 0.042, 0.034, _LEFT),
    (30, 10, 0.038, 0.034, _LEFT), (10, 26, 0.034, 0.026, _LEFT),
    (16, 18, 0.052, 0.041, _LEFT), (18, 20, 0.040, 0.030, _LEFT), (20, 28, 0.034, 0.026, _LEFT),
    (2, 5, 0.085, 0.058, _RIGHT), (5, 8, 0.057, 0.039, _RIGHT), (8, 11, 0.042, 0.034, _RIGHT),
    (31, 11, 0.038, 0.034, _RIGHT), (11, 27, 0.034, 0.026, _RIGHT),
    (17, 19, 0.052, 0.041, _RIGHT), (19, 21, 0.040, 0.030, _RIGHT), (21, 29, 0.034, 0.026, _RIGHT),
)  # fmt: skip

_START, _END = (np.array([limb[k] for limb in _LIMBS]) for k in (0, 1))
RADII = np.array([[limb[2], limb[3]] for limb in _LIMBS])
_SHADE = [limb[4] for limb in _LIMBS]

_LIGHT = np.array([-0.45, 0.70, 0.55])  # in view coordinates, towards the light; z towards the viewer
_LIGHT /= np.linalg.norm(_LIGHT)
_BODY_LEG_M = 0.82  # thigh and shin of the body that the radii are made for


@dataclass(frozen=True)
class Shades:
    """Colours (red, green, blue; 0 to 255) of the trunk, the left limbs, the right limbs and the face."""

    middle: Colour
    left: Colour
    right: Colour
    face: Colour


class Body:
    """All limbs of a motion: ends (F, limbs, 2, 3) in metres and radii (limbs, 2) that fit the body."""

    def __init__(self, motion: Motion) -> None:
        legs = np.linalg.norm(motion.offsets[[4, 5, 7, 8]], axis=-1).sum() / 2
        scale = float(np.clip(legs / _BODY_LEG_M, 0.3, 3.0))
        turned = global_rotations(motion.rotations)
        points = np.empty((motion.n_frames, N_JOINTS + len(_EXTRA), 3))
        points[:, :N_JOINTS] = motion.joints
        for index, joint, offset in _EXTRA:
            points[:, index] = motion.joints[:, joint] + rotation.rotate(
                turned[:, joint], np.array(offset) * scale
            )
        self.ends = np.stack((points[:, _START], points[:, _END]), axis=2)
        self.radii = RADII * scale


def draw_figure(
    picture: NDArray[np.uint8], view: Array, radii: Array, camera: Camera, shades: Shades
) -> None:
    """Draw limbs, ends (limbs, 2, 3) in view coordinates, into `picture` (height, width, 3) in place.

    Each limb is a round cone: its edge is smoothed by the share of the pixel it covers, its shading comes
    from the normal of its surface, and where limbs meet the nearer surface wins.
    """
    pixels = camera.project(view)
    sizes = radii * camera.focal / np.maximum(view[..., 2], 0.05)
    low = np.floor((pixels - sizes[..., None]).min(axis=1)).astype(int) - 1
    high = np.ceil((pixels + sizes[..., None]).max(axis=1)).astype(int) + 2
    limit = np.array([camera.width, camera.height])
    low, high = np.clip(low, 0, limit), np.clip(high, 0, limit)
    left, top = low.min(axis=0)
    right, bottom = high.max(axis=0)
    if right <= left or bottom <= top or view[..., 2].min() < 0.1:
        return
    colours = picture[top:bottom, left:right].astype(np.float32)
    depths = np.full(colours.shape[:2], np.inf, dtype=np.float32)
    palette = np.array([shades.middle, shades.left, shades.right, shades.face], dtype=np.float32)
    for limb in np.argsort(-view[..., 2].mean(axis=1)):
        (x0, y0), (x1, y1) = low[limb], high[limb]
        if x1 <= x0 or y1 <= y0:
            continue
        box = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
        cover, depth, light = _round_cone(
            pixels[limb], sizes[limb], view[limb, :, 2], radii[limb], (x0, y0, x1, y1)
        )
        nearer = np.clip((depths[box] - depth) * 40 + 0.5, 0, 1)
        weight = (cover * nearer)[..., None]
        colours[box] += weight * (light[..., None] * palette[_SHADE[limb]] - colours[box])
        depths[box] = np.where(weight[..., 0] > 0.5, depth, depths[box])
    picture[top:bottom, left:right] = np.clip(colours + 0.5, 0, 255).astype(np.uint8)


def _round_cone(
    ends: Array, sizes: Array, depths: Array, radii: Array, box: tuple[int, int, int, int]
) -> tuple[Array, Array, Array]:
    """Coverage, depth in metres and brightness of a limb at each pixel (y, x) of `box` (x0, y0, x1, y1)."""
    x0, y0, x1, y1 = box
    x = np.arange(x0, x1, dtype=np.float32)[None, :] + np.float32(0.5 - ends[0, 0])
    y = np.arange(y0, y1, dtype=np.float32)[:, None] + np.float32(0.5 - ends[0, 1])
    run_x, run_y = (ends[1] - ends[0]).astype(np.float32)
    length = max(float(run_x * run_x + run_y * run_y), 1e-6)
    share = np.clip((x * (run_x / length)) + (y * (run_y / length)), 0, 1)
    x = x - share * run_x
    y = y - share * run_y
    size = np.float32(sizes[0]) + share * np.float32(sizes[1] - sizes[0])
    distance = np.sqrt(x * x + y * y)
    cover = np.clip(size - distance + 0.5, 0, 1)
    x, y = x / size, y / size
    towards = np.sqrt(np.maximum(1 - x * x - y * y, 0))
    radius = np.float32(radii[0]) + share * np.float32(radii[1] - radii[0])
    depth = np.float32(depths[0]) + share * np.float32(depths[1] - depths[0]) - radius * towards
    direct = np.maximum(
        x * np.float32(_LIGHT[0]) - y * np.float32(_LIGHT[1]) + towards * np.float32(_LIGHT[2]), 0
    )
    # Light from the sky above and a darker edge keep limbs apart where they cross.
    light = 0.52 + 0.42 * direct - 0.08 * y + 0.10 * towards + 0.16 * direct**12
    return cover, depth, light
