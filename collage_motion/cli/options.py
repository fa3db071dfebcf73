"""The arguments that the commands share, with their units and ranges; and the plan that they make."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from collage_motion.errors import PlanError
from collage_motion.plan import Plan, plan_from_prompts, read_plan

PLAN_SUFFIXES = (".yaml", ".yml")


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
Overlap = Annotated[
    float,
    typer.Option(
        parser=number(float, 0, 60, "seconds from 0 to 60, usually 0.5 to 1.5"),
        metavar="SECONDS",
        help="What neighbouring windows share, in seconds, where a plan file says nothing else: 0 to 60, usually 0.5 "
        "to 1.5; 0 sets clips side by side.",
    ),
]
Variables = Annotated[
    Literal["auto", "null", "prompt"],
    typer.Option(
        parser=one_of("auto", "null", "prompt"),
        metavar="auto|null|prompt",
        help="What an overlap is told: its prompt where both windows have the same (auto), nothing (null), or always "
        "a prompt, the earlier one of two.",
    ),
]
Model = Annotated[
    str,
    typer.Option(metavar="NAME", help="A model that `models list` shows, or the folder of one."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]


def read_request(prompts: list[str], loop: bool | None) -> Plan:
    """The plan that the arguments name: prompts, or one plan file; `loop` overrules the file.

    Raises PlanError.
    """
    files = [text for text in prompts if text.lower().endswith(PLAN_SUFFIXES)]
    if not files:
        return plan_from_prompts(prompts, bool(loop))
    if len(prompts) > 1:
        raise PlanError(
            f"plan file {files[0]!r} among {len(prompts)} arguments; allowed is one plan file alone, or prompts; "
            "put the prompts into the file"
        )
    plan = read_plan(Path(files[0]))
    return plan if loop is None else Plan(plan.segments, loop)
