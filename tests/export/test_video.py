"""Videos: frames show what they should, files play back with the right size, length and timing, and in time."""

import os
import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
from made_motion import make_motion
from PIL import Image

from collage_motion.errors import OutputError
from collage_motion.export import video, write
from collage_motion.export.camera import Camera, floor_height, follow
from collage_motion.export.draw import HEIGHT, SEGMENT_COLOURS, WIDTH, Stage, frames
from collage_motion.motion import Motion
from collage_motion.skeleton import JOINTS


def saturation(picture: Image.Image) -> np.ndarray:
    pixels = np.asarray(picture).astype(int)
    return pixels.max(axis=-1) - pixels.min(axis=-1)


@pytest.fixture(scope="module")
def stage(motion) -> Stage:
    return Stage(motion)


def test_the_figure_stands_where_its_joints_are(motion, stage):
    """Every joint, projected by the camera, lies on coloured pixels; the corners of the picture do not."""
    for index in (0, 23):
        picture = stage.frame(index)
        coloured = (saturation(picture) > 40) | (np.asarray(picture.convert("L")) < 120)
        view = stage.camera.view(motion.joints[index].astype(float), follow(motion)[index])
        for joint, (x, y) in zip(JOINTS, stage.camera.project(view).astype(int), strict=True):
            assert coloured[y - 4 : y + 5, x - 4 : x + 5].any(), joint
        assert not coloured[:60, :300].any() and not coloured[:60, -300:].any()


def test_each_segment_has_its_colour_and_caption(stage):
    first, last = stage.frame(0), stage.frame(23)
    boxes = (first.crop((300, 0, 660, 440)), last.crop((300, 0, 660, 440)))
    for box, colour, other in zip(boxes, SEGMENT_COLOURS[:2], SEGMENT_COLOURS[1::-1], strict=True):
        mean = np.asarray(box)[saturation(box) > 60].astype(float).mean(axis=0)
        own, wrong = (np.linalg.norm(mean / mean.sum() - np.array(c) / sum(c)) for c in (colour, other))
        assert own < 0.2 * wrong
    captions = [np.asarray(f.crop((0, 450, 600, 500)).convert("L")) < 90 for f in (first, last)]
    assert captions[0].sum() > 200 and captions[1].sum() > 200 and (captions[0] != captions[1]).any()


def test_the_time_bar_fills(stage):
    def filled(index: int) -> int:
        row = np.asarray(stage.frame(index))[HEIGHT - 30]
        return int((row.max(axis=-1).astype(int) - row.min(axis=-1) > 90).sum())

    assert filled(0) < filled(11) < filled(23) and filled(23) > 0.9 * (WIDTH - 72)


def test_the_camera_follows_without_shaking(motion):
    target = follow(motion)
    assert np.abs(np.diff(target, n=2, axis=0)).max() < 0.005
    np.testing.assert_allclose(target[:, 1], floor_height(motion))
    still = Camera(WIDTH, HEIGHT).project(Camera(WIDTH, HEIGHT).view(target[12] + [0, 0.8, 0], target[12]))
    np.testing.assert_allclose(still, [WIDTH / 2, 0.46 * HEIGHT], atol=1e-6)


@pytest.mark.slow
def test_odd_motions_can_be_drawn():
    """One frame, no words, one endless word, letters the font lacks, a leap out of the picture: never an error."""
    plain = make_motion(2)
    for prompts in (("", ""), ("wwwwwwww" * 60,) * 2, ("走る 🙂",) * 2, ("a very long caption " * 30,) * 2):
        moved = Motion(
            plain.features, plain.joints + np.array([0, 3, 0]), plain.rotations, plain.offsets, 20, prompts
        )
        assert next(frames(moved)).size == (WIDTH, HEIGHT)
    one = Motion(plain.features[:1], plain.joints[:1], plain.rotations[:1], plain.offsets, 20, ("x",))
    assert len(list(frames(one, 320, 180))) == 1


@pytest.mark.slow
def test_mp4_plays_back_whole(motion, tmp_path):
    heard = []
    write(motion, tmp_path / "a.mp4", progress=lambda done, total: heard.append((done, total)))
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    command = [ffmpeg, "-i", str(tmp_path / "a.mp4"), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert b"20 fps" in done.stderr and b"960x540" in done.stderr and b"h264" in done.stderr
    pictures = np.frombuffer(done.stdout, np.uint8).reshape(-1, HEIGHT, WIDTH, 3)
    assert len(pictures) == motion.n_frames
    drawn = np.asarray(Stage(motion).frame(23)).astype(int)
    assert np.abs(pictures[-1].astype(int) - drawn).mean() < 4
    assert heard[-1] == (24, 24) and len(heard) == 24


@pytest.mark.slow
def test_gif_repeats_and_keeps_time(motion, tmp_path):
    write(motion, tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as picture:
        assert picture.n_frames == 12 and picture.info["loop"] == 0
        pauses = []
        for index in range(picture.n_frames):
            picture.seek(index)
            pauses.append(picture.info["duration"])
        assert sum(pauses) == pytest.approx(1000 * motion.duration_s)
        first = picture.seek(0) or picture.convert("RGB")
    drawn = np.asarray(Stage(motion, *first.size).frame(0)).astype(int)
    assert np.abs(np.asarray(first).astype(int) - drawn).mean() < 4


def test_a_gif_of_one_frame(tmp_path):
    plain = make_motion(2)
    one = Motion(plain.features[:1], plain.joints[:1], plain.rotations[:1], plain.offsets, 30, ("x",))
    write(one, tmp_path / "one.gif")
    with Image.open(tmp_path / "one.gif") as picture:
        assert picture.size == (video.GIF_WIDTH, video.GIF_HEIGHT)


def test_an_encoder_that_fails_is_one_clear_line(motion, tmp_path, monkeypatch):
    bad = tmp_path / "ffmpeg"
    bad.write_text("#!/bin/sh\necho 'unknown encoder' >&2\nexit 3\n")
    bad.chmod(0o755)
    monkeypatch.setattr(video.imageio_ffmpeg, "get_ffmpeg_exe", lambda: str(bad))
    with pytest.raises(
        OutputError, match=r"a\.mp4: cannot be written \(the video encoder failed: unknown encoder"
    ):
        write(motion, tmp_path / "a.mp4")
    bad.write_text("#!/bin/sh\necho 'av_write: No space left on device' >&2\nexit 1\n")
    with pytest.raises(OutputError, match="the disk is full"):
        write(motion, tmp_path / "a.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["ffmpeg"]


def test_no_encoder_is_one_clear_line(motion, tmp_path, monkeypatch):
    def missing():
        raise RuntimeError("No ffmpeg exe could be found.")

    monkeypatch.setattr(video.imageio_ffmpeg, "get_ffmpeg_exe", missing)
    with pytest.raises(OutputError, match="no ffmpeg program found"):
        write(motion, tmp_path / "a.mp4")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_rendering_takes_no_longer_than_playing(suffix, tmp_path):
    """Drawing and encoding run side by side on two cores, so each must need less than the playing time.

    Processor time is what is measured, for a busy machine must not decide the test.
    """
    long = make_motion(400)
    before = os.times()
    write(long, tmp_path / f"a{suffix}")
    after = os.times()
    assert after.user + after.system - before.user - before.system < long.duration_s
    encoding = after.children_user + after.children_system - before.children_user - before.children_system
    assert encoding < long.duration_s
