"""English as far as captions need it: verb forms, and left and right changing places."""

import re
from typing import Final, Literal

from collage_motion.data.caption_style_table import DOUBLED, SWAPPED

Form = Literal["base", "third", "gerund"]


def inflect(verb: str, form: Form) -> str:
    """Put an English verb into a form: walk, walks, walking.

    Only regular third persons are known, and the verbs of the table that double a letter before -ing.
    """
    if form == "third":
        if re.search(r"(s|x|z|ch|sh|o)$", verb):
            return verb + "es"
        if re.search(r"[^aeiou]y$", verb):
            return verb[:-1] + "ies"
        return "has" if verb == "have" else verb + "s"
    if form == "gerund":
        if verb in DOUBLED:
            return verb + verb[-1] + "ing"
        if verb.endswith("e") and not verb.endswith(("ee", "ye", "oe")):
            return verb[:-1] + "ing"
        return verb + "ing"
    return verb


def _swap_table() -> dict[str, str]:
    table: dict[str, str] = {}
    for one, other in SWAPPED:
        table.setdefault(one, other)
        table.setdefault(other, one)
    return table


_SWAP: Final = _swap_table()
_SWAP_PATTERN: Final = re.compile(
    r"(?<![A-Za-z])(" + "|".join(sorted(map(re.escape, _SWAP), key=len, reverse=True)) + r")(?![A-Za-z])",
    re.IGNORECASE,
)


def _like(word: str, pattern: str) -> str:
    """`word` in the letter case of `pattern`: all capitals, first capital or as it is."""
    if len(pattern) > 1 and pattern.isupper():
        return word.upper()
    return word[0].upper() + word[1:] if pattern[0].isupper() else word


def mirror_caption(text: str) -> str:
    """Swap left and right, clockwise and counterclockwise, in a caption, keeping the letter case.

    Only the words are looked at: "right" for "just" or "left" for "departed" would change too.
    """
    return _SWAP_PATTERN.sub(lambda match: _like(_SWAP[match[0].lower()], match[0]), text)


def normal_text(text: str) -> str:
    """A caption as the table writes it: lower case, single spaces, no full stop."""
    return " ".join(text.lower().split()).rstrip(" .!")
