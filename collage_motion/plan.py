"""What happens in a motion, in words and seconds: `Segment`, `Plan`, and the YAML plan file."""

import math
import os
import re
import secrets
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

import yaml

from collage_motion.errors import OutputError, PlanError
from collage_motion.yaml_tree import kind, line, nearest, quoted, read_tree, tag

DEFAULT_SECONDS: Final = 4.0
DEFAULT_OVERLAP: Final = 0.8
"""Seconds that neighbouring windows share where nothing else is said: with 1.5 actions are named right less often, as
their beginnings and ends lie in overlaps; with 0.6 seams shake more."""
MAX_TOTAL_SECONDS: Final = 86_400.0
"""A day of motion: what is longer is a slip of the keyboard, and would fill the memory unnoticed."""
MAX_PROMPT: Final = 1_000
_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class Segment:
    """One prompt and how long it lasts.

    seconds: above 0. overlap: seconds shared with the *next* segment, 0 for none, None for the default
    given when the motion is made; on the last segment it counts only in a loop. place: where the segment
    was written, for errors. Raises PlanError for an empty prompt and for numbers that are negative or not
    finite.
    """

    prompt: str
    seconds: float = DEFAULT_SECONDS
    overlap: float | None = None
    place: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        where = f"{self.place}: " if self.place else ""
        object.__setattr__(self, "prompt", _checked_prompt(self.prompt, where))
        what = f"{where}segment {quoted(self.prompt)}"
        object.__setattr__(self, "seconds", _checked_seconds(self.seconds, what))
        if self.overlap is not None:
            object.__setattr__(self, "overlap", checked_overlap(self.overlap, what))


@dataclass(frozen=True)
class Plan:
    """The segments of a motion in their order; in a loop the last one leads back to the first."""

    segments: tuple[Segment, ...]
    loop: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "segments", tuple(self.segments))
        if not self.segments:
            raise PlanError(
                "a plan has no segments; it needs at least one; give a prompt such as 'a person walks'"
            )
        if self.seconds > MAX_TOTAL_SECONDS:
            raise PlanError(
                f"the plan lasts {self.seconds:g} s; allowed are {MAX_TOTAL_SECONDS:g} s; make it in parts"
            )

    @property
    def seconds(self) -> float:
        """The length of the whole motion."""
        return math.fsum(segment.seconds for segment in self.segments)


def parse_segment(text: str, place: str = "") -> Segment:
    """Read `prompt` or `prompt::seconds`, as written on the command line.

    The last `::` separates, so a prompt may contain colons. Raises PlanError naming `place`.
    """
    prompt, mark, seconds = text.rpartition("::")
    if not mark:
        return Segment(text, place=place)
    where = f"{place}: " if place else ""
    if not _NUMBER.fullmatch(seconds.strip()):
        raise PlanError(
            f"{where}the seconds of {quoted(text)} are {quoted(seconds)}; allowed is a number above 0; "
            "write for example 'a person walks::3'"
        )
    return Segment(prompt, float(seconds), place=place)


def plan_from_prompts(prompts: Sequence[str], loop: bool = False) -> Plan:
    """Read the prompts of a command line; errors name the number of the prompt, counted from 1."""
    return Plan(tuple(parse_segment(text, f"prompt {i}") for i, text in enumerate(prompts, 1)), loop)


def checked_overlap(value: Any, what: str) -> float:
    """`value` as seconds of overlap; raises PlanError, beginning with `what`, unless finite and >= 0."""
    if not _is_number(value) or not 0 <= value <= MAX_TOTAL_SECONDS:
        raise PlanError(
            f"{what} has an overlap of {_shown(value)}; allowed is a number of seconds from 0 "
            f"to {MAX_TOTAL_SECONDS:g}; {DEFAULT_OVERLAP:g} is usual, 0 sets clips side by side"
        )
    return float(value)


def checked_pair(prompts: Any, place: str) -> tuple[str, str]:
    """Two prompts as a `Segment` takes one; raises PlanError naming `place`."""
    if isinstance(prompts, str) or not isinstance(prompts, Sequence) or len(prompts) != 2:
        raise PlanError(
            f"{place}: got {quoted(repr(prompts))}; allowed: two, such as ('a person walks', 'a person runs')"
        )
    first, second = (Segment(prompt, place=place).prompt for prompt in prompts)
    return first, second


def _checked_seconds(value: Any, what: str) -> float:
    if not _is_number(value) or not 0 < value <= MAX_TOTAL_SECONDS:
        raise PlanError(
            f"{what} lasts {_shown(value)}; allowed is a number of seconds above 0 and at most "
            f"{MAX_TOTAL_SECONDS:g}; {DEFAULT_SECONDS:g} is usual"
        )
    return float(value)


def _checked_prompt(prompt: Any, where: str) -> str:
    if not isinstance(prompt, str):
        raise PlanError(f"{where}a prompt is {_shown(prompt)}; allowed is text; put it in quotes")
    prompt = prompt.strip()
    if not prompt:
        raise PlanError(f"{where}a prompt is empty; it needs words, for example 'a person walks'")
    if len(prompt) > MAX_PROMPT:
        raise PlanError(
            f"{where}prompt {quoted(prompt)} has {len(prompt)} characters; allowed are {MAX_PROMPT}; "
            "split it into several segments"
        )
    odd = next((c for c in prompt if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")), None)
    if odd is not None:
        raise PlanError(
            f"{where}prompt {quoted(prompt)} contains the character U+{ord(odd):04X}; allowed is one line of "
            "text; remove it"
        )
    return prompt


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    if _is_number(value):
        return f"{value:g} s" if not abs(value) > 1e300 else "an endless time"
    return quoted(str(value))


# The plan file. Nodes instead of values, because only nodes know their line.


def read_plan(path: str | os.PathLike[str]) -> Plan:
    """Read a YAML plan file: `segments: [{prompt, seconds, overlap}]` and `loop`.

    Raises PlanError naming file and line for anything unknown, missing, mistyped or repeated; aliases and
    files above 4 MiB are refused.
    """
    root = read_tree(Path(path))
    if root is None:
        raise PlanError(f"{path}: the plan is empty; it needs 'segments', a list of {{prompt, seconds}}")
    return _Reader(str(path)).plan(root)


@dataclass(frozen=True)
class _Reader:
    """Nodes to plan; every error begins with the file and the line of the node."""

    path: str

    def plan(self, root: yaml.Node) -> Plan:
        values = self.mapping(root, "the plan", {"segments": self.segments, "loop": self.boolean})
        if "segments" not in values:
            self.fail(root, "the plan has no 'segments'; it needs a list of {prompt, seconds}")
        try:
            return Plan(values["segments"], values.get("loop", False))
        except PlanError as error:
            raise PlanError(f"{self.path}: {error}") from None

    def segments(self, node: yaml.Node, _: str) -> tuple[Segment, ...]:
        if not isinstance(node, yaml.SequenceNode):
            self.fail(
                node, f"'segments' is {kind(node)}; allowed is a list; begin each segment with '- prompt:'"
            )
        return tuple(self.segment(item) for item in node.value)

    def segment(self, node: yaml.Node) -> Segment:
        keys = {"prompt": self.text, "seconds": self.number, "overlap": self.number_or_null}
        values = self.mapping(node, "a segment", keys)
        if "prompt" not in values:
            self.fail(node, "a segment has no 'prompt'; it needs one; write '- prompt: a person walks'")
        return Segment(**values, place=f"{self.path}:{line(node)}")

    def mapping(self, node: yaml.Node, what: str, readers: dict[str, Callable[..., Any]]) -> dict[str, Any]:
        allowed = ", ".join(readers)
        if not isinstance(node, yaml.MappingNode):
            self.fail(node, f"{what} is {kind(node)}; allowed is a mapping with the keys {allowed}")
        values: dict[str, Any] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else kind(key)
            if name not in readers:
                self.fail(
                    key,
                    f"unknown key {quoted(name)} in {what}; allowed are {allowed}; "
                    f"did you mean '{nearest(name, readers)}'?",
                )
            if name in values:
                self.fail(key, f"key '{name}' appears twice in {what}; keep one of them")
            values[name] = readers[name](value, name)
        return values

    def text(self, node: yaml.Node, name: str) -> str:
        if tag(node) != "str":
            self.fail(node, f"'{name}' is {kind(node)}; allowed is text; put it in quotes")
        return str(node.value)

    def boolean(self, node: yaml.Node, name: str) -> bool:
        if tag(node) != "bool":
            self.fail(node, f"'{name}' is {kind(node)}; allowed are true and false, without quotes")
        return str(node.value).lower() in ("true", "yes", "on")

    def number(self, node: yaml.Node, name: str) -> float:
        # Read here and not by YAML, to which 1:30 is ninety, 010 is eight and 1e3 is text.
        plain = isinstance(node, yaml.ScalarNode) and not node.style
        if not plain or not _NUMBER.fullmatch(node.value) or tag(node) not in ("int", "float", "str"):
            self.fail(node, f"'{name}' is {kind(node)}; allowed is a number of seconds, such as 3 or 2.5")
        return float(node.value)

    def number_or_null(self, node: yaml.Node, name: str) -> float | None:
        return None if tag(node) == "null" else self.number(node, name)

    def fail(self, node: yaml.Node, problem: str) -> NoReturn:
        raise PlanError(f"{self.path}:{line(node)}: {problem}")


def plan_to_yaml(plan: Plan) -> str:
    """The plan file of `plan`: what `read_plan` reads back as an equal plan."""
    rows = []
    for segment in plan.segments:
        row: dict[str, Any] = {"prompt": segment.prompt, "seconds": _tidy(segment.seconds)}
        if segment.overlap is not None:
            row["overlap"] = _tidy(segment.overlap)
        rows.append(row)
    dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return yaml.dump(
        {"loop": plan.loop, "segments": rows}, Dumper=dumper, sort_keys=False, allow_unicode=True, width=2**20
    )


def _tidy(number: float) -> float:
    return int(number) if number.is_integer() else number


def write_plan(plan: Plan, path: str | os.PathLike[str], overwrite: bool = False) -> None:
    """Write the plan file whole or not at all: to a temporary name beside it, then renamed.

    Raises OutputError for an existing file without `overwrite`, a folder in the way, a missing folder, a full
    disk.
    """
    path = Path(path)
    if path.is_dir():
        raise OutputError(f"{path}: a folder is in the way; choose another file name")
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: the file exists; add --overwrite (overwrite=True) or choose another name")
    temporary = path.with_name(f".{secrets.token_hex(6)}.tmp")
    try:
        try:
            with temporary.open("x", encoding="utf-8", newline="\n") as file:
                file.write(plan_to_yaml(plan))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"{path}: the plan cannot be written: {error.strerror or error}; choose another place"
        ) from None
