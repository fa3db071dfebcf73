"""Read BVH motion capture, leniently where files of the wild differ and strictly where they are broken."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collage_motion.errors import DataError

_AXIS: Final = {"x": 0, "y": 1, "z": 2}
MAX_NUMBER: Final = 1e9
"""The largest number of a hierarchy or a frame: 1,000 km in millimetres, and far more than any angle."""


@dataclass(frozen=True)
class BvhClip:
    """One recording: J joints (end sites excluded) over T frames, in the units and axes of the file.

    `offsets` (J, 3) are those of the hierarchy; `positions` (T, J, 3) are the local translations really
    used in each frame, where position channels have replaced the offset; `rotations` (T, J, 3, 3) are local.
    `world` (T, J, 3) and `orientations` (T, J, 3, 3) are the joints in world space. `declared_frames` is what
    the file promised, which may differ from T.
    """

    source: str
    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: NDArray[np.float64]
    positions: NDArray[np.float64]
    rotations: NDArray[np.float64]
    world: NDArray[np.float64]
    orientations: NDArray[np.float64]
    frame_time: float
    declared_frames: int

    @property
    def n_frames(self) -> int:
        """Number of frames the file holds."""
        return len(self.world)

    @property
    def fps(self) -> float:
        """Frames per second; a frame time of few digits (0.016667) counts as the whole rate it means."""
        rate = 1.0 / self.frame_time
        whole = round(rate)
        return float(whole) if whole > 0 and abs(rate - whole) < 1e-3 * whole else rate


@dataclass
class _Joint:
    name: str
    parent: int
    offset: tuple[float, float, float] | None = None
    channels: tuple[str, ...] = ()


def read_bvh(path: str | Path) -> BvhClip:
    """Read a BVH file; raises DataError naming the file and the line when it is missing or broken."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        why = error.strerror or error
        raise DataError(f"{path}: cannot be read ({why}); give the path of a BVH file") from None
    return parse_bvh(data, str(path))


def parse_bvh(data: bytes, source: str) -> BvhClip:
    """Parse the bytes of a BVH file; `source` names it in errors.

    Position channels of a joint replace its OFFSET, axis by axis. The frame count of the header is not
    trusted: every data line is a frame. Channels may come in any order and rotations in any axis order, also
    with fewer than three axes; tabs, CRLF, blank lines and a byte-order mark are accepted.
    """
    lines = data.decode("utf-8-sig", errors="replace").splitlines()
    if not any(line.strip() for line in lines):
        raise DataError(f"{source}: the file is empty; a BVH file begins with HIERARCHY")
    joints, at = _read_hierarchy(lines, source)
    declared, frame_time, at = _read_motion_header(lines, at, source)
    n_channels = sum(len(joint.channels) for joint in joints)
    values = _read_frames(lines, at, n_channels, source)
    if declared > len(values) + 1:  # one too many is common; more are missing
        raise _fail(
            source, len(lines) - 1, f"{len(values)} of {declared} frames are there; the file is truncated"
        )
    offsets = np.array([joint.offset for joint in joints], dtype=np.float64)
    positions, rotations = _local_transforms(joints, offsets, values)
    parents = tuple(joint.parent for joint in joints)
    world, orientations = _to_world(parents, positions, rotations)
    return BvhClip(
        source=source,
        names=tuple(joint.name for joint in joints),
        parents=parents,
        offsets=offsets,
        positions=positions,
        rotations=rotations,
        world=world,
        orientations=orientations,
        frame_time=frame_time,
        declared_frames=declared,
    )


def _fail(source: str, line: int, what: str) -> DataError:
    """The error for a broken line; `line` counts from zero."""
    return DataError(f"{source}:{line + 1}: {what}")


def _tokens(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Lines of the hierarchy as (line number, words), braces always on lines of their own."""
    for number, line in enumerate(lines):
        words: list[str] = []
        for word in line.replace("{", " { ").replace("}", " } ").split():
            if word in "{}":
                if words:
                    yield number, words
                yield number, [word]
                words = []
            else:
                words.append(word)
        if words:
            yield number, words


def _read_hierarchy(lines: list[str], source: str) -> tuple[list[_Joint], int]:
    """The joints in file order and the number of the line after MOTION."""
    joints: list[_Joint] = []
    stack: list[int] = []  # the joints whose braces are open; -1 for an end site
    opening: int | None = None
    for number, words in _tokens(lines):
        head = words[0].upper()
        if opening is not None and head != "{":
            raise _fail(source, number, f"expected '{{' after the name of a joint, got '{' '.join(words)}'")
        if head == "{":
            if opening is None:
                raise _fail(source, number, "a '{' that belongs to no joint")
            stack.append(opening)
            opening = None
        elif head == "}":
            if not stack:
                raise _fail(source, number, "a '}' that closes nothing")
            stack.pop()
        elif head == "MOTION":
            _check_hierarchy(joints, stack, number, source)
            return joints, number + 1
        elif head in ("ROOT", "JOINT"):
            if (head == "ROOT") != (not joints) or (head == "JOINT" and not stack):
                raise _fail(source, number, "a BVH file has one ROOT, and every JOINT lies inside it")
            if stack and stack[-1] < 0:
                raise _fail(source, number, "a joint inside an End Site; an End Site has no children")
            opening = len(joints)
            joints.append(_Joint(" ".join(words[1:]) or f"joint{opening}", stack[-1] if stack else -1))
        elif head == "END":
            if not stack or stack[-1] < 0:
                raise _fail(source, number, "an End Site outside a joint")
            opening = -1
        elif head in ("OFFSET", "CHANNELS"):
            if not stack:
                raise _fail(source, number, f"{head} outside a joint")
            if stack[-1] >= 0:
                _read_property(joints[stack[-1]], words, number, source)
        elif head != "HIERARCHY":
            raise _fail(
                source, number, f"unknown word '{words[0][:40]}'; this is not the hierarchy of a BVH file"
            )
    raise _fail(source, len(lines) - 1, "the file ends before its MOTION block; it is truncated")


def _check_hierarchy(joints: list[_Joint], stack: list[int], number: int, source: str) -> None:
    """Raise DataError unless all braces are closed and every joint has an offset."""
    if not joints:
        raise _fail(source, number, "MOTION comes before any ROOT; the hierarchy is missing")
    if stack:
        raise _fail(source, number, f"MOTION comes before {len(stack)} '}}' of the hierarchy")
    bare = [joint.name for joint in joints if joint.offset is None]
    if bare:
        raise _fail(source, number, f"joint '{bare[0]}' has no OFFSET")


def _read_property(joint: _Joint, words: list[str], number: int, source: str) -> None:
    """Take an OFFSET or CHANNELS line into its joint."""
    if words[0].upper() == "OFFSET":
        try:
            x, y, z = (float(word) for word in words[1:])
        except ValueError:
            raise _fail(source, number, f"OFFSET of '{joint.name}' needs three numbers") from None
        if not (np.abs([x, y, z]) <= MAX_NUMBER).all():
            raise _fail(source, number, f"OFFSET of '{joint.name}' is not finite or beyond {MAX_NUMBER:g}")
        joint.offset = (x, y, z)
        return
    channels = tuple(word.lower() for word in words[2:])
    known = {f"{axis}{kind}" for axis in _AXIS for kind in ("position", "rotation")}
    if len(words) < 2 or words[1] != str(len(channels)):
        raise _fail(source, number, f"CHANNELS of '{joint.name}' does not give as many names as it counts")
    if not set(channels) <= known or len(set(channels)) != len(channels):
        raise _fail(
            source,
            number,
            f"CHANNELS of '{joint.name}' are {' '.join(words[2:])}; known are Xposition, Yposition, "
            "Zposition, Xrotation, Yrotation, Zrotation, each at most once",
        )
    joint.channels = channels


def _read_motion_header(lines: list[str], at: int, source: str) -> tuple[int, float, int]:
    """Declared frame count, frame time in seconds, number of the first data line."""
    declared = -1
    for number in range(at, len(lines)):
        key, _, value = lines[number].partition(":")
        name = " ".join(key.split()).lower()
        if not name:
            continue
        try:
            if name == "frames":
                declared = int(value)
            elif name == "frame time":
                frame_time = float(value)
                if not (np.isfinite(frame_time) and 1e-4 <= frame_time <= 10.0):
                    raise ValueError
                return declared, frame_time, number + 1
            else:
                break
        except ValueError:
            got = value.strip()[:40]
            raise _fail(
                source,
                number,
                f"'{name}' is '{got}'; allowed are a whole number of frames and 0.0001 to 10 s a frame",
            ) from None
    raise _fail(source, min(at, len(lines) - 1), "MOTION is not followed by 'Frames:' and 'Frame Time:'")


def _read_frames(lines: list[str], at: int, n_channels: int, source: str) -> NDArray[np.float64]:
    """The motion block as (T, n_channels)."""
    numbers = [number for number in range(at, len(lines)) if not lines[number].isspace() and lines[number]]
    if not numbers:
        raise _fail(source, len(lines) - 1, "the MOTION block holds no frames; the file is truncated")
    rows = [lines[number].split() for number in numbers]
    for number, row in zip(numbers, rows, strict=True):
        if len(row) != n_channels:
            raise _fail(
                source,
                number,
                f"{len(row)} values in a frame of {n_channels} channels; the file is truncated or broken",
            )
    try:
        values = np.array(rows, dtype=np.float64)
    except ValueError:
        values = np.array([])
    if values.size == 0 or not (np.abs(values) <= MAX_NUMBER).all():
        for number, row in zip(numbers, rows, strict=True):
            for word in row:
                if not _is_fair(word):
                    raise _fail(source, number, f"'{word[:40]}' is not a finite number up to {MAX_NUMBER:g}")
    return values


def _is_fair(word: str) -> bool:
    try:
        return abs(float(word)) <= MAX_NUMBER
    except ValueError:
        return False


def _local_transforms(
    joints: list[_Joint], offsets: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Local translations (T, J, 3) and rotations (T, J, 3, 3) of all frames.

    The rotation is the product of the single-axis rotations in channel order, the first outermost. Joints
    that share an axis order are done together.
    """
    n_frames = len(values)
    positions = np.tile(offsets, (n_frames, 1, 1))
    rotations = np.tile(np.eye(3), (n_frames, len(joints), 1, 1))
    by_order: dict[str, list[tuple[int, list[int]]]] = {}
    column = 0
    for index, joint in enumerate(joints):
        order, columns = "", []
        for channel in joint.channels:
            if channel.endswith("position"):
                positions[:, index, _AXIS[channel[0]]] = values[:, column]
            else:
                order += channel[0]
                columns.append(column)
            column += 1
        if order:
            by_order.setdefault(order, []).append((index, columns))
    for order, members in by_order.items():
        angles = np.deg2rad(values[:, [columns for _, columns in members]])  # (T, members, axes)
        product = _axis_rotation(order[0], angles[..., 0])
        for k in range(1, len(order)):
            product = product @ _axis_rotation(order[k], angles[..., k])
        rotations[:, [index for index, _ in members]] = product
    return positions, rotations


def _axis_rotation(axis: str, angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation matrices (..., 3, 3) by `angle` radians about one axis."""
    i = _AXIS[axis]
    j, k = (i + 1) % 3, (i + 2) % 3
    matrix = np.zeros((*angle.shape, 3, 3))
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix[..., i, i] = 1.0
    matrix[..., j, j] = matrix[..., k, k] = cosine
    matrix[..., j, k] = -sine
    matrix[..., k, j] = sine
    return matrix


def _to_world(
    parents: tuple[int, ...], positions: NDArray[np.float64], rotations: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions (T, J, 3) and orientations (T, J, 3, 3) in world space; parents come before children."""
    world = np.empty_like(positions)
    turned = np.empty_like(rotations)
    for joint, parent in enumerate(parents):
        if parent < 0:
            world[:, joint], turned[:, joint] = positions[:, joint], rotations[:, joint]
        else:
            offset = np.einsum("tij,tj->ti", turned[:, parent], positions[:, joint])
            world[:, joint] = world[:, parent] + offset
            turned[:, joint] = turned[:, parent] @ rotations[:, joint]
    return world, turned
