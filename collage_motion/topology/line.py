"""Windows in a row: the chain and the cycle of a plan."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Final, Literal, get_args

from collage_motion.card import Limits, ModelCard
from collage_motion.counting import counting_numbers
from collage_motion.errors import PlanError
from collage_motion.graph import Graph, Region
from collage_motion.plan import DEFAULT_OVERLAP, Plan, Segment, checked_overlap

Variables = Literal["auto", "null", "prompt"]
Usual = Mapping[str, float]
"""Seconds by prompt; prompts that are not in it have no usual length."""

STRETCH: Final = 1.6
"""How many times its usual length a segment of one window may last: some clips do, longer ones hardly any."""


def build(
    plan: Plan,
    model: ModelCard | Limits,
    overlap: float = DEFAULT_OVERLAP,
    variables: Variables = "auto",
    usual: Usual | None = None,
) -> Graph:
    """The cycle of a plan that loops, the chain of one that does not."""
    return (cycle if plan.loop else chain)(plan, model, overlap, variables, usual)


def chain(
    plan: Plan,
    model: ModelCard | Limits,
    overlap: float = DEFAULT_OVERLAP,
    variables: Variables = "auto",
    usual: Usual | None = None,
) -> Graph:
    """Windows in a row, each sharing an overlap with the next (DiffCollage section 4.1, linear chain).

    Segment i owns the frames between the rounded sums of the seconds before and after it; where two
    segments meet, the earlier window reaches ceil(overlap / 2) frames past the boundary and the later one
    floor(overlap / 2) before it; the first and the last window end with the canvas. A segment longer than a
    window becomes several windows of equal length (to a frame) with its prompt, which share `overlap`.

    overlap: seconds, for segments that name none and within long segments; 0 sets clips side by side.
    variables: what an overlap is told; "auto": the prompt where both windows have the same, else nothing
    (null); "null": nothing; "prompt": the prompt, where the two differ the earlier one. usual: seconds that
    what prompts ask for usually lasts; a segment more than `STRETCH` times as long, or longer than a window can
    be, is split into windows that begin about so far apart; where they are more than the fewest that hold it, they
    share at most a third of it. Raises PlanError with the segment and the cure.
    """
    return Line(plan, model, overlap, variables, usual=usual).graph()


def cycle(
    plan: Plan,
    model: ModelCard | Limits,
    overlap: float = DEFAULT_OVERLAP,
    variables: Variables = "auto",
    usual: Usual | None = None,
) -> Graph:
    """As `chain`, and the last segment overlaps with the first: the canvas closes (DiffCollage section 4.1).

    Frames are taken modulo the canvas, which is as long as the plan; every overlap is subtracted once, the
    closing one too. A single segment becomes two windows at least. The closing overlap is that of the last
    segment.
    """
    return Line(plan, model, overlap, variables, cyclic=True, usual=usual).graph()


def segment_bounds(segments: Sequence[Segment], fps: int) -> list[int]:
    """Frame at which each segment begins, and the length; sums of the decimals as written, so exact."""
    totals = accumulate((Fraction(repr(segment.seconds)) for segment in segments), initial=Fraction(0))
    return [round(total * fps) for total in totals]


def told(prompts: Sequence[int | None], variables: str) -> int | None:
    """What an overlap of windows with these prompts is told; None is the null prompt."""
    if variables == "null" or (variables == "auto" and len(set(prompts)) > 1):
        return None
    return prompts[0]


@dataclass(frozen=True)
class Window:
    """Frames `start` to `stop` on the unrolled canvas, and what is shared with the next window."""

    start: int
    stop: int
    prompt: int
    shared_after: int


class Line:
    """The windows of a plan's segments, on a canvas as long as the plan.

    forks: boundaries whose overlap lies wholly before them, as all that follows there shares it. open_end: the
    last segment shares an overlap with what follows, although the plan ends. usual: see `chain`.
    """

    def __init__(
        self,
        plan: Plan,
        model: ModelCard | Limits,
        overlap: float,
        variables: str,
        cyclic: bool = False,
        forks: Collection[int] = (),
        open_end: bool = False,
        usual: Usual | None = None,
    ) -> None:
        if variables not in get_args(Variables):
            raise PlanError(f"variables {variables!r}; allowed are {', '.join(get_args(Variables))}")
        self.segments = plan.segments
        self.limits = model.limits if isinstance(model, ModelCard) else model
        self.overlap = checked_overlap(overlap, "the motion")
        self.variables, self.cyclic, self.forks, self.open_end = variables, cyclic, forks, open_end
        self.usual = usual or {}
        self.inner = self.overlap_frames(self.overlap, "the overlap")
        self.bounds = self.boundaries()

    def graph(self) -> Graph:
        prompts = {text: number for number, text in enumerate(dict.fromkeys(s.prompt for s in self.segments))}
        windows = [window for i in range(len(self.segments)) for window in self.windows_of(i, prompts)]
        canvas = self.bounds[-1]
        frames = [tuple(frame % canvas for frame in range(w.start, w.stop)) for w in windows]
        regions = [Region(f, w.prompt, 1) for f, w in zip(frames, windows, strict=True)]
        return Graph(
            n_frames=canvas,
            regions=(*regions, *self.variable_nodes(windows, frames)),
            prompts=tuple(prompts),
            segments=tuple(zip(self.bounds, self.bounds[1:], strict=False)),
            cyclic=self.cyclic,
            fps=self.limits.fps,
        )

    def boundaries(self) -> list[int]:
        """Frame at which each segment begins, and the length."""
        bounds = segment_bounds(self.segments, self.limits.fps)
        for number, (first, stop) in enumerate(pairwise(bounds)):
            if first == stop:
                raise PlanError(self.too_short(number))
        return bounds

    def overlap_frames(self, seconds: float, what: str) -> int:
        frames = round(Fraction(repr(seconds)) * self.limits.fps)
        least = max(1, self.limits.min_variable_frames)
        if seconds > 0 and frames < least:
            raise PlanError(
                f"{what} is {seconds:g} s; this model's overlaps hold at least "
                f"{least / self.limits.fps:g} s; lengthen it, or make it 0 for clips side by side"
            )
        if 2 * frames > self.limits.max_frames:
            longer = " or choose a longer window" if self.limits.chosen else ""
            raise PlanError(
                f"{what} is {seconds:g} s; allowed is at most half of the longest window, "
                f"{self.limits.max_frames / self.limits.fps / 2:g} s; shorten it{longer}"
            )
        return frames

    def overlap_after(self, number: int) -> int:
        """Frames that segment `number` shares with the next one."""
        segment = self.segments[number]
        if number == len(self.segments) - 1 and not (self.cyclic or self.open_end):
            return 0
        if segment.overlap is None:
            return self.inner
        return self.overlap_frames(segment.overlap, f"{self.name(number)}: its overlap")

    def past(self, boundary: int, overlap: int) -> int:
        """How many frames of the overlap at a boundary lie behind it."""
        return 0 if boundary in self.forks else (overlap + 1) // 2

    def windows_of(self, number: int, prompts: dict[str, int]) -> list[Window]:
        """The window of a segment, or the several into which it must be split."""
        before = self.overlap_after(number - 1) if number or self.cyclic else 0
        after = self.overlap_after(number)
        self.check_room(number, before, after)
        start = self.bounds[number] + self.past(number, before) - before
        stop = self.bounds[number + 1] + self.past(number + 1, after)
        inner, parts = self.split(number, stop - start, max(before, after))
        stride = stop - start - inner  # what several windows cover in steps
        if parts > 1 and stride < parts:  # then two windows would be one and the same
            raise PlanError(
                f"{self.name(number)} lasts {self.segments[number].seconds:g} s; its {parts} windows would share "
                f"{inner / self.limits.fps:g} s, all of it; lengthen it or shorten the overlap"
            )
        cuts = [start + stride * part // parts for part in range(parts)]
        stops = [cut + inner for cut in cuts[1:]] + [stop]
        prompt = prompts[self.segments[number].prompt]
        windows = [
            Window(a, b, prompt, after if b == stop else inner) for a, b in zip(cuts, stops, strict=True)
        ]
        self.check_windows(number, windows, before)
        return windows

    def split(self, number: int, length: int, shared: int) -> tuple[int, int]:
        """What the windows within segment `number` share, and how many they are.

        length: frames of the segment with its overlaps, the longer of which is `shared`. The usual length of its
        prompt is a wish for what each window has to itself when overlaps are cut in the middle (as they are while there
        is much noise, `methods.apart`): windows stay within the model's limits, and longer than what they share.
        """
        limits, closes_alone = self.limits, self.cyclic and len(self.segments) == 1
        inner, parts = self.inner, 1
        own = self.bounds[number + 1] - self.bounds[number]
        wish = round(self.usual.get(self.segments[number].prompt, 0.0) * limits.fps)
        if closes_alone or length > limits.max_frames:  # split it must be: then as near to the wish as can be
            parts = max(2, -(-(length - inner) // (limits.max_frames - inner)))
        elif not wish or own <= STRETCH * wish:
            return inner, parts
        closer = min(inner, max(wish // 3, limits.min_variable_frames)) if inner else 0
        # Two frames of its own at least, so that the middle of a window lies in its segment; neighbours that are not
        # in one another's overlaps; and room for a factor on a change of prompt (`methods.seam_factors`).
        half = max(shared, -(-limits.min_frames // 2), limits.min_variable_frames) + (shared + 1) // 2
        most = (length - closer) // max(limits.min_frames - closer, closer, shared + 2, half - closer)
        wished = min(round(own / wish), most) if wish > closer else 0
        return (closer, wished) if wished > parts else (inner, parts)

    def check_room(self, number: int, before: int, after: int) -> None:
        """The overlaps on the two sides of a segment must not reach into one another."""
        taken = self.past(number, before) + after - self.past(number + 1, after)
        if self.bounds[number + 1] - self.bounds[number] <= taken > 0:  # no frame would be its own
            raise PlanError(
                f"{self.name(number)} lasts {self.segments[number].seconds:g} s; the overlaps with its "
                f"neighbours take {taken / self.limits.fps:g} s of it; lengthen it, shorten the overlaps or "
                "join it to its neighbour"
            )

    def check_windows(self, number: int, windows: Sequence[Window], before: int) -> None:
        """Each window within the model's limits, and its two overlaps apart from one another."""
        fps, seconds = self.limits.fps, self.segments[number].seconds
        for window in windows:
            length, shared = window.stop - window.start, before + window.shared_after
            if length < shared:
                raise PlanError(
                    f"{self.name(number)} lasts {seconds:g} s in {len(windows)} windows; one of them holds "
                    f"{length / fps:g} s, its overlaps {shared / fps:g} s; lengthen it or shorten these"
                )
            if length < self.limits.min_frames:
                raise PlanError(self.too_short(number, len(windows), length))
            before = window.shared_after

    def variable_nodes(self, windows: Sequence[Window], frames: Sequence[tuple[int, ...]]) -> list[Region]:
        """The overlaps, in the order of the windows that they follow."""
        following = {}
        for number, window in enumerate(windows):
            if window.shared_after:
                following[frames[number][-window.shared_after]] = number
        nodes = []
        for piece, count in counting_numbers(frames):
            number = following[piece[0]]
            earlier, later = windows[number].prompt, windows[(number + 1) % len(windows)].prompt
            nodes.append((number, Region(piece, told([earlier, later], self.variables), count)))
        return [node for _, node in sorted(nodes, key=lambda pair: pair[0])]

    def too_short(self, number: int, parts: int = 1, length: int = 0) -> str:
        what = f"{self.name(number)} lasts {self.segments[number].seconds:g} s"
        if parts == 1:
            cure = "lengthen it or join it to its neighbour"
        else:
            what += f", {parts} windows of {length / self.limits.fps:g} s"
            cure = "lengthen it, or shorten it to one window"
        return f"{what}; {self.limits.hold}; {cure}"

    def name(self, number: int) -> str:
        segment: Segment = self.segments[number]
        return f"{segment.place or f'segment {number + 1}'}: segment {segment.prompt[:40]!r}"
