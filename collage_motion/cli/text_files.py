"""What the command line says about text encoders that do not come with the package."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from collage_motion.cli.messages import warn
from collage_motion.errors import ModelError
from collage_motion.text import PromptWarning
from collage_motion.text.sources import SOURCES


def describe_text_encoders() -> str:
    """Which text encoders for imported models are there, and what to get for those that are missing."""
    lines = ["text encoders of imported models"]
    if find_spec("transformers") is None:
        lines.append("  library: missing: pip install 'collage-motion[clip]'")
    for name, source in SOURCES.items():
        try:
            lines.append(f"  {name}: {source.find().weights}")
        except ModelError as error:
            lines.append(f"  {name}: missing: {error}")
    return "\n".join(lines)


@contextmanager
def prompt_warnings_as_lines() -> Iterator[None]:
    """Show each warning of a prompt that was cut as one line on stderr, not as Python does."""
    with warnings.catch_warnings():
        as_python_does = warnings.showwarning

        def show(message: Any, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, PromptWarning):
                warn(str(message))
            else:
                as_python_does(message, category, *place, **more)

        warnings.simplefilter("always", PromptWarning)
        warnings.showwarning = show
        yield
