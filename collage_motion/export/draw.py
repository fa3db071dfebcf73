"""Frames of a motion: the figure on a grid with its shadow, the current prompt, and a bar of all segments."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from collage_motion.export.camera import Camera, Ground, floor_height, follow
from collage_motion.export.figure import Body, Shades, draw_figure
from collage_motion.motion import Motion

Rgb = tuple[int, int, int]
Array = NDArray[np.floating]

WIDTH, HEIGHT = 960, 540
"""Default size of a frame in pixels."""

SEGMENT_COLOURS: tuple[Rgb, ...] = (
    (58, 124, 196), (232, 126, 72), (46, 158, 130), (148, 103, 189), (214, 84, 108), (206, 158, 46),
    (76, 150, 178), (122, 148, 62),
)  # fmt: skip
"""Colours of the segments in turn; neighbours differ in hue and in lightness."""

SKY: Rgb = (226, 232, 239)
FLOOR: Rgb = (249, 250, 251)
LINES: Rgb = (186, 196, 208)
SHADOW: Rgb = (72, 84, 104)
INK: Rgb = (38, 46, 60)
FAINT_INK: Rgb = (112, 122, 138)

_FADE_FRAMES = 5
_SHADOW_LEAN = np.array([0.34, 0.0, -0.20])  # metres along the floor per metre of height


class Stage:
    """All of a video of `motion` that does not change from frame to frame, and `frame` for what does."""

    def __init__(self, motion: Motion, width: int = WIDTH, height: int = HEIGHT) -> None:
        self.motion = motion
        self.camera = Camera(width, height)
        self._ground = Ground(self.camera)
        self._floor = floor_height(motion)
        self._targets = follow(motion)
        self._body = Body(motion)
        self._colours = _colour_per_frame(motion)
        self._backdrop = _backdrop(self.camera, self._ground)
        self._labels = _Labels(motion, width, height)

    def frame(self, index: int) -> Image.Image:
        """Frame `index` as an RGB picture."""
        target = self._targets[index]
        picture = self._backdrop.copy()
        lines = Image.fromarray(self._ground.line_mask(target))
        picture.paste(LINES, (0, self._ground.lines_top), lines)
        ends = self._body.ends[index]
        corner, shadow = self._shadow(ends, target)
        picture.paste(SHADOW, corner, shadow)
        pixels = np.array(picture)
        view = self.camera.view(ends, target)
        draw_figure(pixels, view, self._body.radii, self.camera, _shades(self._colours[index]))
        picture = Image.fromarray(pixels)
        self._labels.draw(picture, index)
        return picture

    def _shadow(self, ends: Array, target: Array) -> tuple[tuple[int, int], Image.Image]:
        """Where to put it, and a soft mask of the limbs dropped to the floor along the light."""
        shrink = 4
        camera = self.camera
        height = np.maximum(ends[..., 1:2] - self._floor, 0)
        dropped = ends + height * _SHADOW_LEAN
        dropped[..., 1] = self._floor
        view = camera.view(dropped, target)
        pixels = camera.project(view) / shrink
        sizes = self._body.radii * camera.focal / np.maximum(view[..., 2], 0.05) / shrink
        blur = 1.6 * camera.height / HEIGHT
        room = sizes.max() + 3 * blur
        limit = np.array([camera.width, camera.height]) // shrink
        low = np.clip(np.floor(pixels.min(axis=(0, 1)) - room), 0, limit - 1).astype(int)
        high = np.clip(np.ceil(pixels.max(axis=(0, 1)) + room), low + 1, limit).astype(int)
        small = Image.new("L", tuple((high - low).tolist()))
        pen = ImageDraw.Draw(small)
        for (a, b), (ra, rb) in zip(pixels - low, sizes, strict=True):
            pen.line((*a, *b), fill=105, width=max(1, round(1.3 * min(ra, rb))))
            for (x, y), r in ((a, ra), (b, rb)):
                pen.ellipse((x - r, y - 0.5 * r, x + r, y + 0.5 * r), fill=105)
        soft = small.filter(ImageFilter.GaussianBlur(blur))
        left, top = (low * shrink).tolist()
        large = soft.resize((soft.width * shrink, soft.height * shrink), Image.Resampling.BILINEAR)
        return (left, top), large


def frames(motion: Motion, width: int = WIDTH, height: int = HEIGHT, step: int = 1) -> Iterator[Image.Image]:
    """Every `step`-th frame of a motion as RGB pictures."""
    stage = Stage(motion, width, height)
    for index in range(0, motion.n_frames, step):
        yield stage.frame(index)


def _colour_per_frame(motion: Motion) -> Array:
    """Segment colours (F, 3), flowing into each other over a few frames."""
    hard = np.empty((motion.n_frames, 3))
    for number, (start, end, _) in enumerate(motion.segments):
        hard[start:end] = SEGMENT_COLOURS[number % len(SEGMENT_COLOURS)]
    padded = np.pad(hard, ((_FADE_FRAMES, _FADE_FRAMES), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _FADE_FRAMES + 1, axis=0)
    return windows.mean(axis=-1)


def _shades(colour: Array) -> Shades:
    def mix(other: Rgb, share: float) -> tuple[float, float, float]:
        red, green, blue = colour + share * (np.array(other) - colour)
        return float(red), float(green), float(blue)

    return Shades(
        middle=mix((255, 255, 255), 0.12),
        left=mix((255, 255, 255), 0.34),
        right=mix(INK, 0.22),
        face=mix(INK, 0.72),
    )


def _backdrop(camera: Camera, ground: Ground) -> Image.Image:
    """Sky above, floor below, the floor brightest around the figure."""
    sky, floor = np.array(SKY, dtype=np.float32), np.array(FLOOR, dtype=np.float32)
    picture = np.empty((camera.height, camera.width, 3), dtype=np.float32)
    picture[:] = sky
    picture[ground.top :] += ground.nearness[..., None] ** 0.6 * (floor - sky)
    return Image.fromarray((picture + 0.5).astype(np.uint8))


@dataclass(frozen=True)
class _Bar:
    left: int
    top: int
    right: int
    bottom: int


class _Labels:
    """Caption, clock and time bar; texts and bars are drawn once and pasted."""

    def __init__(self, motion: Motion, width: int, height: int) -> None:
        self._motion = motion
        self._unit = height / HEIGHT
        edge = round(36 * self._unit)
        bottom = height - round(26 * self._unit)
        self._bar = _Bar(edge, bottom - max(3, round(8 * self._unit)), width - edge, bottom)
        self._past = self._draw_bar(pale=False)
        self._ahead = self._draw_bar(pale=True)
        self._font = ImageFont.load_default(max(9, round(25 * self._unit)))
        self._small = ImageFont.load_default(max(8, round(15 * self._unit)))
        self._captions = [self._draw_caption(prompt) for _, _, prompt in motion.segments]
        starts = [start for start, _, _ in motion.segments]
        self._segment = np.searchsorted(starts, np.arange(motion.n_frames), side="right") - 1

    def draw(self, picture: Image.Image, index: int) -> None:
        """Put the labels of frame `index` on the picture."""
        bar, motion = self._bar, self._motion
        segment = int(self._segment[index])
        caption = self._captions[segment]
        above = bar.top - round(14 * self._unit)
        picture.paste(INK, (bar.left, above - caption.height), caption)
        width = bar.right - bar.left
        done = round(width * (index + 1) / motion.n_frames)
        picture.paste(self._ahead, (bar.left, bar.top), self._ahead)
        played = self._past.crop((0, 0, done, self._past.height))
        picture.paste(played, (bar.left, bar.top), played)
        pen = ImageDraw.Draw(picture)
        clock = f"{(index + 1) / motion.fps:.1f} / {motion.duration_s:.1f} s"
        pen.text((bar.right, above), clock, font=self._small, fill=FAINT_INK, anchor="rs")

    def _draw_bar(self, pale: bool) -> Image.Image:
        """One rounded piece a segment, as wide as it lasts; drawn large and shrunk to smooth its edges."""
        zoom = 4
        width, height = self._bar.right - self._bar.left, self._bar.bottom - self._bar.top
        image = Image.new("RGBA", (width * zoom, height * zoom), (255, 255, 255, 0))
        pen = ImageDraw.Draw(image)
        scale = width * zoom / self._motion.n_frames
        gap = zoom * max(1, round(1.5 * self._unit))
        for number, (start, end, _) in enumerate(self._motion.segments):
            colour = np.array(SEGMENT_COLOURS[number % len(SEGMENT_COLOURS)])
            colour = (colour + (0.68 if pale else 0) * (255 - colour)).astype(int)
            x0, x1 = (
                start * scale + (gap if start else 0),
                end * scale - (gap if end < self._motion.n_frames else 0),
            )
            box = (x0, 0, max(x0, x1 - 1), height * zoom - 1)
            pen.rounded_rectangle(
                box, radius=min(height * zoom / 2, (box[2] - x0) / 2), fill=(*colour.tolist(), 255)
            )
        return image.reduce(zoom)

    def _draw_caption(self, prompt: str) -> Image.Image:
        """Mask of the prompt, in at most two lines."""
        room = self._bar.right - self._bar.left - round(130 * self._unit)
        text = "\n".join(_wrap(prompt, self._font, room))
        spacing = round(5 * self._unit)
        box = ImageDraw.Draw(Image.new("L", (1, 1))).multiline_textbbox(
            (0, 0), text, self._font, spacing=spacing
        )
        size = (max(1, int(np.ceil(box[2])) + 1), max(1, int(np.ceil(box[3])) + 1))
        image = Image.new("L", size)
        ImageDraw.Draw(image).multiline_text((0, 0), text, fill=255, font=self._font, spacing=spacing)
        return image


def _wrap(
    text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: float, most: int = 2
) -> list[str]:
    """Lines no wider than `room` pixels, at most `most` of them; what does not fit becomes an ellipsis."""
    lines: list[str] = []
    words = text.split()
    while words and len(lines) < most:
        taken = 1
        while taken < len(words) and font.getlength(" ".join(words[: taken + 1])) <= room:
            taken += 1
        lines.append(" ".join(words[:taken]))
        words = words[taken:]
    if words or any(font.getlength(line) > room for line in lines):
        last = lines[-1]
        while last and font.getlength(last + "…") > room:
            last = last[:-1]
        lines[-1] = last.rstrip() + "…"
    return lines
