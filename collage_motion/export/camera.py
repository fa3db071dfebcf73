"""A camera that follows the figure, and the ground it sees: grid lines and their fading, per pixel."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from collage_motion.motion import Motion

Array = NDArray[np.floating]

AZIMUTH = np.radians(32.0)  # from the front (+z) towards the figure's left (+x)
ELEVATION = np.radians(13.0)
DISTANCE_M = 6.0
FRAME_HEIGHT_M = 2.6  # what the height of the picture spans at the figure
AIM_HEIGHT_M = 0.80
FOLLOW_S = 0.6  # standard deviation of the camera's smoothing in time
GRID_M = 0.5
LINE_M = 0.012


@dataclass(frozen=True)
class Camera:
    """A pinhole camera of fixed direction over a plane; only the ground point it aims at moves.

    width, height in pixels. View coordinates: x to the right, y up, z away from the camera, in metres.
    """

    width: int
    height: int

    @cached_property
    def axes(self) -> Array:
        """Rows right, up, forward (3, 3) in world coordinates."""
        away = -np.array(
            [np.cos(ELEVATION) * np.sin(AZIMUTH), np.sin(ELEVATION), np.cos(ELEVATION) * np.cos(AZIMUTH)]
        )
        right = np.cross(away, (0.0, 1.0, 0.0))
        right /= np.linalg.norm(right)
        return np.stack((right, np.cross(right, away), away))

    @property
    def focal(self) -> float:
        """Pixels per unit of slope."""
        return self.height / FRAME_HEIGHT_M * DISTANCE_M

    @cached_property
    def place(self) -> Array:
        """Where the camera stands (3,), seen from the ground point it follows."""
        return np.array([0.0, AIM_HEIGHT_M, 0.0]) - DISTANCE_M * self.axes[2]

    def view(self, points: Array, target: Array) -> Array:
        """World points (..., 3) in view coordinates while following ground point `target` (3,)."""
        return (points - target - self.place) @ self.axes.T

    def project(self, view: Array) -> Array:
        """Pixels (..., 2), x right and y down, of points (..., 3) in view coordinates."""
        depth = np.maximum(view[..., 2:], 0.05)
        middle = np.array([0.5 * self.width, 0.46 * self.height])
        return middle + np.array([self.focal, -self.focal]) * view[..., :2] / depth


class Ground:
    """The plane under the figure as one camera sees it, ready to be shifted below a moving target."""

    def __init__(self, camera: Camera) -> None:
        rows, columns = np.mgrid[0 : camera.height, 0 : camera.width] + 0.5
        slope_x = (columns - 0.5 * camera.width) / camera.focal
        slope_y = (0.46 * camera.height - rows) / camera.focal
        right, up, away = camera.axes
        rays = slope_x[..., None] * right + slope_y[..., None] * up + away
        # Only rows whose rays all go down see the ground.
        self.top = int(np.argmax(rays[:, 0, 1] < -1e-2))
        rays = rays[self.top :].astype(np.float32)
        points = (camera.place + rays * (camera.place[1] / -rays[..., 1:2])).astype(np.float32)
        x, z = points[..., 0], points[..., 2]
        pixels_x, pixels_z = _pixels_per_cell(x), _pixels_per_cell(z)
        self.nearness = np.exp(-((np.hypot(x, z) / 4.5) ** 2)).astype(np.float32)
        # Lines closer together than a few pixels would flicker: let them go first.
        fine = np.clip(1.6 - 5.0 / np.minimum(pixels_x, pixels_z), 0, 1)
        strength = (255 * self.nearness * fine).astype(np.float32)
        first = int(np.argmax(strength.max(axis=1) >= 2))
        self.lines_top = self.top + first
        self._strength = strength[first:]
        self._axes = [_Lines.across(x[first:], pixels_x[first:]), _Lines.across(z[first:], pixels_z[first:])]

    def line_mask(self, target: Array) -> NDArray[np.uint8]:
        """Strength 0 to 255 of the lines (rows from `lines_top` on, columns) seen over `target` (3,)."""
        cover = self._axes[0].cover(float(target[0]))
        np.maximum(cover, self._axes[1].cover(float(target[2])), out=cover)
        cover *= self._strength
        return cover.astype(np.uint8)


@dataclass(frozen=True)
class _Lines:
    """Grid lines of one direction: per pixel its place in cells, pixels per cell, bounds of its coverage."""

    cells: Array
    pixels: Array
    width: Array
    most: Array

    @classmethod
    def across(cls, axis: Array, pixels: Array) -> "_Lines":
        thick = np.float32(LINE_M / GRID_M) * pixels
        # A line thinner than a pixel covers only that share of it, so far lines grow faint instead of jagged.
        return cls(axis * np.float32(1 / GRID_M), pixels, 0.5 * thick + np.float32(0.5), np.minimum(1, thick))

    def cover(self, shift_m: float) -> Array:
        """Share (rows, columns) of each pixel that a line covers when the grid is moved by `shift_m`."""
        away = self.cells + np.float32((shift_m / GRID_M) % 1.0)
        away -= np.rint(away)
        np.abs(away, out=away)
        away *= self.pixels
        np.subtract(self.width, away, out=away)
        np.maximum(away, 0, out=away)
        return np.minimum(away, self.most, out=away)


def _pixels_per_cell(axis: Array) -> Array:
    """Pixels that one cell spans where the ground coordinate `axis` (rows, columns) changes fastest."""
    along_rows, along_columns = np.gradient(axis)
    return (GRID_M / np.maximum(np.hypot(along_rows, along_columns), 1e-6)).astype(np.float32)


def follow(motion: Motion) -> Array:
    """Ground points (F, 3) for the camera to aim at: the pelvis's path, smoothed, on the floor."""
    root = motion.root.astype(np.float64)
    path = gaussian_filter1d(root, FOLLOW_S * motion.fps, axis=0, mode="nearest")
    path[:, 1] = floor_height(motion)
    return path


def floor_height(motion: Motion) -> float:
    """Height of the floor in metres: just below the lowest joint of all but one frame in a hundred."""
    return float(np.percentile(motion.joints[:, :, 1].min(axis=1), 1)) - 0.03
