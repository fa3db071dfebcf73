"""Small graphs for tests, built by hand: windows on a line or around a cycle, and what they share."""

from collections.abc import Sequence

from collage_motion.graph import Graph, Region, counting_numbers


def graph_of(
    windows: Sequence[tuple[int, ...]],
    prompts: Sequence[int | None],
    cyclic: bool = False,
    shared: int | None = None,
) -> Graph:
    """Windows with their prompts, and the pieces they share with prompt `shared` (None: the null prompt)."""
    pieces = [Region(frames, shared, count) for frames, count in counting_numbers(windows)]
    regions = [Region(frames, prompt, 1) for frames, prompt in zip(windows, prompts, strict=True)]
    names = tuple(f"prompt {k}" for k in range(32))
    return Graph(1 + max(map(max, windows)), (*regions, *pieces), names, cyclic=cyclic)


def chain_windows(lengths: Sequence[int], overlaps: Sequence[int]) -> list[tuple[int, ...]]:
    windows, start = [], 0
    for length, overlap in zip(lengths, [*overlaps, 0], strict=True):
        windows.append(tuple(range(start, start + length)))
        start += length - overlap
    return windows


def cycle_windows(count: int, window: int, overlap: int) -> list[tuple[int, ...]]:
    total = count * (window - overlap)
    return [tuple((k * (window - overlap) + i) % total for i in range(window)) for k in range(count)]
