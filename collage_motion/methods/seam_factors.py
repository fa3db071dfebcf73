"""Seam factors: an extra window without a prompt centred on each change of prompt. No torch."""

from collage_motion.card import Limits
from collage_motion.counting import counting_numbers
from collage_motion.errors import PlanError
from collage_motion.graph import Graph, Region
from collage_motion.methods.lines import check_line


def with_seam_factors(graph: Graph, limits: Limits) -> Graph:
    """The graph with a null-prompt factor S on each change of prompt between windows A and B.

    The model's own idea of a transition then joins the sum: A + S + B - A∩S - S∩B, by the counting rule, which
    also drops A∩B since S holds all of it. S is twice as long as A∩B, and at least as long as the model's
    windows and two of its variables are. New pieces have the null prompt, unless all windows that hold them
    have one prompt. A graph without such a change is returned as it is. Raises PlanError where there is no
    room for S within A and B, and for windows that write some channels only.
    """
    windows = graph.windows
    if any(region.channels is not None for region in graph.regions):
        raise PlanError("seam factors: got windows that write some channels only; allowed are whole ones")
    check_line(graph, "seam factors")
    following = zip(windows, (*windows[1:], windows[0]) if graph.cyclic else windows[1:], strict=False)
    seams = tuple(Region(_seam(graph, a, b, limits), None, 1) for a, b in following if a.prompt != b.prompt)
    if not seams:
        return graph
    factors = windows + seams
    told = {region.frames: region.prompt for region in graph.variables}
    sets = [set(region.frames) for region in factors]
    holding: dict[int, list[int]] = {}
    for number, own in enumerate(sets):
        for frame in own:
            holding.setdefault(frame, []).append(number)
    pieces = []
    for frames, count in counting_numbers([region.frames for region in factors]):
        holders = {factors[k].prompt for k in holding[frames[0]] if sets[k].issuperset(frames)}
        prompt = told[frames] if frames in told else holders.pop() if len(holders) == 1 else None
        pieces.append(Region(frames, prompt, count))
    return Graph(
        graph.n_frames,
        (*factors, *pieces),
        graph.prompts,
        graph.segments,
        graph.cyclic,
        graph.n_channels,
        graph.fps,
    )


def _seam(graph: Graph, a: Region, b: Region, limits: Limits) -> tuple[int, ...]:
    """Frames of the factor between windows a and b, centred on what they share."""
    inside = set(b.frames)
    # On a cycle of two windows they meet at both ends: only the end of `a` counts here.
    shared = 0
    while shared < len(a.frames) and a.frames[-shared - 1] in inside:
        shared += 1
    middle = a.frames[-1] + 1 - (shared + 1) // 2  # the longer half of an odd overlap lies behind the change
    reach = max(shared, -(-limits.min_frames // 2), limits.min_variable_frames)
    room = min(len(a.frames), len(b.frames)) - (shared + 1) // 2
    if reach > room or 2 * reach > min(limits.max_frames, graph.n_frames):
        fps, at = limits.fps, middle % graph.n_frames
        raise PlanError(
            f"seam factors: the change of prompt at {at / fps:g} s needs {reach / fps:g} s on each side, its windows "
            f"have {room / fps:g} s; lengthen the segments or shorten the overlap"
        )
    return tuple(frame % graph.n_frames for frame in range(middle - reach, middle + reach))
