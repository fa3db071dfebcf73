"""Ways to make one long motion of many windows, by name: each is one small file, a function of a `Job`."""

from importlib import import_module
from typing import TYPE_CHECKING

from collage_motion.errors import CollageError

if TYPE_CHECKING:
    from collage_motion.methods.job import Method

METHODS = ("collage", "naive", "replacement", "reconstruction", "consensus", "handshake", "blend")
ON_GRAPHS = ("collage", "consensus", "blend")
"""The methods that sum or average the regions of any graph: they take seam factors, given motions and morphs."""


def get_method(name: str) -> "Method":
    """The method of that name; raises CollageError for a name there is none for."""
    # Imported on demand: the names are shown by the command line, which must not wait for torch.
    check_method(name)
    return getattr(import_module(f"collage_motion.methods.{name}"), name)


def check_method(name: str, seam_factors: bool = False) -> None:
    """Raise CollageError unless there is a method of that name, one that takes seam factors if asked for them."""
    if name not in METHODS:
        raise CollageError(f"method: got {name!r}; allowed: {', '.join(METHODS)}")
    if seam_factors and name not in ON_GRAPHS:
        raise CollageError(f"seam factors: got method {name!r}; allowed with: {', '.join(ON_GRAPHS)}")
