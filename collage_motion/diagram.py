"""A graph drawn as text: a time axis, one row a window, the overlaps and what their variables are told."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collage_motion.graph import Graph, Region

LABEL_WIDTH: Final = 30
MAX_WINDOWS: Final = 12
_TICKS: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)


def draw(graph: "Graph", width: int = 110) -> str:
    """`graph` as lines of at most `width` ASCII signs besides the prompts' own letters.

    Graphs of more than 12 windows are abbreviated: their first windows, the axis as far as these reach, and
    how much is left out.
    """
    windows, variables = graph.windows, graph.variables
    shown = windows if len(windows) <= MAX_WINDOWS else windows[: MAX_WINDOWS - 2]
    end = graph.n_frames if len(shown) == len(windows) else _reach(shown, graph)
    near = [piece for piece in variables if piece.frames[0] < end and piece.frames[-1] < end]
    scale = _Scale(graph, end, max(20, width - LABEL_WIDTH - 2))
    lines = [_title(graph), *scale.axis()]
    lines += [
        scale.row(f"{number:>3} {_told(graph, region)}", region) for number, region in enumerate(shown, 1)
    ]
    if near:
        lines += [
            "overlaps: counting number, what they are told",
            *(scale.row(f"  {_piece(graph, piece)}", piece) for piece in near),
        ]
    hidden = (len(windows) - len(shown), len(variables) - len(near))
    if any(hidden):
        lines.append(
            f"... and {_number(hidden[0], 'window')} and {_number(hidden[1], 'overlap')} more, up to "
            f"{graph.n_frames / graph.fps:g} s"
        )
    return "\n".join([*lines, _legend(graph)])


class _Scale:
    """Frames to columns: the first `end` frames over at most `width` columns."""

    def __init__(self, graph: "Graph", end: int, width: int) -> None:
        self.end, self.fps = end, graph.fps
        self.columns = min(width, end)
        index = graph.index
        self.shared = np.bincount(index.frames[index.valid], minlength=graph.n_frames) > 1

    def column(self, frames: np.ndarray) -> np.ndarray:
        return frames * self.columns // self.end

    def axis(self) -> list[str]:
        seconds = self.end / self.fps
        room = self.columns / seconds  # columns a second
        step = next((tick for tick in _TICKS if tick * room >= 8), None) or np.ceil(8 / room / 3600) * 3600
        numbers, marks = [" "] * (self.columns + 12), ["-"] * self.columns
        for k in range(int(seconds / step) + 1):
            at = min(round(k * step * room), self.columns - 1)
            text = f"{k * step:g}"
            numbers[at : at + len(text)] = text
            marks[at] = "|"
        return [_label("seconds") + "".join(numbers).rstrip(), _label("") + "".join(marks)]

    def row(self, label: str, region: "Region") -> str:
        frames = np.array(region.frames)
        frames = frames[frames < self.end]
        columns = self.column(frames)
        total = np.bincount(columns, minlength=self.columns)
        shared = np.bincount(columns, self.shared[frames], self.columns)
        signs = np.where(total == 0, " ", np.where(2 * shared >= total, "#", "="))
        return (_label(label) + "".join(signs)).rstrip()


def _reach(windows: Sequence["Region"], graph: "Graph") -> int:
    """One past the last frame of `windows`, a first window's reach around the end of a cycle aside."""
    last = windows[-1].frames[-1] + 1
    return last if last >= len(windows[-1].frames) else graph.n_frames


def _title(graph: "Graph") -> str:
    kind = "a cycle" if graph.cyclic else "a line"
    return (
        f"{graph.n_frames / graph.fps:g} s = {graph.n_frames} frames at {graph.fps} per second, in "
        f"{_number(len(graph.windows), 'window')} and {_number(len(graph.variables), 'overlap')} on {kind}"
    )


def _legend(graph: "Graph") -> str:
    sizes = [len(region.frames) for region in graph.windows]
    told = sum(region.prompt is not None for region in graph.regions)
    low, high = min(sizes, default=0), max(sizes, default=0)
    return (
        f"= one window, # shared; windows hold {_span(low, high)} frames "
        f"({_span(low / graph.fps, high / graph.fps)} s)\n"
        f"network rows a step: {graph.rows_per_step:,} ({told:,} with a prompt x 2, guided, "
        f"+ {len(graph.regions) - told:,} without)"
    )


def _span(low: float, high: float) -> str:
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _number(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _told(graph: "Graph", region: "Region") -> str:
    return "(null)" if region.prompt is None else graph.prompts[region.prompt]


def _piece(graph: "Graph", region: "Region") -> str:
    start, length = region.frames[0] / graph.fps, len(region.frames) / graph.fps
    return f"{start:g} s + {length:g} s, {region.count:+d}: {_told(graph, region)}"


def _label(text: str) -> str:
    text = text if len(text) <= LABEL_WIDTH else text[: LABEL_WIDTH - 3] + "..."
    return text.ljust(LABEL_WIDTH + 2)
