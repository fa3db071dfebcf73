"""A branching story: what happens first, and several ways in which it goes on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from collage_motion.card import Limits, ModelCard
from collage_motion.counting import counting_numbers
from collage_motion.errors import PlanError
from collage_motion.graph import Graph, Region
from collage_motion.plan import DEFAULT_OVERLAP, Plan, Segment
from collage_motion.topology.line import Line, Usual, Variables, Window, segment_bounds, told


@dataclass(frozen=True)
class Branch:
    """A plan and the branches that go on from its end; without any the story ends here."""

    plan: Plan
    then: tuple["Branch", ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "then", tuple(self.then))
        if self.plan.loop:
            raise PlanError("a branch of a tree is a loop, which has no end to go on from; set loop to false")


@dataclass(frozen=True)
class Story:
    """One way through a tree, from its root to the end of a branch.

    plan: its segments in order. frames: the canvas frames that show it. segments: first frame and one past
    the last of each segment, counted along `frames`.
    """

    plan: Plan
    frames: tuple[int, ...]
    segments: tuple[tuple[int, int], ...]

    @property
    def seams(self) -> tuple[int, ...]:
        """The frames, counted along `frames`, at which one segment ends and the next begins."""
        return tuple(start for start, _ in self.segments if start > 0)


def segments_of(root: Branch) -> list[Segment]:
    """All segments of all branches."""
    found: list[Segment] = []
    waiting = [root]
    while waiting:
        branch = waiting.pop()
        found += branch.plan.segments
        waiting += branch.then
    return found


def tree(
    root: Branch,
    model: ModelCard | Limits,
    overlap: float = DEFAULT_OVERLAP,
    variables: Variables = "auto",
    usual: Usual | None = None,
) -> Graph:
    """Windows along branches that part: acyclic, so DiffCollage's approximation is the chain's (section 4.1).

    Each branch is a chain as in `topology.chain`. Where it ends and others go on, the overlap lies wholly
    before the boundary: its frames are the last of this branch, and the first window of every branch that
    follows begins with them. With n of them the overlap is a variable node of degree n + 1 and counts -n.
    The canvas holds the branches one after another, each before those that follow it, so every segment is
    one stretch; `stories` gives the ways through it. The overlap there is that of the branch's last segment;
    overlap, variables and usual otherwise as in `chain`. Raises PlanError.
    """
    fps = (model.limits if isinstance(model, ModelCard) else model).fps
    ways = list(_ways(root, fps))
    prompts = {text: k for k, text in enumerate(dict.fromkeys(s.prompt for way in ways for s in way.own))}
    windows = [
        Region(way.frames[window.start : window.stop], window.prompt, 1)
        for way in ways
        for window in _windows(way, model, overlap, variables, usual, prompts)
    ]
    return Graph(
        n_frames=1 + max(way.frames[-1] for way in ways),
        regions=(*windows, *_shared(windows, variables)),
        prompts=tuple(prompts),
        segments=tuple(segment for way in ways for segment in way.stretches()),
        fps=fps,
    )


def _windows(
    way: "_Way",
    model: ModelCard | Limits,
    overlap: float,
    variables: Variables,
    usual: Usual | None,
    prompts: dict[str, int],
) -> Iterator[Window]:
    """The windows of a branch's own segments; their frames count from the start of its story."""
    plan = Plan(way.before + way.own)
    line = Line(plan, model, overlap, variables, forks=way.forks, open_end=way.goes_on, usual=usual)
    for number in range(len(way.before), len(line.segments)):
        yield from line.windows_of(number, prompts)


def _shared(windows: Sequence[Region], variables: Variables) -> list[Region]:
    """The overlaps, each told what the windows that hold it allow."""
    holders: dict[int, list[int]] = {}
    for number, window in enumerate(windows):
        for frame in window.frames:
            holders.setdefault(frame, []).append(number)
    shared = []
    for piece, count in counting_numbers([window.frames for window in windows]):
        prompts = [windows[number].prompt for number in holders[piece[0]]]
        shared.append(Region(piece, told(prompts, variables), count))
    return shared


def stories(root: Branch, fps: int) -> tuple[Story, ...]:
    """The ways from the root of a tree to its ends, in the order in which their ends lie on the canvas."""
    return tuple(
        Story(Plan(way.before + way.own), way.frames, tuple(pairwise(way.bounds)))
        for way in _ways(root, fps)
        if not way.goes_on
    )


@dataclass(frozen=True)
class _Way:
    """A branch and all that leads to it: its own segments and those before, the canvas frames of both."""

    before: tuple[Segment, ...]
    own: tuple[Segment, ...]
    frames: tuple[int, ...]
    bounds: tuple[int, ...]
    forks: frozenset[int]
    goes_on: bool

    def stretches(self) -> Iterator[tuple[int, int]]:
        """First canvas frame and one past the last of each own segment."""
        for start, stop in pairwise(self.bounds[len(self.before) :]):
            yield self.frames[start], self.frames[stop - 1] + 1


def _ways(root: Branch, fps: int) -> Iterator[_Way]:
    """Every branch, each before those that follow it: the order of the canvas."""
    used = 0
    waiting: list[tuple[Branch, _Way | None]] = [(root, None)]
    while waiting:
        branch, trunk = waiting.pop()
        before = trunk.before + trunk.own if trunk else ()
        led = trunk.frames if trunk else ()
        own = branch.plan.segments
        bounds = segment_bounds((*before, *own), fps)
        length = bounds[-1] - len(led)
        ends = {len(before) + len(own)} if branch.then else set()
        way = _Way(
            before,
            own,
            (*led, *range(used, used + length)),
            tuple(bounds),
            (trunk.forks if trunk else frozenset()) | ends,
            bool(branch.then),
        )
        used += length
        yield way
        waiting += [(following, way) for following in reversed(branch.then)]
