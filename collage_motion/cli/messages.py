"""What the command line says on stderr while it works: warnings and progress."""

import sys
import time
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING

import typer

from collage_motion.card import ModelCard
from collage_motion.cli import PROGRAM, one_line

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PLAIN_EVERY_S = 10.0
"""Seconds between two lines of progress where stderr is no terminal."""


def warn(message: str) -> None:
    """One line on stderr."""
    typer.echo(f"{PROGRAM}: warning: {one_line(message)}", err=True)


def warn_of_far_prompts(prompts: Iterable[str], card: ModelCard) -> None:
    """Warn of each prompt that is far from all that the model was trained on."""
    from collage_motion.nearest import warning_of  # reads the word vectors, so only when asked

    for prompt in dict.fromkeys(prompts):
        message = warning_of(prompt, card)
        if message is not None:
            warn(message)


class StoppedError(Exception):
    """Ctrl-C with words of its own, past typer, which ends a command without those of a KeyboardInterrupt."""


class Progressing:
    """Progress of work in stages: a bar with the time left on a terminal, a rare line of text elsewhere.

    The bar vanishes at the end, so that only what was written stays on the screen.
    """

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._stage, self._said = "", time.monotonic()

    def __enter__(self) -> "Progressing":
        if self._console.is_terminal:
            from rich import progress

            self._bar = progress.Progress(
                progress.SpinnerColumn(),
                progress.TextColumn("{task.description}", markup=False),
                progress.BarColumn(),
                progress.TaskProgressColumn(),
                progress.TimeElapsedColumn(),
                progress.TextColumn("left"),
                progress.TimeRemainingColumn(),
                console=self._console,
                transient=True,
            )
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def begin(self, stage: str) -> None:
        """Name what is done from now on; how much of it there is `step` tells later, or never."""
        self._stage, self._said = stage, time.monotonic()
        if self._bar is not None:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(stage, total=None)

    def step(self, done: int, total: int) -> None:
        """`done` of `total` parts of the stage are done."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, total=total)
        elif time.monotonic() - self._said >= PLAIN_EVERY_S:
            self._said = time.monotonic()
            sys.stderr.write(f"{PROGRAM}: {self._stage}: {done} of {total}\n")
            sys.stderr.flush()

    def say(self, line: str) -> None:
        """A line on stdout, above the bar while there is one."""
        if self._bar is not None:
            self._bar.stop()
        typer.echo(line)
        if self._bar is not None:
            self._bar.start()
