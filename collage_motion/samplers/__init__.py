"""Samplers by name: each is one small file, a function of (denoise, x, sigmas, noise, progress)."""

from importlib import import_module
from typing import TYPE_CHECKING

from collage_motion.errors import CollageError

if TYPE_CHECKING:
    from collage_motion.samplers.steps import Sampler

SAMPLERS = ("euler", "ddim", "deis", "dpmpp", "gddim", "edm", "ancestral")


def get_sampler(name: str) -> "Sampler":
    """The sampler of that name; raises CollageError for a name there is none for."""
    # Imported on demand: the names are shown by the command line, which must not wait for torch.
    if name not in SAMPLERS:
        raise CollageError(f"sampler: got {name!r}; allowed: {', '.join(SAMPLERS)}")
    return getattr(import_module(f"collage_motion.samplers.{name}"), name)
