"""Charts of measurements. They need matplotlib, which the extra `eval` brings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from collage_motion.errors import CollageError
from collage_motion.export.atomic import replacing

STYLES: Final = ("-", "--", ":", "-.")
"""Lines of the first device, the second and so on."""


def draw_times(rows: Sequence[Mapping[str, Any]], path: str | Path, overwrite: bool = False) -> Path:
    """Draw DiffCollage Fig. 5 for motion: wall clock against seconds of motion, a line for each composer.

    rows: of `composers_report.summary`; those without a time are left out. Devices differ in their dashes.

    Raises:
        CollageError: matplotlib is missing, or there is no time to draw.
        OutputError: the file cannot be written, or exists and `overwrite` is False.
    """
    figure_class, canvas_class = _matplotlib()
    timed = [row for row in rows if "wall_s" in row]
    if not timed:
        raise CollageError("chart: no row has a time; measure first")
    devices = sorted({row["device"] for row in timed})
    names = list(dict.fromkeys(row["composer"] for row in timed))
    figure = figure_class(figsize=(8.0, 5.0), layout="constrained")
    canvas_class(figure)
    axes = figure.subplots()
    for number, name in enumerate(names):
        for device in devices:
            points = sorted(
                (row["seconds"], row["wall_s"])
                for row in timed
                if (row["composer"], row["device"]) == (name, device)
            )
            label = name if len(devices) == 1 else f"{name}, {device}"
            style = STYLES[devices.index(device) % len(STYLES)]
            if points:
                axes.plot(
                    *zip(*points, strict=True), style, color=f"C{number}", marker="o", ms=3, label=label
                )
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="length of motion / s",
        ylabel="wall-clock time / s",
        title=f"Time to make one motion ({', '.join(devices)})",
    )
    lengths = sorted({row["seconds"] for row in timed})
    axes.set_xticks(lengths, [f"{seconds:g}" for seconds in lengths])
    axes.set_xticks([], minor=True)
    axes.grid(True, which="both", alpha=0.3)
    axes.legend(fontsize=8)
    with replacing(path, overwrite) as part:
        figure.savefig(part, dpi=150)
    return Path(path)


def _matplotlib() -> tuple[Any, Any]:
    """The figure and its canvas, without a window; imported here because it is an extra."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise CollageError(
            "charts need matplotlib; install it with: pip install 'collage-motion[eval]'"
        ) from None
    return Figure, FigureCanvasAgg
