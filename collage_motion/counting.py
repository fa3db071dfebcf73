"""The counting rule: how often each piece that windows share is taken away or put back."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, groupby

from collage_motion.errors import GraphError

Frames = tuple[int, ...]
Places = dict[int, dict[int, int]]
Touching = dict[int, set[int]] | None


def counting_numbers(
    windows: Sequence[Frames], neighbours: Iterable[tuple[int, int]] | None = None
) -> list[tuple[Frames, int]]:
    """The shared pieces of `windows` and their counting numbers, in the order in which windows meet.

    Windows count 1 each. The pieces are the connected runs of all intersections of two or more windows; a
    piece counts 1 minus the sum of the counting numbers of everything that contains it: the windows, and
    the strictly larger pieces. On a chain, a cycle and a tree that is 1 - degree of the variable node
    (DiffCollage eq. 6); pieces that come to 0 are left out. Whatever the windows, the numbers over each
    covered frame then sum to one.

    windows: frames in the order in which the network reads them; a window may wrap around. neighbours: the
    pairs of frames that touch, for canvases that are not lines (a grid of pixels); without it frames touch
    when they follow one another in each of the windows concerned, so that a piece is one stretch of all of
    them, a stretch that crosses the end of a cycle stays one, and two windows that meet at both ends share
    two pieces. Raises GraphError for a window that is empty or names a frame twice.
    """
    windows = [tuple(window) for window in windows]
    places = _shared_places(windows)
    pieces = _shared_pieces(windows, places, _touching(neighbours))
    return [(piece, count) for piece, count in _counted(pieces, places) if count != 0]


def _shared_places(windows: Sequence[Frames]) -> Places:
    """For each frame in two or more windows: where it stands in each of them."""
    for number, window in enumerate(windows):
        if len(set(window)) != len(window) or not window:
            problem = "names a frame twice" if window else "is empty"
            raise GraphError(f"window {number} {problem}; a window is an ordered tuple of different frames")
    cover = Counter(chain.from_iterable(windows))
    places: Places = {frame: {} for frame, times in cover.items() if times > 1}
    for number, window in enumerate(windows):
        for position, frame in enumerate(window):
            if frame in places:
                places[frame][number] = position
    return places


def _touching(neighbours: Iterable[tuple[int, int]] | None) -> Touching:
    if neighbours is None:
        return None
    touching: dict[int, set[int]] = {}
    for one, other in neighbours:
        touching.setdefault(one, set()).add(other)
        touching.setdefault(other, set()).add(one)
    return touching


def _shared_pieces(windows: Sequence[Frames], places: Places, touching: Touching) -> list[Frames]:
    """All connected runs of intersections, each set of frames once, closed under meeting further windows."""
    found: dict[frozenset[int], Frames] = {}
    seen: set[Frames] = set()
    waiting: list[Frames] = []

    def meet(frames: Frames, others: Iterable[int]) -> None:
        for other in sorted(others):
            for run in _runs(frames, other, places, touching):
                if run not in seen:
                    seen.add(run)
                    found.setdefault(frozenset(run), run)
                    waiting.append(run)

    for number, window in enumerate(windows):
        for stretch in _shared_stretches(window, places, touching):
            meet(stretch, _met(stretch, places, number))
    # Meeting single windows is enough: an intersection of pieces is an intersection of more windows.
    for piece in waiting:  # grows while it is walked
        meet(piece, _met(piece, places, -1))
    return list(found.values())


def _shared_stretches(window: Frames, places: Places, touching: Touching) -> list[Frames]:
    """The parts of a window that others share, cut where its own frames lie between, for no run crosses those."""
    if touching is not None:
        return [tuple(frame for frame in window if frame in places)]
    return [tuple(stretch) for shared, stretch in groupby(window, places.__contains__) if shared]


def _met(frames: Frames, places: Places, after: int) -> set[int]:
    return {number for frame in frames for number in places[frame] if number > after}


def _runs(frames: Frames, window: int, places: Places, touching: Touching) -> list[Frames]:
    """The connected runs of what `frames` share with `window`, in the order of `frames`."""
    if touching is not None:
        shared = [frame for frame in frames if window in places[frame]]
        return _components(shared, touching)
    runs: list[list[int]] = []
    last: int | None = None
    for frame in frames:
        position = places[frame].get(window)
        if position is not None:
            if last is not None and abs(position - last) == 1:
                runs[-1].append(frame)
            else:
                runs.append([frame])
        last = position
    return [tuple(run) for run in runs]


def _components(frames: Sequence[int], touching: dict[int, set[int]]) -> list[Frames]:
    left = dict.fromkeys(frames)
    components = []
    while left:
        reached = [next(iter(left))]
        del left[reached[0]]
        for frame in reached:  # grows while it is walked
            for other in touching.get(frame, ()):
                if other in left:
                    del left[other]
                    reached.append(other)
        members = set(reached)
        components.append(tuple(frame for frame in frames if frame in members))
    return components


def _counted(pieces: Sequence[Frames], places: Places) -> list[tuple[Frames, int]]:
    counts = [0] * len(pieces)
    sets = [frozenset(piece) for piece in pieces]
    holding: dict[int, list[int]] = {}  # frame -> the larger pieces, counted already
    for number in sorted(range(len(pieces)), key=lambda number: -len(pieces[number])):
        piece = pieces[number]
        windows = set.intersection(*(set(places[frame]) for frame in piece))
        larger = (counts[other] for other in holding.get(piece[0], ()) if sets[number] < sets[other])
        counts[number] = 1 - len(windows) - sum(larger)
        for frame in piece:
            holding.setdefault(frame, []).append(number)
    return list(zip(pieces, counts, strict=True))
