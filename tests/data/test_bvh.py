"""The BVH reader: what it takes, what it refuses, and that its numbers are another reader's."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from collage_motion.data.bvh import parse_bvh, read_bvh
from collage_motion.errors import DataError

ARM = """HIERARCHY
ROOT Hips
{
  OFFSET 0 100 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Arm
  {
    OFFSET 10 0 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    JOINT Hand
    {
      OFFSET 5 0 0
      CHANNELS 3 Zrotation Xrotation Yrotation
      End Site
      {
        OFFSET 1 0 0
      }
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.0333333
1 2 3 0 0 0 0 0 0 0 0 0
1 2 3 90 0 0 -90 0 0 0 0 0
"""


def parse(text: str) -> np.ndarray:
    return parse_bvh(text.encode(), "arm.bvh").world


def test_a_root_position_replaces_its_offset_and_rotations_carry_the_children() -> None:
    clip = parse_bvh(ARM.encode(), "arm.bvh")
    assert clip.names == ("Hips", "Arm", "Hand")
    assert clip.parents == (-1, 0, 1)
    assert clip.fps == 30.0
    np.testing.assert_allclose(clip.world[0], [[1, 2, 3], [11, 2, 3], [16, 2, 3]], atol=1e-12)
    np.testing.assert_allclose(clip.world[1], [[1, 2, 3], [1, 12, 3], [6, 12, 3]], atol=1e-12)


def test_position_channels_of_any_joint_replace_its_offset_axis_by_axis() -> None:
    text = ARM.replace("CHANNELS 3 Zrotation Xrotation Yrotation", "CHANNELS 1 Yposition", 1)
    text = re.sub(r"(?m)^1 2 3 .*$", "1 2 3 0 0 0 7 0 0 0", text)
    np.testing.assert_allclose(parse(text)[0, 1], [11, 9, 3])


@pytest.mark.parametrize("declared", ["1", "3", "0"])
def test_the_data_lines_count_not_the_declared_frames(declared: str) -> None:
    clip = parse_bvh(ARM.replace("Frames: 2", f"Frames: {declared}").encode(), "arm.bvh")
    assert clip.n_frames == 2
    assert clip.declared_frames == int(declared)


def test_a_file_cut_at_the_end_of_a_line_is_told() -> None:
    with pytest.raises(DataError, match=r"^arm\.bvh:\d+: 2 of 4 frames are there; the file is truncated"):
        parse_bvh(ARM.replace("Frames: 2", "Frames: 4").encode(), "arm.bvh")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("  ", "\t").replace(": ", ":\t"),
        lambda text: "\ufeff" + text,
        lambda text: text + "\n \n",
        lambda text: text.rstrip("\n"),
        lambda text: re.sub(r"\n\s*\{", " {", text),
        lambda text: text.replace("Frame Time:", "Frame  time :").replace("HIERARCHY", "hierarchy"),
        lambda text: text.replace("1 2 3", "1.0e0 +2 3.", 1),
    ],
    ids=["crlf", "tabs", "bom", "blank lines", "no last newline", "braces on the line", "case", "numbers"],
)
def test_spellings_of_the_wild_mean_the_same(change) -> None:  # type: ignore[no-untyped-def]
    np.testing.assert_array_equal(parse(change(ARM)), parse(ARM))


@settings(max_examples=40, deadline=None)
@given(
    order=st.permutations("XYZ"),
    places=st.permutations(range(6)),
    angles=st.lists(st.floats(-720, 720), min_size=3, max_size=3),
)
def test_any_channel_order_agrees_with_scipy(
    order: list[str], places: list[int], angles: list[float]
) -> None:
    # Rotation channels in `order`, interleaved with position channels according to `places`.
    rotations = [(f"{axis}rotation", angle) for axis, angle in zip(order, angles, strict=True)]
    positions = [("Xposition", 1.0), ("Yposition", 2.0), ("Zposition", 3.0)]
    slots: list[tuple[str, float] | None] = [None] * 6
    for slot, channel in zip(sorted(places[:3]), rotations, strict=True):
        slots[slot] = channel
    rest = iter(positions)
    channels = [slot or next(rest) for slot in slots]
    text = (
        f"HIERARCHY\nROOT a\n{{\nOFFSET 0 0 0\nCHANNELS 6 {' '.join(name for name, _ in channels)}\nJOINT b\n{{\n"
        "OFFSET 1 2 3\nCHANNELS 0\n}\n}\nMOTION\nFrames: 1\nFrame Time: 0.01\n"
        f"{' '.join(repr(value) for _, value in channels)}\n"
    )
    turned = Rotation.from_euler("".join(order), angles, degrees=True).apply([1, 2, 3])
    np.testing.assert_allclose(parse(text)[0, 1], turned + np.array([1, 2, 3]), atol=1e-9)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("", "arm.bvh: the file is empty"),
        ("hello\n", "arm.bvh:1: unknown word 'hello'; this is not the hierarchy of a BVH file"),
        ("\x00\x01\x02" * 50, "arm.bvh:1: unknown word"),
        (ARM.split("MOTION")[0], "arm.bvh:20: the file ends before its MOTION block"),
        (ARM[: ARM.index("1 2 3")], "arm.bvh:23: the MOTION block holds no frames"),
        (ARM[: ARM.index("Frame Time")], "arm.bvh:22: MOTION is not followed by"),
        (ARM[:-9], "arm.bvh:25: 8 values in a frame of 12 channels; the file is truncated or broken"),
        (ARM.replace("-90", "nan"), "arm.bvh:25: 'nan' is not a finite number"),
        (ARM.replace("-90", "1e300"), "arm.bvh:25: '1e300' is not a finite number up to 1e+09"),
        (ARM.replace("-90", "x"), "arm.bvh:25: 'x' is not a finite number"),
        (ARM.replace("Frame Time: 0.0333333", "Frame Time: 0"), "arm.bvh:23: 'frame time' is '0'; allowed"),
        (ARM.replace("Frames: 2", "Frames: two"), "arm.bvh:22: 'frames' is 'two'; allowed"),
        (ARM.replace("OFFSET 10 0 0", "OFFSET 10 0"), "arm.bvh:8: OFFSET of 'Arm' needs three numbers"),
        (ARM.replace("OFFSET 10 0 0", "OFFSET 10 1e10 0"), "OFFSET of 'Arm' is not finite or beyond 1e+09"),
        (ARM.replace("OFFSET 10 0 0", "OFFSET 10 inf 0"), "arm.bvh:8: OFFSET of 'Arm' is not finite"),
        (ARM.replace("    OFFSET 10 0 0\n", ""), "joint 'Arm' has no OFFSET"),
        (ARM.replace("CHANNELS 3", "CHANNELS 4", 1), "arm.bvh:9: CHANNELS of 'Arm' does not give as many"),
        (ARM.replace("Zrotation X", "Zrotation W", 1), "arm.bvh:5: CHANNELS of 'Hips' are"),
        (ARM.replace("}\nMOTION", "MOTION"), "arm.bvh:20: MOTION comes before 1 '}'"),
        (ARM.replace("}\nMOTION", "}\n}\nMOTION"), "arm.bvh:21: a '}' that closes nothing"),
        (ARM.replace("JOINT Arm", "ROOT Arm"), "arm.bvh:6: a BVH file has one ROOT"),
        ("HIERARCHY\nMOTION\nFrames: 0\n", "arm.bvh:2: MOTION comes before any ROOT"),
        (ARM.replace("{\n  OFFSET", "OFFSET", 1), "arm.bvh:3: expected '{' after the name of a joint"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(broken: str, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        parse(broken)
    assert "\n" not in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(cut=st.integers(0, len(ARM)), noise=st.binary(max_size=6))
def test_damage_is_either_read_or_a_data_error(cut: int, noise: bytes) -> None:
    data = ARM.encode()
    try:
        clip = parse_bvh(data[:cut] + noise + data[cut + len(noise) :], "arm.bvh")
    except DataError:
        return
    assert np.isfinite(clip.world).all()


def test_missing_files_and_folders_are_data_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.bvh: cannot be read \(No such file"):
        read_bvh(tmp_path / "nothing.bvh")
    with pytest.raises(DataError, match="cannot be read"):
        read_bvh(tmp_path)


def test_positions_agree_with_another_reader(tmp_path: Path) -> None:
    pybvh = pytest.importorskip("pybvh")
    path = tmp_path / "arm.bvh"
    # The other reader wants rotations on every joint and takes positions on the root only.
    values = np.random.default_rng(0).uniform(-180, 180, (5, 12))
    head = ARM[: ARM.index("1 2 3")].replace("Frames: 2", "Frames: 5")
    path.write_text(head + "\n".join(" ".join(f"{value:.6f}" for value in row) for row in values) + "\n")
    other = pybvh.read_bvh_file(path).joint_positions()
    np.testing.assert_allclose(read_bvh(path).world, np.asarray(other)[:, :3], atol=1e-4)
