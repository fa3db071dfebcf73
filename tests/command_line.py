"""What tests of the command line share: quick options, and how a refusal looks."""

import os
from collections.abc import Sequence

QUICK = ["--model", "tiny", "--steps", "2"]


def refused(result: tuple[int, str, str], *parts: str, left: Sequence[str] = ()) -> None:
    """Assert exit code 2, nothing on stdout, one line on stderr that holds all `parts`, and no new file."""
    code, out, err = result
    assert (code, out) == (2, "")
    assert err.startswith("collage-motion: error: ") and err.count("\n") == 1 and err.endswith("\n")
    for part in parts:
        assert part in err
    assert sorted(os.listdir()) == sorted(left)
