"""Graphs whose windows are told something between two prompts, gradually from one to the next. No torch."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from collage_motion.card import Limits
from collage_motion.counting import counting_numbers
from collage_motion.errors import PlanError
from collage_motion.graph import Graph, Region

Mix = tuple[int, int, float]
"""Prompts i and j, and how far from i to j: 0 to 1."""


@dataclass(frozen=True)
class Key:
    """From canvas frame `frame` on, up to the next key, the motion passes from this prompt to that key's."""

    frame: float
    prompt: int


def gradual(
    n_frames: int,
    prompts: Sequence[str],
    keys: Sequence[Key],
    limits: Limits,
    overlap: int,
    window: int,
    cyclic: bool = False,
    segments: Sequence[tuple[int, int]] = (),
) -> tuple[Graph, tuple[Mix, ...]]:
    """A chain (or cycle) of equal windows of about `window` frames, and what each row of its prompt table is.

    DiffCollage Fig. 6: the nodes between two ends are conditioned on interpolated embeddings. What a window is
    told follows from its middle: before the first key and behind the last their prompts, between two keys the
    mix in proportion, around a cycle without ends. An overlap is told the mix at its own middle, with guidance,
    since its two windows are told almost the same (a null variable would double the guidance).

    overlap: frames that neighbours share. Returns the graph, whose prompts are labels, and for each of its
    prompts the `Mix` of `prompts` it stands for (see `PromptTable.between`). Raises PlanError when the canvas is
    too short for the model's windows, or keys are none or out of order.
    """
    if not keys or any(not a.frame < b.frame for a, b in pairwise(keys)):
        raise PlanError(
            f"prompts along the motion: got {len(keys)} places; allowed: one or more, in order of time"
        )
    if cyclic:
        keys = _around(keys, n_frames)
    one = not cyclic and len({key.prompt for key in keys}) == 1
    starts, lengths = _cuts(n_frames, limits, overlap, window, cyclic, one)
    frames = [
        tuple(frame % n_frames for frame in range(start, start + length))
        for start, length in zip(starts, lengths, strict=True)
    ]
    told = [
        (f, 1, _mix((a + n / 2) % n_frames, keys)) for f, a, n in zip(frames, starts, lengths, strict=True)
    ]
    for piece, count in counting_numbers(frames):
        # Pieces are stretches, so their middle is half their length behind their first frame.
        told.append((piece, count, _mix((piece[0] + len(piece) / 2) % n_frames, keys)))
    mixes = {mix: number for number, mix in enumerate(dict.fromkeys(mix for _, _, mix in told))}
    regions = tuple(Region(f, mixes[mix], count) for f, count, mix in told)
    labels = tuple(_label(prompts, mix) for mix in mixes)
    return Graph(n_frames, regions, labels, tuple(segments), cyclic, None, limits.fps), tuple(mixes)


def _cuts(
    n_frames: int, limits: Limits, overlap: int, window: int, cyclic: bool, one: bool
) -> tuple[list[int], list[int]]:
    """First frame and length of each window; as near to `window` frames as the model's limits let them be.

    one: there is one prompt and two ends, so that a short canvas may be one window without any overlap.
    """
    if overlap < 0 or 2 * overlap > limits.max_frames or 0 < overlap < limits.min_variable_frames:
        raise PlanError(
            f"the overlap is {overlap / limits.fps:g} s; allowed is 0, or "
            f"{limits.min_variable_frames / limits.fps:g} to {limits.max_frames / limits.fps / 2:g} s"
        )
    if one and limits.min_frames <= n_frames < 2 * overlap:
        return [0], [n_frames]
    covered = n_frames if cyclic else n_frames - overlap
    least, most = max(limits.min_frames, 2 * overlap, overlap + 1), limits.max_frames
    wanted = min(max(window, least), most)
    fewest = max(2 if cyclic else 1, -(-covered // (most - overlap)))
    parts = max(fewest, round(covered / max(wanted - overlap, 1)))
    while parts > fewest and covered // parts + overlap < least:
        parts -= 1
    what = f"the motion lasts {n_frames / limits.fps:g} s"
    if n_frames < limits.min_frames or 0 < covered < parts * (limits.min_frames - overlap):
        raise PlanError(f"{what}; {limits.hold}; make it longer")
    if n_frames < 2 * overlap:
        raise PlanError(
            f"{what} with overlaps of {overlap / limits.fps:g} s; where prompts pass gradually or the end leads back "
            f"it must hold two of them, {2 * overlap / limits.fps:g} s; make it longer or the overlap shorter"
        )
    starts = [covered * part // parts for part in range(parts)]
    stops = [start + overlap for start in [*starts[1:], covered]]
    return starts, [stop - start for start, stop in zip(starts, stops, strict=True)]


def _around(keys: Sequence[Key], n_frames: int) -> Sequence[Key]:
    """The keys of a cycle with the last one before the first and the first one behind the last."""
    return (
        Key(keys[-1].frame - n_frames, keys[-1].prompt),
        *keys,
        Key(keys[0].frame + n_frames, keys[0].prompt),
    )


def _mix(place: float, keys: Sequence[Key]) -> Mix:
    """What is told at `place`, in frames."""
    later = bisect_right(keys, place, key=lambda key: key.frame)
    if later in (0, len(keys)):
        end = keys[min(later, len(keys) - 1)]
        return end.prompt, end.prompt, 0.0
    one, other = keys[later - 1], keys[later]
    share = round((place - one.frame) / (other.frame - one.frame), 6)
    if share in (0.0, 1.0) or one.prompt == other.prompt:
        pure = other.prompt if share == 1.0 else one.prompt
        return pure, pure, 0.0
    return one.prompt, other.prompt, share


def _label(prompts: Sequence[str], mix: Mix) -> str:
    first, second, share = mix
    return prompts[first] if first == second else f"{prompts[first]} > {prompts[second]} ({share:.0%})"
