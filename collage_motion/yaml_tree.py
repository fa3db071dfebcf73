"""YAML files as nodes that know their line: read safely, within limits, with errors of one line."""

import difflib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import yaml

from collage_motion.errors import PlanError

MAX_BYTES: Final = 4 * 2**20
MAX_DEPTH: Final = 8


def read_tree(path: Path) -> yaml.Node | None:
    """The syntax tree of a YAML file, None for an empty one.

    Nothing is constructed from it, so no tag can build an object. Raises PlanError naming file and line for a
    file that cannot be read, is larger than 4 MiB, is not UTF-8 or not YAML, uses aliases or nests too deep.
    """
    return _syntax_tree(_read_text(path), path)


def scalar(text: str) -> Any:
    """The value of a short text as YAML has it, but numbers as Python reads them, for YAML 1.1 takes 1e6 for a word.

    Raises ValueError for what is no YAML.
    """
    try:
        value = yaml.safe_load(text[:100])
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(str(error)) from None
    if isinstance(value, str):
        with suppress(ValueError):
            return float(value)
    return value


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PlanError(
            f"{path}: the plan cannot be read: {error.strerror or error}; give a readable YAML file"
        ) from None
    if len(data) > MAX_BYTES:
        raise PlanError(f"{path}: the plan is larger than {MAX_BYTES} bytes; split it into several plans")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PlanError(f"{path}:{line}: the plan is not UTF-8 text; save it as UTF-8") from None


def _syntax_tree(text: str, path: Path) -> yaml.Node | None:
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        depth = 0
        # The events first: composing recurses, and libyaml's overflows the stack on a file that nests deep.
        for event in yaml.parse(text, Loader=loader):
            line = event.start_mark.line + 1 if event.start_mark else 1
            if isinstance(event, yaml.AliasEvent):
                raise PlanError(
                    f"{path}:{line}: alias {quoted(f'*{event.anchor}')}; a plan has none; write it out"
                )
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth > MAX_DEPTH:
                raise PlanError(
                    f"{path}:{line}: brackets or lists nested {depth} deep; a plan needs 3 levels"
                )
        return yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise PlanError(
            f"{path}:{line}: not YAML: {error.problem or error.context}; quote prompts that contain ': ' or #"
        ) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise PlanError(f"{path}: not YAML: {' '.join(str(error).split())}; write plain text") from None


def nearest(name: str, names: Iterable[str]) -> str:
    """The one of `names` spelt most like `name`."""
    return max(
        names, key=lambda known: difflib.SequenceMatcher(None, name[:80].lower(), known.lower()).ratio()
    )


def line(node: yaml.Node) -> int:
    """The line on which a node begins, counted from 1."""
    return int(node.start_mark.line) + 1


def tag(node: yaml.Node) -> str:
    """What YAML takes a scalar for (str, int, float, bool, null, its own tag); empty for collections."""
    return str(node.tag).removeprefix("tag:yaml.org,2002:") if isinstance(node, yaml.ScalarNode) else ""


def kind(node: yaml.Node) -> str:
    """A node in the words of an error message."""
    if isinstance(node, yaml.ScalarNode):
        return "nothing" if node.value == "" and tag(node) == "null" else quoted(node.value)
    return "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"


def quoted(text: str) -> str:
    """`text` in quotes on one line, shortened, control characters escaped."""
    return repr(text if len(text) <= 40 else text[:37] + "...")
