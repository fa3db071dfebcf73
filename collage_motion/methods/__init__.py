"""Ways to make one long motion of many windows, by name: each is one small file, a function of a `Job`."""

from importlib import import_module
from typing import TYPE_CHECKING

from collage_motion.errors import CollageError

if TYPE_CHECKING:
    from collage_motion.methods.job import Method

METHODS = ("collage", "naive", "replacement", "reconstruction", "consensus", "handshake", "blend")
ON_GRAPHS = ("collage", "consensus", "blend")
"""The methods that sum or average the regions of any graph: they take seam factors, given motions and morphs."""
ON_CYCLES = ("collage", "consensus", "handshake", "blend")
"""The methods that can close a loop."""

TAPERED = ("collage", "blend")
"""The methods that count overlaps, whose windows set in over `Settings.taper`."""
OWN_SETTINGS = {
    "taper": TAPERED,
    "apart_above": ("collage",),
    "stagger_below": ("collage",),
    "spread": ("replacement",),
    "blend": ("blend",),
}
"""Settings that mean something to some methods only, and to which."""


def get_method(name: str) -> "Method":
    """The method of that name; raises CollageError for a name there is none for."""
    # Imported on demand: the names are shown by the command line, which must not wait for torch.
    check_method(name)
    return getattr(import_module(f"collage_motion.methods.{name}"), name)


def check_method(name: str, seam_factors: bool = False, loop: bool = False) -> None:
    """Raise CollageError unless there is a method of that name that can do what is asked for."""
    if name not in METHODS:
        raise CollageError(f"method: got {name!r}; allowed: {', '.join(METHODS)}")
    if seam_factors and name not in ON_GRAPHS:
        raise CollageError(f"seam factors: got method {name!r}; allowed with: {', '.join(ON_GRAPHS)}")
    if loop and name not in ON_CYCLES:
        raise CollageError(
            f"method {name}: it makes a motion from its beginning to its end and cannot close a loop; "
            f"leave --loop away or use one of: {', '.join(ON_CYCLES)}"
        )


def check_on_graphs(name: str, task: str = "hold a given motion or pass between prompts") -> None:
    """Raise CollageError, with the task that it cannot do, unless the method takes any graph."""
    check_method(name)
    if name not in ON_GRAPHS:
        raise CollageError(f"method {name}: it cannot {task}; allowed: {', '.join(ON_GRAPHS)}")
