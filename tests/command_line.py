"""What tests of the command line share: quick options, and how a refusal looks."""

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

QUICK = ["--model", "tiny", "--steps", "2"]
PROMPTS = ["a person walks::2", "a person runs::2"]


def started(arguments: Sequence[str], **more: Any) -> "subprocess.Popen[str]":
    """The command as a process of its own, in the working folder."""
    return subprocess.Popen(
        [sys.executable, "-m", "collage_motion", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def refused(result: tuple[int, str, str], *parts: str, left: Sequence[str] = ()) -> None:
    """Assert exit code 2, nothing on stdout, one line on stderr that holds all `parts`, and no new file."""
    code, out, err = result
    assert (code, out) == (2, "")
    assert err.startswith("collage-motion: error: ") and err.count("\n") == 1 and err.endswith("\n")
    for part in parts:
        assert part in err
    assert sorted(os.listdir()) == sorted(left)
