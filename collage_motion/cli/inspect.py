"""`collage-motion inspect`: the plan and its factor graph as text; needs neither torch nor the weights."""

from pathlib import Path
from shlex import join
from shutil import get_terminal_size
from typing import Annotated

import typer

from collage_motion.card import load_card
from collage_motion.cli import PROGRAM
from collage_motion.cli.messages import warn_of_far_prompts
from collage_motion.cli.options import (
    PLAN_SUFFIXES,
    Loop,
    Model,
    Overwrite,
    Prompts,
    is_plan_file,
    read_request,
)
from collage_motion.cli.sampling import Overlap, Variables, Window
from collage_motion.diagram import draw
from collage_motion.errors import OutputError
from collage_motion.plan import Plan, write_plan
from collage_motion.settings import Settings

Save = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write the plan as a YAML file to edit and to give to `generate`."),
]


def inspect(
    prompts: Prompts,
    loop: Loop = None,
    overlap: Overlap = Settings.overlap,
    window: Window = Settings.window,
    variables: Variables = Settings.variables,
    model: Model = "default",
    save: Save = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw the plan and its factor graph as text; makes no motion."""
    if save is not None and not is_plan_file(str(save)):
        found = f"suffix '{save.suffix}'" if save.suffix else "no suffix"
        raise OutputError(
            f"{save}: {found}; a plan is read back from {' or '.join(PLAN_SUFFIXES)}; name it so"
        )
    plan = read_request(prompts, loop)
    card = load_card(model)
    chosen = Settings(overlap=overlap, window=window, variables=variables)
    graph = chosen.graph(plan, card)
    warn_of_far_prompts((segment.prompt for segment in plan.segments), card)
    if save is not None:
        write_plan(plan, save, overwrite)
    typer.echo(plan_table(plan))
    typer.echo("")
    typer.echo(draw(graph, max(60, min(get_terminal_size((110, 24)).columns, 160))))
    typer.echo(f"model {card.name}: windows of {chosen.limits(card).span} at {card.fps} frames a second")
    if save is not None:
        options: list[str] = []
        for name, value, usual in (
            ("--overlap", f"{overlap:g}", f"{Settings.overlap:g}"),
            ("--window", window if isinstance(window, str) else f"{window:g}", Settings.window),
            ("--variables", variables, "auto"),
            ("--model", model, "default"),
        ):
            options += [name, value] if value != usual else []
        again = join([PROGRAM, "generate", str(save), *options])
        typer.echo(f"wrote {save}; to make it: {again}")


def plan_table(plan: Plan) -> str:
    """The segments with their times in seconds, one a line."""
    lines = [f"plan: {plan.seconds:g} s, {'a loop' if plan.loop else 'no loop'}"]
    start = 0.0
    for number, segment in enumerate(plan.segments, 1):
        end = start + segment.seconds
        own = "" if segment.overlap is None else f"  (overlap {segment.overlap:g} s)"
        lines.append(f"{number:>3}  {start:6.1f} to {end:6.1f} s  {segment.prompt}{own}")
        start = end
    return "\n".join(lines)
