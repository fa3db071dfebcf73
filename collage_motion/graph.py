"""The factor graph as data: regions of canvas frames whose counting numbers sum to one everywhere."""

import operator
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collage_motion.counting import counting_numbers as counting_numbers
from collage_motion.errors import GraphError
from collage_motion.skeleton import FPS

Ints = NDArray[np.int64]

_NAMED_REGIONS: Final = 6  # so many regions an error lists; a line stays a line


@dataclass(frozen=True)
class Region:
    """A factor or variable node: what the network is shown at once.

    frames: canvas frames in the order in which they are read (a window may wrap around a cycle). prompt:
    index into `Graph.prompts`; None is the null prompt, and a region without prompt is not guided. count:
    the counting number, 1 for a window (DiffCollage eq. 6). channels: those it writes, None for all; it
    always reads all.
    """

    frames: tuple[int, ...]
    prompt: int | None
    count: int
    channels: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "frames", _integers(self.frames, "a region's frames"))
        if self.channels is not None:
            object.__setattr__(self, "channels", _integers(self.channels, "a region's channels"))


@dataclass(frozen=True)
class RegionIndex:
    """The regions of a graph as read-only arrays: R regions, padded to T frames.

    frames: (R, T), 0 where `valid` is False, so that gathering needs no mask and scattering does. valid:
    (R, T). lengths, counts, prompts: (R,); prompt -1 is the null prompt.
    """

    frames: Ints
    valid: NDArray[np.bool_]
    lengths: Ints
    counts: Ints
    prompts: Ints


@dataclass(frozen=True)
class Graph:
    """A canvas of frames and the regions that compose it.

    segments: first frame and one past the last of each segment of the plan. cyclic: the last frame leads to
    the first. n_channels: needed when regions write some channels only. fps: for drawing and messages.
    Raises GraphError, naming frame and regions, unless the counting numbers sum to one at every frame and
    channel.
    """

    n_frames: int
    regions: tuple[Region, ...]
    prompts: tuple[str, ...]
    segments: tuple[tuple[int, int], ...] = ()
    cyclic: bool = False
    n_channels: int | None = None
    fps: int = FPS

    def __post_init__(self) -> None:
        object.__setattr__(self, "regions", tuple(self.regions))
        object.__setattr__(self, "prompts", tuple(self.prompts))
        object.__setattr__(self, "segments", tuple((int(a), int(b)) for a, b in self.segments))
        self._check_sizes()
        flat, owners = self._flat()
        self._check_frames(flat, owners)
        self._check_channels()
        self._check_sums(flat, owners)

    @cached_property
    def window_numbers(self) -> Ints:
        """Numbers of the regions that are `windows` of all channels, or of some."""
        found = set().union(*(self._windows_among(takes_part) for _, takes_part in self._channel_groups()))
        return np.array(sorted(found), np.int64)

    @cached_property
    def windows(self) -> tuple[Region, ...]:
        """The factor nodes: regions that count 1, those aside that put back what windows share.

        Such a corner of a grid lies inside others, and no other region has its frames; a window inside
        another is taken away again by a piece with its very frames.
        """
        return tuple(self.regions[k] for k in self.window_numbers)

    @cached_property
    def variables(self) -> tuple[Region, ...]:
        """The regions that are taken away or put back: the shared pieces."""
        windows = set(self.window_numbers.tolist())
        return tuple(region for k, region in enumerate(self.regions) if k not in windows)

    @property
    def rows_per_step(self) -> int:
        """Rows of the network a guided step takes: two for a region with a prompt, one for one without."""
        return sum(1 if region.prompt is None else 2 for region in self.regions)

    @property
    def seams(self) -> tuple[int, ...]:
        """The frames at which one segment ends and the next begins; in a cycle also frame 0."""
        starts = {start for start, _ in self.segments if start > 0}
        return tuple(sorted(starts | {0} if self.cyclic and self.segments else starts))

    @cached_property
    def following(self) -> Ints:
        """The frame that comes behind each (F,), as the regions read them; -1 at an end.

        An end is also where regions go on to different frames, as at the fork of a tree, and where none goes on:
        between clips set side by side.
        """
        table = self.index
        goes_on = table.valid[:, 1:]
        pairs = np.stack((table.frames[:, :-1][goes_on], table.frames[:, 1:][goes_on]), axis=1)
        pairs = np.unique(pairs, axis=0)
        frames, first, ways = np.unique(pairs[:, 0], return_index=True, return_counts=True)
        following = np.full(self.n_frames, -1, np.int64)
        following[frames[ways == 1]] = pairs[first[ways == 1], 1]
        following.setflags(write=False)
        return following

    @cached_property
    def index(self) -> RegionIndex:
        """The regions as padded integer arrays, made once."""
        flat, _ = self._flat()
        lengths = np.array([len(region.frames) for region in self.regions], np.int64)
        valid = np.arange(lengths.max()) < lengths[:, None]
        frames = np.zeros(valid.shape, np.int64)
        frames[valid] = flat
        counts = np.array([region.count for region in self.regions], np.int64)
        prompts = [-1 if region.prompt is None else region.prompt for region in self.regions]
        arrays = RegionIndex(frames, valid, lengths, counts, np.array(prompts, np.int64))
        for array in vars(arrays).values():
            array.setflags(write=False)
        return arrays

    def __str__(self) -> str:
        from collage_motion.diagram import (
            draw,
        )  # the drawing knows the graph; the graph only lends it its name

        return draw(self)

    def _windows_among(self, takes_part: NDArray[np.bool_]) -> set[int]:
        """The windows of those regions (R,) that write the same channel."""
        flat, owners = self._flat()
        chosen = takes_part[owners]
        flat, owners, numbers = flat[chosen], owners[chosen], np.flatnonzero(takes_part)
        crowd = np.bincount(flat, minlength=self.n_frames)[flat]
        alone = (
            np.minimum.reduceat(crowd, np.searchsorted(owners, numbers)) == 1
        )  # in some frame nothing else is
        found = [int(k) for k in numbers if self.regions[k].count == 1]
        doubtful = set(found) - set(numbers[alone].tolist())
        return set(found) - (self._corners(doubtful, numbers) if doubtful else set())

    def _corners(self, doubtful: Iterable[int], numbers: Iterable[int]) -> set[int]:
        """Those doubtful ones of the regions `numbers` that lie inside another and share their frames with none."""
        sets = {int(k): frozenset(self.regions[k].frames) for k in numbers}
        times = Counter(sets.values())
        touching: dict[int, list[frozenset[int]]] = {}
        for own in sets.values():
            for frame in own:
                touching.setdefault(frame, []).append(own)
        return {
            k
            for k in doubtful
            if times[sets[k]] == 1 and any(sets[k] < other for other in touching[min(sets[k])])
        }

    def _flat(self) -> tuple[Ints, Ints]:
        """Frames of all regions one after another, and the region each belongs to."""
        lengths = [len(region.frames) for region in self.regions]
        try:
            flat = np.fromiter(chain.from_iterable(r.frames for r in self.regions), np.int64, sum(lengths))
        except OverflowError:
            raise GraphError(
                f"a region names a frame beyond 2^63; allowed are 0 to {self.n_frames - 1}"
            ) from None
        return flat, np.repeat(np.arange(len(lengths)), lengths)

    def _check_sizes(self) -> None:
        if self.n_frames < 1:
            raise GraphError(f"a graph of {self.n_frames} frames; it needs at least 1")
        if not self.regions:
            raise GraphError("a graph without regions; it needs a region over every frame")
        for number, region in enumerate(self.regions):
            if not region.frames:
                raise GraphError(f"region {number} has no frames; leave it out")
            if region.count == 0:
                raise GraphError(f"region {number} counts 0 and would change nothing; leave it out")
            if region.prompt is not None and not 0 <= region.prompt < len(self.prompts):
                raise GraphError(
                    f"region {number} has prompt {region.prompt}; allowed are 0 to {len(self.prompts) - 1}, "
                    "or None for the null prompt"
                )
        for number, (start, stop) in enumerate(self.segments):
            if not 0 <= start < stop <= self.n_frames:
                raise GraphError(
                    f"segment {number} has frames {start} to {stop}; allowed are stretches within 0 to "
                    f"{self.n_frames}"
                )

    def _check_frames(self, flat: Ints, owners: Ints) -> None:
        outside = (flat < 0) | (flat >= self.n_frames)
        if outside.any():
            at = int(outside.argmax())
            raise GraphError(
                f"region {owners[at]} has frame {flat[at]}; the canvas has frames 0 to {self.n_frames - 1}; "
                "on a cycle take frames modulo its length"
            )
        # Every frame must be covered, so a longer canvas is wrong and its sums need no memory.
        if self.n_frames > len(flat):
            covered = np.unique(flat)
            gaps = np.flatnonzero(covered != np.arange(len(covered)))
            raise GraphError(self._wrong_sum(int(gaps[0]) if len(gaps) else len(covered), 0))
        order = np.lexsort((flat, owners))
        twice = (np.diff(flat[order]) == 0) & (np.diff(owners[order]) == 0)
        if twice.any():
            at = int(order[int(twice.argmax())])
            raise GraphError(f"region {owners[at]} names frame {flat[at]} twice; each frame once")

    def _check_channels(self) -> None:
        for number, region in enumerate(self.regions):
            if region.channels is None:
                continue
            if self.n_channels is None:
                raise GraphError(
                    f"region {number} writes some channels, but the graph's n_channels is None; give it"
                )
            found = set(region.channels)
            if not found or len(found) != len(region.channels) or not found <= set(range(self.n_channels)):
                raise GraphError(
                    f"region {number} writes channels {_brief(region.channels)}; allowed are different ones "
                    f"from 0 to {self.n_channels - 1}, or None for all"
                )

    def _check_sums(self, flat: Ints, owners: Ints) -> None:
        """The law; channels that the same regions write are checked together."""
        counts = np.array([region.count for region in self.regions], np.int64)
        for channel, takes_part in self._channel_groups():
            chosen = takes_part[owners]
            sums = np.zeros(self.n_frames, np.int64)
            np.add.at(sums, flat[chosen], counts[owners[chosen]])
            if (sums != 1).any():
                at = int((sums != 1).argmax())
                raise GraphError(self._wrong_sum(at, int(sums[at]), channel))

    def _channel_groups(self) -> Iterable[tuple[int | None, NDArray[np.bool_]]]:
        """One channel of each group that the same regions write, and which regions these are."""
        if all(region.channels is None for region in self.regions):
            return [(None, np.ones(len(self.regions), bool))]
        writes = np.ones((len(self.regions), self.n_channels or 0), bool)
        for row, region in zip(writes, self.regions, strict=True):
            if region.channels is not None:
                row[:] = False
                row[list(region.channels)] = True
        kinds, first = np.unique(writes, axis=1, return_index=True)
        return sorted(((int(c), kinds[:, k]) for k, c in enumerate(first)), key=lambda pair: pair[0])

    def _wrong_sum(self, frame: int, total: int, channel: int | None = None) -> str:
        covering = [
            f"region {number} (frames {_brief(region.frames)}, count {region.count})"
            for number, region in enumerate(self.regions)
            if frame in region.frames
            and (channel is None or region.channels is None or channel in region.channels)
        ]
        more = len(covering) - _NAMED_REGIONS
        named = ", ".join(covering[:_NAMED_REGIONS]) + (f" and {more} more" if more > 0 else "")
        where = f"frame {frame} ({frame / self.fps:g} s)" + (
            "" if channel is None else f", channel {channel}"
        )
        return (
            f"at {where} the counting numbers sum to {total}, which must be 1; covered by "
            f"{named or 'no region'}; take each shared piece as often as counting_numbers says"
        )


def _integers(values: Sequence[int], what: str) -> tuple[int, ...]:
    try:
        return tuple(map(operator.index, values))
    except TypeError:
        raise GraphError(f"{what} are {str(values)[:60]}; allowed is a tuple of whole numbers") from None


def _brief(numbers: Sequence[int]) -> str:
    """Stretches as 3..9, at most four of them."""
    stretches: list[tuple[int, int]] = []
    for number in numbers:
        if stretches and number == stretches[-1][1] + 1:
            stretches[-1] = (stretches[-1][0], number)
        else:
            stretches.append((number, number))
    shown = [f"{a}..{b}" if a != b else f"{a}" for a, b in stretches[:4]]
    return ",".join(shown) + (",..." if len(stretches) > 4 else "")
