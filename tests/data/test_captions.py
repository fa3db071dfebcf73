"""Captions: enough of them, grammatical forms, and mirrored without loss."""

import itertools
import re
import subprocess
import sys

import numpy as np
import pytest

from collage_motion.data import caption_words, captions
from collage_motion.data.caption_style_table import STYLE_ALIASES, STYLES
from collage_motion.data.caption_table import ACTION_NAMES, MIRRORED, PHRASES, RARE
from collage_motion.data.caption_table_cmu import CMU_PARTS, CMU_SAME, CMU_THEMES
from collage_motion.errors import DataError

# The labels that occur in the file names of the two Bandai Namco data sets.
RECORDED_CONTENTS = [
    "bow",
    "bye",
    "byebye",
    "call",
    "dance-long",
    "dance-short",
    "dash",
    "guide",
    "kick",
    "punch",
    "raise-up-both-hands",
    "raise-up-left-hand",
    "raise-up-right-hand",
    "respond",
    "run",
    "slash",
    "walk",
    "walk-back",
    "walk-left",
    "walk-right",
    "walk-turn-left",
    "walk-turn-right",
    "wave-both-hands",
    "wave-left-hand",
    "wave-right-hand",
]
RECORDED_STYLES = [
    "active",
    "angry",
    "childish",
    "chimpira",
    "feminine",
    "giant",
    "happy",
    "masculinity",
    "musical",
    "normal",
    "not-confident",
    "old",
    "proud",
    "sad",
    "tired",
    "elderly",
    "exhausted",
    "masculine",
    "youthful",
]
CMU_ENTRIES = (
    "walk",
    "run/jog",
    "punch/strike",
    "slow walk",
    "playground - climb, jump down, dangle, legs push off against",
    "dance - small jetes, attitude/arabesque, shifted-axis pirouette, turn",
    "basketball - forward dribble, 90-degree right turns, crossover dribble",
    "bend over, scoop up, rise, lift arm",
)


def test_every_recorded_label_has_words() -> None:
    assert set(RECORDED_CONTENTS) == set(captions.CONTENTS)
    assert {captions.canonical_style(style) for style in RECORDED_STYLES} == set(STYLES)


@pytest.mark.parametrize("content", captions.CONTENTS)
def test_a_content_has_at_least_ten_phrases_that_differ(content: str) -> None:
    phrases = captions.phrases_of(content)
    assert len(set(phrases)) == len(phrases) >= 10


@pytest.mark.parametrize("style", STYLES)
def test_a_style_has_at_least_six_wordings(style: str) -> None:
    wordings = list(itertools.chain.from_iterable(STYLES[style].values()))
    assert len(set(wordings)) == len(wordings) >= 6


def test_the_parts_of_the_cmu_index_have_at_least_six_wordings() -> None:
    for name, phrases in (*CMU_PARTS.items(), *CMU_THEMES.items()):
        assert len(set(phrases)) >= 6, name
    assert set(CMU_SAME.values()) <= set(CMU_PARTS)


@pytest.mark.parametrize(("content", "style"), [("walk", "old"), ("bye", "normal"), ("guide", "chimpira")])
def test_captions_are_many_in_one_order_and_without_repeats(content: str, style: str) -> None:
    listed = captions.captions_for(content, style)
    assert len(listed) > 300
    assert len(set(listed)) == len(listed)
    assert listed == captions.captions_for(content, style)
    assert all(text == caption_words.normal_text(text) and not re.search(r"[{}]", text) for text in listed)


def test_labels_of_both_sets_with_one_meaning_give_the_same_captions() -> None:
    for label, style in STYLE_ALIASES.items():
        assert captions.captions_for("bow", label) == captions.captions_for("bow", style)


def test_contents_do_not_share_a_phrase() -> None:
    said: dict[str, str] = {}
    for content in captions.CONTENTS:
        if content == "dance-long":  # the same motion as dance-short, only longer
            continue
        for phrase in captions.phrases_of(content):
            assert said.setdefault(phrase.replace("{their}", "the"), content) == content, phrase


def test_drawn_captions_are_listed_ones() -> None:
    rng = np.random.default_rng(5)
    for content in ("walk", "walk-turn-right", "bye", "dance-long"):
        for style in ("normal", "elderly"):
            allowed = set(captions.captions_for(content, style)) | set(
                captions.captions_for(content, "normal")
            )
            drawn = {captions.sample_caption(content, style, rng) for _ in range(40)}
            assert drawn <= allowed
            assert len(drawn) > 25


def test_drawing_repeats_with_its_seed_and_names_the_style_as_often_as_asked() -> None:
    first, second = (
        [captions.sample_caption("run", "sad", np.random.default_rng(seed)) for seed in range(30)]
        for _ in range(2)
    )
    assert first == second
    styled = set(captions.captions_for("run", "sad"))
    rng = np.random.default_rng(0)
    told = [captions.sample_caption("run", "sad", rng, plain=0.25) in styled for _ in range(800)]
    assert 0.70 < np.mean(told) < 0.80
    assert all(captions.sample_caption("run", "sad", rng, plain=0.0) in styled for _ in range(50))


@pytest.mark.parametrize(
    ("text", "mirrored"),
    [
        ("Turn LEFT, then right.", "Turn RIGHT, then left."),
        ("Left-handed, walking leftwards", "Right-handed, walking rightwards"),
        ("turn clockwise", "turn counterclockwise"),
        ("Anticlockwise and counter-clockwise", "Clockwise and clockwise"),
        ("upright on a bright cleft", "upright on a bright cleft"),
        ("raise-up-left-hand", "raise-up-right-hand"),
        ("right_arm", "left_arm"),
        ("", ""),
    ],
)
def test_sides_are_swapped_in_words_only(text: str, mirrored: str) -> None:
    assert captions.mirror_caption(text) == mirrored


@pytest.mark.slow
def test_mirroring_a_caption_twice_gives_it_back() -> None:
    rng = np.random.default_rng(1)
    for content in captions.CONTENTS:
        for text in captions.captions_for(content, "feminine")[::97]:
            assert captions.mirror_caption(captions.mirror_caption(text)) == text
        state = int(rng.integers(1 << 30))
        plain, swapped = (
            captions.sample_caption(label, "sad", np.random.default_rng(state), mirrored=mirrored)
            for label, mirrored in ((content, False), (captions.mirror_content(content), True))
        )
        assert swapped == captions.mirror_caption(plain)


def test_a_side_is_only_said_when_it_is_known() -> None:
    for content in ("bye", "guide", "respond"):
        told = {
            mirrored: " ".join(captions.captions_for(content, "sad", mirrored)) for mirrored in (False, True)
        }
        assert told[False] == captions.mirror_caption(told[True]) != told[True]
        unsure = captions.captions_for(content, "sad", None)
        assert len(unsure) > 300
        assert not any(re.search(r"\b(left|right)\b", text) for text in unsure)
        rng = np.random.default_rng(3)
        assert {captions.sample_caption(content, "sad", rng, plain=0.0) for _ in range(40)} <= set(unsure)


def test_contents_are_mirrored_in_pairs() -> None:
    assert captions.mirror_content("") == ""
    for content in captions.CONTENTS:
        partner = captions.mirror_content(content)
        assert captions.mirror_content(partner) == content
        assert (partner != content) == ("left" in content or "right" in content)
    assert {captions.mirror_content(content): content for content in MIRRORED} == {
        partner: content for content, partner in MIRRORED.items()
    }


def test_a_side_in_the_label_is_said_in_every_caption() -> None:
    for content in captions.CONTENTS:
        for phrase in captions.phrases_of(content):
            for side, other in (("left", "right"), ("right", "left")):
                if side in content:
                    assert re.search(rf"\b{side}|clockwise", phrase), phrase
                    assert not re.search(rf"\b{other}", phrase), phrase


@pytest.mark.parametrize(
    ("verb", "third", "gerund"),
    [
        ("walk", "walks", "walking"),
        ("run", "runs", "running"),
        ("wave", "waves", "waving"),
        ("go", "goes", "going"),
        ("reach", "reaches", "reaching"),
        ("hurry", "hurries", "hurrying"),
        ("sway", "sways", "swaying"),
        ("see", "sees", "seeing"),
        ("have", "has", "having"),
        ("put", "puts", "putting"),
        ("bow", "bows", "bowing"),
    ],
)
def test_verbs_are_put_into_their_forms(verb: str, third: str, gerund: str) -> None:
    assert caption_words.inflect(verb, "base") == verb
    assert caption_words.inflect(verb, "third") == third
    assert caption_words.inflect(verb, "gerund") == gerund


def test_verbs_that_must_double_their_last_letter_are_listed() -> None:
    """One syllable, one vowel, one final consonant: the rule of English spelling."""
    tables = (*PHRASES.values(), *CMU_PARTS.values(), *CMU_THEMES.values())
    verbs = {verb for phrases in tables for phrase in phrases for verb in re.findall(r"\{(\w+)\}", phrase)}
    rule = re.compile(r"^[^aeiou]*[aeiou][^aeiouywx]$")
    for verb in verbs - {"their"}:
        doubled = caption_words.inflect(verb, "gerund") == verb + verb[-1] + "ing"
        assert doubled == bool(rule.match(verb)), verb


@pytest.mark.parametrize("entry", CMU_ENTRIES)
def test_cmu_entries_become_sentences(entry: str) -> None:
    listed = captions.captions_for_cmu(entry)
    rng = np.random.default_rng(2)
    assert len(listed) >= 100
    assert not any("following" in text for text in listed)
    assert {captions.sample_caption_cmu(entry, rng) for _ in range(50)} <= set(listed)
    mirrored = captions.mirror_caption(entry)
    if mirrored != entry:
        assert {captions.mirror_caption(text) for text in listed} == set(captions.captions_for_cmu(mirrored))


def test_an_unknown_cmu_entry_is_told_as_it_stands() -> None:
    assert "a person performs cartwheel" in captions.captions_for_cmu("Cartwheel")


@pytest.mark.slow
def test_a_caption_is_known_by_its_content() -> None:
    for content in captions.CONTENTS:
        for style in ("sad", "normal"):
            for text in captions.captions_for(content, style)[::701]:
                found = captions.known_content(text.capitalize() + ".")
                assert found == ("dance-short" if content == "dance-long" else content), text
    assert captions.known_content("a person juggles three oranges") is None
    assert captions.known_content("") is None


def test_actions_name_every_content_but_the_rare_ones() -> None:
    assert len(captions.ACTIONS) == len(set(captions.ACTIONS)) == len(ACTION_NAMES) - len(RARE)
    assert "walk forward" in captions.ACTIONS


def test_unknown_labels_are_named_with_the_known_ones() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match=r"content 'fly' is unknown; known: walk, "):
        captions.captions_for("fly", "sad")
    with pytest.raises(DataError, match=r"style 'blue' is unknown; known: normal, "):
        captions.sample_caption("walk", "blue", rng)
    with pytest.raises(DataError, match=r"content 'fly' is unknown"):
        captions.mirror_content("fly")


def test_captions_need_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; import collage_motion.data.captions"
    subprocess.run([sys.executable, "-c", code], check=True)
