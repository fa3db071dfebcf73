"""Sentences for labelled motion-capture clips, and their mirror images; the words are in the caption tables.

A caption is a phrase (what the body does) spoken by a voice (who, which verb form) in a manner (the style).
A label names what is seen, so that of a mirrored clip is mirrored too; a one-handed action without a side in
its label ("bye") must also be told whether the clip is a mirror image, or its captions leave the side unsaid.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple, TypeVar

import numpy as np

from collage_motion.data.caption_style_table import STYLE_ALIASES, STYLES, SUBJECTS
from collage_motion.data.caption_table import ACTION_NAMES, MIRRORED, PHRASES, RARE
from collage_motion.data.caption_table_cmu import CMU_CONTENTS, CMU_PARTS, CMU_SAME, CMU_THEMES
from collage_motion.data.caption_words import Form, inflect, mirror_caption, normal_text
from collage_motion.errors import DataError

Item = TypeVar("Item")

__all__ = [
    "ACTIONS",
    "CONTENTS",
    "PLAIN_SHARE",
    "captions_for",
    "captions_for_cmu",
    "known_content",
    "mirror_caption",
    "mirror_content",
    "sample_caption",
    "sample_caption_cmu",
]

CONTENTS: Final = tuple(ACTION_NAMES)
"""Every content label, in the order of the table."""

ACTIONS: Final = tuple(name for content, name in ACTION_NAMES.items() if content not in RARE)
"""The actions with enough clips for a model to know them, in a person's words."""

PLAIN_SHARE: Final = 0.25
"""Share of drawn captions that leave the style unsaid, as most people do."""


class Voice(NamedTuple):
    """Who speaks and how: words before the phrase, form of the verb, possessive."""

    opening: str
    form: Form
    their: str


class Manner(NamedTuple):
    """How it is done: at most one of the three is not empty."""

    before: str = ""
    after: str = ""
    person: str = ""


def _voices() -> tuple[Voice, ...]:
    spoken = [Voice(name, "third", their) for name, their in SUBJECTS]
    running = [Voice(f"{name} is", "gerund", their) for name, their in SUBJECTS]
    bare: list[Voice] = [Voice("", "base", "the"), Voice("", "gerund", "the"), Voice("", "third", "their")]
    return (*spoken, *running, *bare)


VOICES: Final = _voices()


def canonical_style(style: str) -> str:
    """The style of the table that a label stands for ("old" is "elderly").

    Raises:
        DataError: the label is unknown.
    """
    name = STYLE_ALIASES.get(style, style)
    if name not in STYLES:
        raise DataError(
            f"captions: style '{style}' is unknown; known: {', '.join([*STYLES, *STYLE_ALIASES])}"
        )
    return name


def mirror_content(content: str) -> str:
    """The content of the mirrored clip: walk-turn-left becomes walk-turn-right, walk stays.

    A clip without a content ("") keeps it.

    Raises:
        DataError: the label is unknown.
    """
    if not content:
        return content
    if content not in ACTION_NAMES:
        raise DataError(f"captions: content '{content}' is unknown; known: {', '.join(CONTENTS)}")
    swapped = mirror_caption(content)
    return swapped if swapped in ACTION_NAMES else content


def phrases_of(content: str) -> tuple[str, ...]:
    """The table's phrases for a content, with their marks.

    Raises:
        DataError: the label is unknown.
    """
    if content in MIRRORED:
        return tuple(mirror_caption(phrase) for phrase in PHRASES[MIRRORED[content]])
    if content == "dance-long":
        return PHRASES["dance-short"]
    if content not in PHRASES:
        raise DataError(f"captions: content '{content}' is unknown; known: {', '.join(CONTENTS)}")
    return PHRASES[content]


@lru_cache(maxsize=64)
def _manners(style: str) -> tuple[Manner, ...]:
    words = STYLES[canonical_style(style)]
    manners = [Manner(before=word) for word in words["adverbs"]]
    manners += [Manner(after=word) for word in (*words["adverbs"], *words["tails"])]
    return (*manners, *(Manner(person=person) for person in words["people"]))


def _say(phrase: str, voice: Voice, manner: Manner) -> str:
    opening = re.sub(r"^.*?(?= is$)|^.+$", manner.person, voice.opening) if manner.person else voice.opening
    their = "their" if manner.person and voice.opening else voice.their
    said = re.sub(r"\{(\w+)\}", lambda m: their if m[1] == "their" else inflect(m[1], voice.form), phrase)
    return " ".join(part for part in (opening, manner.before, said, manner.after) if part)


def _fits(voice: Voice, manner: Manner) -> bool:
    """A person of a style takes the place of a neutral subject only, so that no sentence comes twice."""
    return not manner.person or voice.opening in ("a person", "a person is")


def _all(phrases: Sequence[str], manners: Sequence[Manner]) -> Iterator[str]:
    for phrase in phrases:
        for manner in manners:
            for voice in VOICES:
                if _fits(voice, manner):
                    yield _say(phrase, voice, manner)


@lru_cache(maxsize=256)
def _phrases_seen(content: str, mirrored: bool | None) -> tuple[str, ...]:
    """The phrases that are true of a clip with this label, by what its sides are known to be."""
    phrases = phrases_of(content)
    if mirror_content(content) != content or mirrored is False:
        return phrases
    swapped = tuple(mirror_caption(phrase) for phrase in phrases)
    if mirrored:
        return swapped
    return tuple(phrase for phrase, other in zip(phrases, swapped, strict=True) if phrase == other)


def captions_for(content: str, style: str, mirrored: bool | None = False) -> list[str]:
    """Every caption of a clip with these labels, always in the same order, without repeats.

    All but those of "normal" name the style; lower case, no full stop. Thousands: draw with `sample_caption`.
    `mirrored`: whether the clip is a mirror image; None leaves out what depends on it.

    Raises:
        DataError: a label is unknown.
    """
    manners = _manners(canonical_style(style))
    if canonical_style(style) == "normal":
        manners = (Manner(), *manners)
    return list(dict.fromkeys(_all(_phrases_seen(content, mirrored), manners)))


def _pick(choices: Sequence[Item], rng: np.random.Generator) -> Item:
    return choices[int(rng.integers(len(choices)))]


def _draw(phrases: Sequence[str], manners: Sequence[Manner], rng: np.random.Generator) -> str:
    manner = _pick(manners, rng)
    spoken = len(SUBJECTS)
    group = rng.random()
    if manner.person:
        voice = VOICES[0] if group < 0.7 else VOICES[spoken]
    elif group < 0.25:
        voice = VOICES[0]  # "a person", by far the commonest subject of HumanML3D
    elif group < 0.6:
        voice = _pick(VOICES[:spoken], rng)
    elif group < 0.75:
        voice = _pick(VOICES[spoken : 2 * spoken], rng)
    else:
        voice = _pick(VOICES[2 * spoken :], rng)
    return _say(_pick(phrases, rng), voice, manner)


def sample_caption(
    content: str,
    style: str,
    rng: np.random.Generator,
    *,
    mirrored: bool | None = None,
    plain: float = PLAIN_SHARE,
) -> str:
    """Draw one caption of a clip with these labels (those of a mirror image are mirrored).

    `mirrored`: whether the clip is a mirror image; None leaves out what depends on it. A share `plain` of the
    captions leaves the style unsaid (half of them for "normal", whose words add little).

    Raises:
        DataError: a label is unknown.
    """
    share = max(plain, 0.5) if canonical_style(style) == "normal" else plain
    manners = (Manner(),) if rng.random() < share else _manners(style)
    return _draw(_phrases_seen(content, mirrored), manners, rng)


@lru_cache(maxsize=256)
def cmu_phrases(description: str) -> tuple[str, ...]:
    """The table's phrases for an entry of the CMU index ("basketball - dribble, shoot").

    A part that the table does not know is told as it stands ("performs cartwheel"): any entry has captions.
    """
    text = description.strip().lower()
    if text in CMU_CONTENTS:
        return PHRASES[CMU_CONTENTS[text]]
    theme, _, rest = text.rpartition(" - ")
    phrases = list(CMU_THEMES.get(theme, ()))
    told: list[tuple[str, ...]] = []
    for part in filter(None, (piece.strip() for piece in rest.split(","))):
        told.append(_part_phrases(part))
        phrases += told[-1]
    for first, second in pairwise(told):
        phrases += [f"{one} and then {two}" for one, two in zip(first, second, strict=False) if one != two]
    return tuple(dict.fromkeys(phrases))


def _part_phrases(part: str) -> tuple[str, ...]:
    name = CMU_SAME.get(part, part)
    if name in CMU_PARTS:
        return CMU_PARTS[name]
    if mirror_caption(name) in CMU_PARTS:
        return tuple(mirror_caption(phrase) for phrase in CMU_PARTS[mirror_caption(name)])
    if name in CMU_CONTENTS:
        return PHRASES[CMU_CONTENTS[name]]
    plain = re.sub(r"[{}]", "", name)
    return (f"{{do}} the following: {plain}", f"{{perform}} {plain}", f"{{show}} {plain}")


def captions_for_cmu(description: str) -> list[str]:
    """Every caption of an entry of the CMU index, always in the same order, without repeats."""
    return list(_cmu_listing(description))


@lru_cache(maxsize=256)
def _cmu_listing(description: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_all(cmu_phrases(description), (Manner(),))))


def sample_caption_cmu(description: str, rng: np.random.Generator) -> str:
    """Draw one caption of an entry of the CMU index."""
    return _draw(cmu_phrases(description), (Manner(),), rng)


def known_content(text: str) -> str | None:
    """The content whose captions include `text` (letter case and full stop aside), None if there is none.

    Taken apart rather than looked up, for all captions together are millions.
    """
    said = normal_text(text)
    openings, befores, afters = _ends()
    for opening in openings:
        if not said.startswith(opening):
            continue
        for before in befores:
            if not said[len(opening) :].startswith(before):
                continue
            core = said[len(opening) + len(before) :]
            for after in afters if not before else ("",):
                found = _cores().get(core.removesuffix(after)) if core.endswith(after) else None
                if found:
                    return found
    return None


@lru_cache(maxsize=1)
def _ends() -> tuple[list[str], list[str], list[str]]:
    """What can stand before a phrase (subject, adverb) and behind it, each with its space."""
    people = [person for words in STYLES.values() for person in words["people"]]
    openings = {f"{voice.opening} " if voice.opening else "" for voice in VOICES}
    openings |= {f"{person}{verb} " for person in people for verb in ("", " is")}
    manners = [manner for style in STYLES for manner in _manners(style)]
    befores = {f"{manner.before} " if manner.before else "" for manner in manners}
    afters = {f" {manner.after}" if manner.after else "" for manner in manners}
    return sorted(openings), sorted(befores), sorted(afters)


@lru_cache(maxsize=1)
def _cores() -> dict[str, str]:
    """Every phrase in every form and with every possessive, and the first content that has it."""
    cores: dict[str, str] = {}
    for content in CONTENTS:
        for phrase in (*_phrases_seen(content, False), *_phrases_seen(content, True)):
            for voice in VOICES:
                bare = voice._replace(opening="")
                cores.setdefault(_say(phrase, bare, Manner()), content)
    return cores
