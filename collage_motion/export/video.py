"""MP4 through a separate ffmpeg program, GIF through Pillow with one palette for all frames."""

import errno
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from collage_motion.errors import OutputError
from collage_motion.export.draw import HEIGHT, WIDTH, Stage
from collage_motion.motion import Motion

Progress = Callable[[int, int], None]

GIF_WIDTH, GIF_HEIGHT = 640, 360
GIF_FPS = 10
"""Pictures per second of a GIF, at most; also keeps the file small."""
AREA_COLOURS, SHADE_COLOURS, FIGURE_COLOURS = 40, 32, 144
"""How the palette of a GIF is shared out."""


def write_mp4(motion: Motion, path: Path, progress: Progress | None = None) -> None:
    """H.264 video of every frame. Raises OutputError without ffmpeg, OSError when it fails (full disk)."""
    command = [
        _ffmpeg(), "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24",
        "-s", f"{WIDTH}x{HEIGHT}", "-r", str(motion.fps), "-i", "-", "-an", "-c:v", "libx264",
        "-preset", "veryfast",
        "-crf", "20", "-pix_fmt", "yuv420p", "-movflags", "+faststart", "-f", "mp4", str(path),
    ]  # fmt: skip
    with tempfile.TemporaryFile() as log:
        # In a session of its own, so that Ctrl-C reaches only this program, which then ends the encoder.
        encoder = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True
        )
        try:
            _feed(encoder, _pictures(motion, WIDTH, HEIGHT, 1, progress))
            code = encoder.wait()
        finally:
            if encoder.poll() is None:
                encoder.kill()
                encoder.wait()
        if code:
            log.seek(0)
            raise _failure(log.read().decode(errors="replace"), code)


def _feed(encoder: subprocess.Popen[bytes], pictures: Iterator[Image.Image]) -> None:
    """Send the pictures and close the pipe; of an encoder that died early the exit code tells."""
    if encoder.stdin is None:
        return
    with suppress(BrokenPipeError), encoder.stdin as pipe:
        for picture in pictures:
            pipe.write(picture.tobytes())


def write_gif(motion: Motion, path: Path, progress: Progress | None = None) -> None:
    """A smaller animated GIF that repeats for ever, at most 10 pictures a second, all with one palette."""
    step = max(1, round(motion.fps / GIF_FPS))
    palette = _shared_palette(motion, step)
    pictures = (
        picture.quantize(palette=palette, dither=Image.Dither.NONE)
        for picture in _pictures(motion, GIF_WIDTH, GIF_HEIGHT, step, progress)
    )
    shown = range(0, motion.n_frames, step)
    # GIF counts in hundredths of a second: rounding moments, not pauses, keeps the whole in time.
    moments = np.round(100 * np.minimum([*shown, shown[-1] + step], motion.n_frames) / motion.fps)
    pauses = (10 * np.maximum(np.diff(moments), 2)).astype(int).tolist()
    first = next(pictures)
    first.save(
        path,
        format="GIF",
        save_all=True,
        append_images=pictures,
        duration=pauses,
        loop=0,
        optimize=False,
        disposal=1,
    )


def _ffmpeg() -> str:
    try:
        return imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise OutputError(
            "mp4 video: no ffmpeg program found; install imageio-ffmpeg again, or write .gif, .bvh or .npz"
        ) from error


def _failure(messages: str, code: int) -> OSError:
    """What the encoder's messages mean, with the line that says most to a user."""
    if "No space left" in messages:
        return OSError(errno.ENOSPC, "no space left")
    lines = [line.strip() for line in messages.splitlines() if line.strip()]
    return OSError(errno.EIO, f"the video encoder failed: {lines[0] if lines else f'exit code {code}'}")


def _pictures(
    motion: Motion, width: int, height: int, step: int, progress: Progress | None
) -> Iterator[Image.Image]:
    stage = Stage(motion, width, height)
    for index in range(0, motion.n_frames, step):
        yield stage.frame(index)
        if progress:
            progress(min(index + step, motion.n_frames), motion.n_frames)


def _shared_palette(motion: Motion, step: int) -> Image.Image:
    """A palette from pictures of every segment, most of it for the figure, which fills few pixels."""
    stage = Stage(motion, GIF_WIDTH, GIF_HEIGHT)
    spread = np.linspace(0, motion.n_frames - 1, min(motion.n_frames, 8)).astype(int).tolist()
    middles = [(start + end) // 2 for start, end, _ in motion.segments][:24]
    pixels = np.concatenate([np.asarray(stage.frame(i)).reshape(-1, 3) for i in sorted({*spread, *middles})])
    once = _distinct(pixels)
    vivid = np.ptp(once, axis=1) > 36
    # Wide areas need fine steps, but a small soft shadow must not be lost beside them: some colours by area,
    # some with each shade counted once.
    groups = ((pixels[::7], AREA_COLOURS), (once[~vivid], SHADE_COLOURS), (once[vivid], FIGURE_COLOURS))
    colours = [colour for group, count in groups if len(group) for colour in _main_colours(group, count)]
    palette = Image.new("P", (1, 1))
    palette.putpalette([value for colour in colours for value in colour])
    return palette


def _distinct(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each shade of pixels (N, 3) once, told apart in steps of 2."""
    red, green, blue = (pixels[:, k].astype(np.int32) >> 1 for k in range(3))
    codes = np.unique(red << 14 | green << 7 | blue)
    return (np.stack((codes >> 14, codes >> 7 & 127, codes & 127), axis=1) << 1).astype(np.uint8)


def _main_colours(pixels: NDArray[np.uint8], count: int) -> list[tuple[int, int, int]]:
    """At most `count` colours that stand for pixels (N, 3)."""
    reduced = Image.fromarray(pixels[None]).quantize(count, method=Image.Quantize.MEDIANCUT)
    values = reduced.getpalette() or []
    used = len(reduced.getcolors() or [])
    return [(values[3 * k], values[3 * k + 1], values[3 * k + 2]) for k in range(used)]
