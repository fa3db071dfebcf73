"""The command `collage-motion`: arguments in, one call, one line for whatever goes wrong."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

PROGRAM = "collage-motion"
FAILED, WRONG_INPUT, INTERRUPTED = 1, 2, 130
STOPPED = "stopped by Ctrl-C; no half-written file is left"


def program() -> NoReturn:
    """Run the command line as a process: `main` with the process's own arguments, then exit with its code."""
    _leave(main())


def script(work: Callable[[], None], stopped: str = STOPPED) -> NoReturn:
    """Run one of the programs in `scripts/` as a process, which ends as the command line does.

    stopped: what Ctrl-C is answered with, such as that the same command goes on from there.
    """
    _leave(ended(work, Path(sys.argv[0]).name, stopped))


def _leave(code: int) -> NoReturn:
    if code == INTERRUPTED:
        # An interrupt amid the import of a C extension leaves a mark in the interpreter, which would then end as if
        # killed by the signal; so leave without it. Files are closed and temporary ones removed by now.
        os._exit(code)
    sys.exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code, as `ended` tells."""

    def work() -> int:
        # Imported here, so that Ctrl-C is answered in one line from the first moment on.
        from collage_motion.cli.app import run

        return run(list(sys.argv[1:] if arguments is None else arguments))

    return ended(work)


def ended(work: Callable[[], int | None], name: str = PROGRAM, stopped: str = STOPPED) -> int:
    """Do the work and return an exit code, with one line on stderr for whatever went wrong.

    0 or what `work` returned: done; 2 wrong input; 130 Ctrl-C, with the words of the interrupt if it has any; 1
    anything unforeseen. With COLLAGE_DEBUG=1 the traceback comes before that line.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):  # a prompt that the terminal cannot write must not end the work
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    with _terminated_like_interrupted():
        try:
            code = work()
            sys.stdout.flush()
            return code or 0
        except KeyboardInterrupt as stop:
            return _failed(name, str(stop) or stopped, INTERRUPTED)
        except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
            _forget_stdout()
            return FAILED
        except Exception as error:
            from collage_motion.errors import CollageError

            if isinstance(error, CollageError):
                return _failed(name, f"error: {error}", WRONG_INPUT)
            if isinstance(error, MemoryError):
                return _failed(
                    name, "error: not enough memory; make a shorter motion or free some memory", FAILED
                )
            what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            hint = "" if _debug() else "; set COLLAGE_DEBUG=1 to see where"
            return _failed(name, f"unexpected error: {what}{hint}", FAILED)


def one_line(text: str) -> str:
    """`text` without line breaks and without characters that would steer the terminal."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text)


def _failed(name: str, message: str, code: int) -> int:
    if _debug():
        import traceback

        traceback.print_exc()
    with suppress(OSError):
        sys.stderr.write(f"{name}: {one_line(message)}\n")
        sys.stderr.flush()
    return code


def _debug() -> bool:
    return os.environ.get("COLLAGE_DEBUG", "") not in ("", "0")


def _forget_stdout() -> None:
    """Point stdout nowhere, so that the interpreter does not stumble over the closed pipe when it ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind the program as Ctrl-C does: temporary files are removed on the way."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {}
    with suppress(ValueError):  # not in the main thread: signals are somebody else's
        for number in numbers:
            if signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, leave)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
