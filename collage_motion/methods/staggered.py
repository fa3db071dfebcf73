"""Windows half a window further on: what they shared lies in the middle of one of them."""

from collections.abc import Collection, Sequence
from itertools import pairwise

from collage_motion.card import Limits
from collage_motion.graph import Graph, Region

Frames = tuple[int, ...]


def staggered(graph: Graph, limits: Limits, prompts: Collection[int]) -> Graph:
    """The graph whose windows in a row of one of these prompts begin half-way between those of `graph`.

    For motion that goes on, such as a walk: windows over the end of one bow and the beginning of the next would show
    the network no bow. A row of n windows becomes n + 1, whose first and last are half as long; around a loop of one
    prompt n stay n. Changes of prompt stay where they are, and so does all of a row whose windows would not fit the
    model then or that other regions reach into the middle of (crossing rows of a grid).
    """
    taken: set[int] = set()
    added: list[Region] = []
    told = {region.frames: k for k, region in enumerate(graph.regions) if region.count < 0}
    for row, closed in rows(graph):
        if graph.regions[row[0]].prompt not in prompts:
            continue
        windows = [graph.regions[k] for k in row]
        shared = [overlap(a, b) for a, b in pairwise([*windows, windows[0]] if closed else windows)]
        variables = [told.get(frames) for frames in shared]
        others = [region.frames for k, region in enumerate(graph.regions) if k not in {*row, *variables}]
        new = None if None in variables else moved(windows, [len(s) for s in shared], closed)
        if new is None or not fitting(new, others, limits):
            continue
        taken.update(row, (k for k in variables if k is not None))
        variable = graph.regions[variables[0]]  # type: ignore[index]
        added += [Region(frames, windows[0].prompt, 1) for frames, _ in new]
        added += [Region(frames[-n:], variable.prompt, variable.count) for frames, n in new if n]
    if not added:
        return graph
    kept = [region for k, region in enumerate(graph.regions) if k not in taken]
    return Graph(
        graph.n_frames,
        (*(r for r in (*kept, *added) if r.count > 0), *(r for r in (*kept, *added) if r.count < 0)),
        graph.prompts, graph.segments, graph.cyclic, graph.n_channels, graph.fps,
    )  # fmt: skip


def rows(graph: Graph) -> list[tuple[list[int], bool]]:
    """Windows of one prompt in a row, two at least, by number; True where the last leads to the first again."""
    numbers = graph.window_numbers.tolist()
    found = [numbers[:1]]
    for before, number in pairwise(numbers):
        follows = overlap(graph.regions[before], graph.regions[number])
        found[-1].append(number) if follows else found.append([number])
    closed = len(numbers) > 1 and bool(overlap(*(graph.regions[numbers[k]] for k in (-1, 0))))
    if closed and len(found) > 1:  # around a loop the last row goes on in the first
        found[0] = found.pop() + found[0]
    return [(row, closed and len(found) == 1 and len(row) == len(numbers)) for row in found if len(row) > 1]


def overlap(window: Region, following: Region) -> Frames:
    """The frames with which a window ends and one of the same prompt begins; none where it does not follow."""
    if window.prompt is None or window.prompt != following.prompt or window.channels or following.channels:
        return ()
    first = following.frames[0]
    if first not in window.frames:
        return ()
    end = window.frames[window.frames.index(first) :]
    return end if end == following.frames[: len(end)] else ()


def moved(windows: Sequence[Region], shared: Sequence[int], closed: bool) -> list[tuple[Frames, int]] | None:
    """Frames of the new windows, and how many each shares with the next; None where they would not be in a row.

    shared: frames that windows share with the next ones, the last with the first where the row is closed.
    """
    line: list[int] = []
    starts = []
    for window, n in zip(windows, [0, *shared], strict=False):
        starts.append(len(line) - n)
        line += window.frames[n:]
    length = len(line) - (shared[-1] if closed else 0)
    cuts = [(a + b) // 2 for a, b in pairwise([*starts, length if closed else length - shared[-1]])]
    # A cut lies between two of the old ones; it shares as much as the shorter of these.
    ends = [shared[-1], *shared] if closed else [shared[0], *shared, shared[-1]]
    counts = [min(pair) for pair in pairwise(ends)]
    places = cuts if closed else [0, *cuts]
    following = [*counts[1:], counts[0]] if closed else [*counts, 0]
    stops = [*places[1:], places[0] + length if closed else length]
    if any(not a < b for a, b in pairwise(places)):
        return None
    line = line[:length] + line[:length]
    return [(tuple(line[a : b + n]), n) for a, b, n in zip(places, stops, following, strict=True)]


def fitting(new: Sequence[tuple[Frames, int]], others: Sequence[Frames], limits: Limits) -> bool:
    """Whether windows are within the limits, and no frame is in more than two of them or in one and another region's.

    Frames of other regions may lie in the first and the last window, where these share nothing with the next.
    """
    before = new[-1][1]
    inner: set[int] = set()
    for number, (frames, n) in enumerate(new):
        if not limits.min_frames <= len(frames) <= limits.max_frames or before + n > len(frames):
            return False
        inner.update(frames[-n:] if n else ())
        if 0 < number < len(new) - 1:
            inner.update(frames)
        before = n
    return not any(inner.intersection(frames) for frames in others)
