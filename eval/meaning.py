"""Which captions and clips mean the same motion: the classes among which R-precision and accuracy are judged.

A meaning is a content with a style ("walk|elderly"), or the description of a clip that has no content
("basketball - forward dribble"). Two labels whose captions are the same sentences are one meaning: "old" and
"elderly", the two dances, a CMU entry that names an action of the other sets ("run/jog"). A content names its
side ("wave-left-hand"); of a one-handed action whose label does not ("bye"), both sides are one meaning, for
most of its captions leave the side unsaid. A caption that leaves the style unsaid means "normal".
"""

from functools import lru_cache
from typing import Final, Protocol

from collage_motion.data.caption_style_table import STYLES
from collage_motion.data.caption_table_cmu import CMU_CONTENTS
from collage_motion.data.caption_words import normal_text
from collage_motion.data.captions import canonical_style, known_content

SAME_CONTENT: Final = {"dance-long": "dance-short"}
"""Contents that are told with the sentences of another one."""

NORMAL: Final = "normal"


class Labelled(Protocol):
    """What a meaning is made from: `data.dataset.Clip` and `data.batches.Recording` have it."""

    @property
    def content(self) -> str: ...
    @property
    def style(self) -> str: ...
    @property
    def description(self) -> str: ...


def meaning_of(clip: Labelled) -> str:
    """The meaning of a clip by its labels; raises DataError for an unknown style."""
    if clip.content:
        return meaning_of_labels(clip.content, clip.style)
    text = normal_text(clip.description)
    return meaning_of_labels(CMU_CONTENTS[text], NORMAL) if text in CMU_CONTENTS else text


def meaning_of_labels(content: str, style: str = NORMAL) -> str:
    """The meaning of a content done in a style; raises DataError for an unknown style."""
    return f"{SAME_CONTENT.get(content, content)}|{canonical_style(style)}"


def content_of(meaning: str) -> str:
    """The content of a meaning; empty for one that is a description."""
    return meaning.partition("|")[0] if "|" in meaning else ""


def style_of(meaning: str) -> str:
    """The style of a meaning; empty for one that is a description."""
    return meaning.partition("|")[2]


def meaning_of_caption(caption: str) -> str | None:
    """The meaning of a caption of the table with a content; None for other sentences, those of CMU among them."""
    content = known_content(caption)
    if content is None:
        return None
    said = normal_text(caption)
    for words, style, is_person in _style_words():
        if is_person:
            rest = f"a person{said.removeprefix(words)}" if said.startswith(f"{words} ") else said
        else:
            rest = f" {said} ".replace(f" {words} ", " ", 1)
        rest = " ".join(rest.split())
        if rest != said and known_content(rest) == content:
            return meaning_of_labels(content, style)
    return meaning_of_labels(content)


@lru_cache(maxsize=1)
def _style_words() -> tuple[tuple[str, str, bool], ...]:
    """What names a style, the style, and whether it is a person; the longest first."""
    found = [(text, style, True) for style, words in STYLES.items() for text in words["people"]]
    for style, words in STYLES.items():
        found += [(text, style, False) for text in (*words["adverbs"], *words["tails"])]
    return tuple(sorted(found, key=lambda row: -len(row[0])))
