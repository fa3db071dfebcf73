"""The commands by name, and usage errors in one line."""

from typing import Annotated

import typer

from collage_motion import __version__
from collage_motion.cli import PROGRAM
from collage_motion.cli.bridge import bridge
from collage_motion.cli.edit import edit
from collage_motion.cli.evaluate import evaluate
from collage_motion.cli.generate import generate
from collage_motion.cli.import_model import import_model
from collage_motion.cli.inspect import inspect
from collage_motion.cli.messages import StoppedError
from collage_motion.cli.models import list_models
from collage_motion.errors import CollageError

app = typer.Typer(
    name=PROGRAM,
    help="Long, composed and looped human motion from text.",
    epilog="Exit codes: 0 done, 2 wrong input, 130 Ctrl-C, 1 anything unforeseen (COLLAGE_DEBUG=1 shows where).",
    add_completion=False,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
models = typer.Typer(
    help="The installed models.", invoke_without_command=True, rich_markup_mode=None, add_completion=False
)
app.command()(generate)
app.command()(bridge)
app.command()(edit)
app.command()(inspect)
app.command("eval")(evaluate)
models.command("list")(list_models)
models.command("import")(import_model)
app.add_typer(models, name="models")


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; raises CollageError, usage errors among them."""
    command = typer.main.get_command(app)
    try:
        code = command.main(arguments, prog_name=PROGRAM, standalone_mode=False)
    except typer.TyperException as error:
        raise CollageError(" ".join(error.format_message().split())) from error
    except StoppedError as error:
        raise KeyboardInterrupt(str(error)) from None
    except typer.Abort as error:
        raise KeyboardInterrupt from error
    if code == 130:  # how typer reports Ctrl-C
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@models.callback()
def _models(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
