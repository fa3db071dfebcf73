"""Turn motion-capture archives into the one file that training reads, and say what was left out."""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collage_motion.data.archive import Progress, read_index, read_members
from collage_motion.data.bvh import parse_bvh
from collage_motion.data.captions import ACTION_NAMES, canonical_style, mirror_content
from collage_motion.data.dataset import PreparedClip, check_output, write_dataset
from collage_motion.data.resample import pieces, resample, steady_ranges
from collage_motion.data.retarget import onto_floor, onto_skeleton, retarget
from collage_motion.data.splits import SPLITS, deal, shared_frames, tie
from collage_motion.errors import DataError
from collage_motion.skeleton import FPS, JOINTS

LONGEST: Final = 196
SHORTEST: Final = 10
SHORTEST_STRETCH: Final = 40
"""Frames at 20 fps: longer recordings are cut, shorter ones dropped, and so are stretches between jumps."""

_BANDAI = re.compile(r"dataset-(?P<set>\d+)_(?P<content>[a-z-]+)_(?P<style>[a-z-]+)_(?P<id>\d+)")
_CMU = re.compile(r"(?P<subject>\d+)_(?P<trial>\d+)")


@dataclass
class Recording:
    """One labelled recording on the common skeleton, as stretches (T, 22, 3) in metres at 20 fps.

    `group` is what it is dealt into splits with: the content its file name says, else its source. `frames`
    are fingerprints of its poses, by which copies and overlapping recordings are found.
    """

    name: str
    source: str
    content: str
    style: str
    group: str
    stretches: list[NDArray[np.float64]]
    frames: set[bytes]
    description: str = ""


@dataclass
class Report:
    """What `prepare` made, and what it left out or noticed and why."""

    clips: dict[str, int] = field(default_factory=dict)
    recordings: dict[str, int] = field(default_factory=dict)
    frames: int = 0
    bytes: int = 0
    dropped: list[tuple[str, str]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{'split':8}{'recordings':>12}{'clips':>8}{'with mirrors':>14}"]
        lines += [
            f"{split:8}{self.recordings[split]:12}{self.clips[split]:8}{2 * self.clips[split]:14}"
            for split in SPLITS
        ]
        lines.append(f"{self.frames} frames at {FPS} fps, {self.bytes / 1e6:.1f} MB")
        for title, entries in (("dropped", self.dropped), ("noted", self.notes)):
            lines.append(f"{title}: {len(entries)}")
            lines += [f"  {name}: {why}" for name, why in entries]
        return "\n".join(lines)


def prepare(
    archives: Sequence[str | Path],
    output: str | Path,
    overwrite: bool = False,
    seed: int = 0,
    progress: Callable[[Path, int, int], None] | None = None,
) -> Report:
    """Turn archives into one training file (see `collage_motion.data.dataset`) and report what was left out.

    The same archives in the same order give the same bytes. Raises DataError for archives that cannot be read
    or hold no usable recording, OutputError when the file exists or cannot be written.
    """
    output = check_output(output, overwrite)
    report = Report()
    recordings: list[Recording] = []
    for archive in map(Path, archives):
        recordings += _read_archive(archive, _one_archive(archive, progress), report)
    recordings = _without_copies(recordings, report)
    if not recordings:
        why = f"; the first was dropped as {': '.join(report.dropped[0])}" if report.dropped else ""
        raise DataError(f"no usable recording in {', '.join(map(str, archives))}{why}")
    groups = [recording.group for recording in recordings]
    heads = tie([recording.frames for recording in recordings])
    codes = deal(groups, [recording.style for recording in recordings], seed, heads)
    for recording, head in zip(recordings, heads, strict=True):
        if recordings[head] is not recording:
            report.notes.append((recording.name, f"shares frames with {recordings[head].name}: same split"))
    dealt = zip(recordings, codes, strict=True)
    clips = [clip for recording, code in dealt for clip in _cut(recording, code)]
    report.dropped.sort()
    report.notes.sort()
    report.bytes = write_dataset(clips, output, overwrite)
    report.frames = sum(len(clip.joints) for clip in clips)
    for code, split in enumerate(SPLITS):
        report.recordings[split] = codes.count(code)
        report.clips[split] = sum(clip.split == code for clip in clips)
    return report


def _one_archive(path: Path, progress: Callable[[Path, int, int], None] | None) -> Progress | None:
    return None if progress is None else lambda done, total: progress(path, done, total)


def _read_archive(path: Path, progress: Progress | None, report: Report) -> list[Recording]:
    """All usable recordings of one archive in order of their names."""
    recordings: list[Recording] = []
    index: dict[tuple[int, int], str] = {}
    for name, data in read_members(path, progress):
        if PurePosixPath(name).name == "index.csv":
            index.update(read_index(data, f"{path}:{name}"))
            continue
        try:
            recordings.append(_read_recording(name, data, report))
        except DataError as error:
            report.dropped.append((name, str(error).removeprefix(f"{name}: ").removeprefix(f"{name}:")))
    described = []
    for recording in recordings:
        if match := _CMU.fullmatch(recording.name):
            recording.description = index.get((int(match["subject"]), int(match["trial"])), "")
        if recording.content or recording.description:
            described.append(recording)
        else:
            report.dropped.append((recording.name, "no index.csv in its archive describes it"))
    return sorted(described, key=lambda recording: (recording.source, recording.name))


def _read_recording(name: str, data: bytes, report: Report) -> Recording:
    """One BVH file on the common skeleton at 20 fps; raises DataError with the reason to drop it."""
    stem = PurePosixPath(name).stem
    source, content, style = _labels(name, stem)
    clip = parse_bvh(data, name)
    if clip.declared_frames != clip.n_frames:
        report.notes.append(
            (stem, f"{clip.n_frames} frames where {clip.declared_frames} are declared: all read")
        )
    raw = retarget(clip)
    ranges = steady_ranges(raw, clip.fps)
    steady = [resample(raw[start:stop], clip.fps) for start, stop in ranges]
    shortest = SHORTEST if len(ranges) == 1 else SHORTEST_STRETCH
    steady = [stretch for stretch in steady if len(stretch) >= shortest]
    if not steady:
        seconds = len(raw) / clip.fps
        raise DataError(
            f"{name}: {seconds:.2f} s in {len(ranges)} stretch(es) without a jump; one of "
            f"{shortest / FPS} s is needed"
        )
    if lost := len(ranges) > 1 and round(len(raw) * FPS / clip.fps) - sum(map(len, steady)):
        report.notes.append((stem, f"joints jump: {lost / FPS:.2f} s cut, {len(steady)} stretch(es) kept"))
    # One floor for the whole recording: a stretch may lie above it, on a climbing frame or in a leap.
    joints = onto_floor(onto_skeleton(np.concatenate(steady)))
    stretches = np.split(joints, np.cumsum([len(stretch) for stretch in steady])[:-1])
    stretches = [stretch - stretch[0, 0] * np.array([1.0, 0.0, 1.0]) for stretch in stretches]
    group = content or source
    content = _turned(content, joints)
    if content not in ("", group):
        report.notes.append((stem, f"turns the other way than it says: labelled {content}"))
    return Recording(stem, source, content, style, group, stretches, _fingerprints(raw))


def _labels(name: str, stem: str) -> tuple[str, str, str]:
    """Source, content and style from a file name; raises DataError when it says none or unknown ones."""
    if label := _BANDAI.fullmatch(stem):
        if label["content"] not in ACTION_NAMES:
            raise DataError(f"{name}: content '{label['content']}' is not in the caption table; add it there")
        canonical_style(label["style"])
        return f"bandai-namco-{label['set']}", label["content"], label["style"]
    if _CMU.fullmatch(stem):
        return "cmu", "", ""
    raise DataError(f"{name}: no label; its name is neither dataset-N_content_style_id nor subject_trial")


def _turned(content: str, joints: NDArray[np.float64]) -> str:
    """The content with left and right swapped where it names a turn and the body turns the other way.

    Five of the Bandai Namco recordings are labelled so. Takes (T, 22, 3); a turn counts from 45 degrees.
    """
    if not content.startswith("walk-turn-"):
        return content
    across = joints[:, JOINTS.index("left_hip")] - joints[:, JOINTS.index("right_hip")]
    headings = np.rad2deg(np.unwrap(np.arctan2(-across[:, 2], across[:, 0])))
    to_left = float(np.median(headings[-5:]) - np.median(headings[:5]))
    other = -to_left if content == "walk-turn-left" else to_left
    return mirror_content(content) if other > 45.0 else content


def _fingerprints(joints: NDArray[np.float64]) -> set[bytes]:
    """A short digest of each frame's pose relative to the pelvis, to a hundredth of a millimetre."""
    poses = np.round((joints - joints[:, :1]) * 1e5).astype(np.int64)
    return {hashlib.blake2b(pose.tobytes(), digest_size=8).digest() for pose in poses}


def _without_copies(recordings: list[Recording], report: Report) -> list[Recording]:
    """Drop recordings that share most of their frames with an earlier one; they would only count it twice."""
    copies: dict[int, int] = {}
    for (one, other), count in shared_frames([recording.frames for recording in recordings]).items():
        fewest = min(len(recordings[one].frames), len(recordings[other].frames))
        if one not in copies and count > fewest / 2:
            copies.setdefault(other, one)
    for other, one in sorted(copies.items()):
        report.dropped.append((recordings[other].name, f"a copy of most frames of {recordings[one].name}"))
    return [recording for index, recording in enumerate(recordings) if index not in copies]


def _cut(recording: Recording, code: int) -> Iterator[PreparedClip]:
    """The recording in pieces of at most 196 frames, all in one split."""
    parts = [
        stretch[start:stop]
        for stretch in recording.stretches
        for start, stop in pieces(len(stretch), LONGEST, SHORTEST)
    ]
    for number, joints in enumerate(parts):
        yield PreparedClip(
            name=recording.name if len(parts) == 1 else f"{recording.name}#{number + 1}",
            recording=recording.name,
            source=recording.source,
            content=recording.content,
            style=recording.style,
            description=recording.description,
            split=code,
            joints=joints.astype(np.float32),
        )
