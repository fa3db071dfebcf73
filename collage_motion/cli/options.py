"""The arguments that the commands share, with their units and ranges; and the plan that they make."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from collage_motion.errors import PlanError
from collage_motion.plan import Plan, plan_from_prompts, read_plan

PLAN_SUFFIXES = (".yaml", ".yml")
DEFAULT_OUTPUT = Path("motion.mp4")


def number(kind: type[int] | type[float], low: float, high: float, allowed: str) -> Callable[[Any], Any]:
    """A reader of numbers from `low` to `high`, both included, that says what it got and what is `allowed`."""

    def read(text: Any) -> int | float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:  # a NaN is in no range
            raise typer.BadParameter(f"got {str(text)[:40]!r}; allowed: {allowed}")
        return value

    return read


def one_of(*names: str) -> Callable[[Any], str]:
    """A reader of one of some words."""

    def read(text: Any) -> str:
        if text not in names:
            raise typer.BadParameter(f"got {str(text)[:40]!r}; allowed: {', '.join(names)}")
        return str(text)

    return read


Prompts = Annotated[
    list[str],
    typer.Argument(
        metavar="PROMPT",
        help='What happens, in order: "a person walks::3" for 3 seconds, 4 without "::". '
        "Or one YAML plan file (.yaml, .yml), as `inspect --save` writes it.",
        show_default=False,
    ),
]
Loop = Annotated[
    bool | None,
    typer.Option(
        "--loop/--no-loop",
        help="Close the motion: its end leads back to its beginning.  [default: as the plan file says, else no]",
        show_default=False,
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        parser=number(int, 0, 2**64 - 1, "whole numbers from 0 to 2^64 - 1"),
        metavar="NUMBER",
        help="The same seed makes the same motion: 0 to 2^64 - 1.",
    ),
]
Outputs = Annotated[
    list[Path] | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Where to; the suffix picks the format: .mp4 or .gif (film), .bvh (skeleton animation), .npz (all "
        f"arrays). Give it again for more files.  [default: {DEFAULT_OUTPUT}]",
        show_default=False,
    ),
]
Model = Annotated[
    str,
    typer.Option(metavar="NAME", help="A model that `models list` shows, or the folder of one."),
]
Device = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Where to compute: cpu, cuda, cuda:1, mps.  [default: the accelerator if there is one, else cpu]",
        show_default=False,
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]


def is_plan_file(text: str) -> bool:
    """Whether an argument names a plan file and is no prompt."""
    return text.lower().endswith(PLAN_SUFFIXES)


def read_request(prompts: list[str], loop: bool | None) -> Plan:
    """The plan that the arguments name: prompts, or one plan file; `loop` overrules the file.

    Raises PlanError.
    """
    files = [text for text in prompts if is_plan_file(text)]
    if not files:
        return plan_from_prompts(prompts, bool(loop))
    if len(prompts) > 1:
        raise PlanError(
            f"plan file {files[0]!r} among {len(prompts)} arguments; allowed is one plan file alone, or prompts; "
            "put the prompts into the file"
        )
    plan = read_plan(Path(files[0]))
    return plan if loop is None else Plan(plan.segments, loop)
