"""Samplers by name: each is one small file, a function of (denoise, x, sigmas, noise, progress)."""

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from collage_motion.errors import CollageError
from collage_motion.ranges import Number

if TYPE_CHECKING:
    from collage_motion.samplers.steps import Sampler

SAMPLERS: Final = ("euler", "ddim", "deis", "dpmpp", "gddim", "edm", "ancestral")

OPTIONS: Final = {"eta": ("ddim",), "order": ("deis", "gddim"), "churn": ("edm",)}
"""What some samplers take besides: which take it. Their docstrings say what it is."""

_ALLOWED: Final = {
    "eta": Number("0 (no fresh noise) to 1 (as much as the ancestral sampler)", most=1),
    "order": Number("1, 2 or 3", least=1, most=3, whole=True),
    "churn": Number("0 (no fresh noise) to 1000, usually 10 to 80", most=1000),
}


def get_sampler(name: str, **options: Any) -> "Sampler":
    """The sampler of that name with its options; raises CollageError as `check_sampler` does."""
    check_sampler(name, **options)
    # Imported on demand: the names are shown by the command line, which must not wait for torch.
    sampler = getattr(import_module(f"collage_motion.samplers.{name}"), name)
    return partial(sampler, **options) if options else sampler


def check_sampler(name: str, **options: Any) -> None:
    """Raise CollageError unless there is a sampler of that name that takes these `OPTIONS` with these values."""
    if name not in SAMPLERS:
        raise CollageError(f"sampler: got {name!r}; allowed: {', '.join(SAMPLERS)}")
    for option, value in options.items():
        if name not in OPTIONS.get(option, ()):
            raise CollageError(
                f"{option}: sampler {name} has none; it belongs to: {', '.join(OPTIONS.get(option, ('none',)))}"
            )
        _ALLOWED[option].check(option, value)
