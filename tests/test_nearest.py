"""Prompts near and far: ordinary ones pass, others are told the nearest actions."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from collage_motion import word_vectors
from collage_motion.card import ModelCard
from collage_motion.data.captions import ACTION_NAMES, ACTIONS, STYLES, sample_caption
from collage_motion.errors import ModelError
from collage_motion.nearest import far_from_known, vocabulary_of, warning_of
from collage_motion.word_vectors import content_words

KNOWN = [content for content, action in ACTION_NAMES.items() if action in ACTIONS]


def draw_captions(seed, each):
    rng = np.random.default_rng(seed)
    return [sample_caption(content, style, rng) for content in KNOWN for style in STYLES for _ in range(each)]


@pytest.fixture(scope="module")
def plain():
    """A card with the actions of the default data and nothing else."""
    return ModelCard(
        name="tiny", fps=20, min_frames=10, max_frames=196, actions=ACTIONS, mask_frames=True, architecture={},
        text={}, mean=(0.0,) * 263, std=(1.0,) * 263, schedule={}, licence="MIT", training={}, folder=Path("tiny"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def card(plain):
    return replace(plain, training={"vocabulary": vocabulary_of(draw_captions(0, 30))})


ORDINARY = [
    "a person walks", "a man runs fast", "someone jogs slowly", "an old man walks slowly", "he bows deeply in respect",
    "a person bows politely", "she waves goodbye", "the person turns to the right while walking", "someone sprints",
    "a tired person trudges along", "a person marches proudly", "a person points the way", "he hurries away",
    "a woman walks backward", "a child skips forward", "a person greets with both arms", "a person says hello",
    "a lady waves goodbye with her right hand", "a person gestures someone to come this way", "someone strolls along",
    "an elderly person hobbles forward", "someone creeps backwards", "a person lifts both arms up",
    "a person strides confidently", "a guy jogs in place", "a person walks in a circle", "walks like a zombie",
    "a person paces back and forth", "moves sideways to the left", "he raises his left arm",
]  # fmt: skip
STRANGE = [
    "swims butterfly", "plays the piano", "rides a horse", "cooks dinner", "a person drives a car", "eats soup",
    "types on a keyboard", "sleeps in a bed", "reads a newspaper", "climbs a ladder", "does push-ups", "paints a wall",
    "a person swims", "plays guitar", "lies on the floor", "drinks a glass of water", "makes coffee", "a cat sleeps",
    "sits down on a chair", "quantum field theory", "buy cheap watches", "washes the window", "rolls on the ground",
    "走る", "1234 !?", "xqzt",
]  # fmt: skip


@pytest.mark.parametrize("prompt", ORDINARY)
def test_ordinary_motion_prompts_are_near(card, prompt):
    assert far_from_known(prompt, card) == []
    assert warning_of(prompt, card) is None


@pytest.mark.parametrize("prompt", STRANGE)
def test_other_prompts_are_far_and_told_what_is_known(card, prompt):
    actions = far_from_known(prompt, card)
    assert len(set(actions)) == 3
    assert set(actions) <= set(ACTIONS)


def test_captions_of_the_training_data_are_near(card):
    assert [caption for caption in draw_captions(1, 2) if far_from_known(caption, card)] == []


def test_without_a_vocabulary_most_are_still_told_apart(plain):
    assert sum(bool(far_from_known(prompt, plain)) for prompt in ORDINARY) <= 5
    assert sum(not far_from_known(prompt, plain) for prompt in STRANGE) <= 1


def test_a_card_without_actions_has_nothing_to_name(plain):
    assert far_from_known("swims butterfly", replace(plain, actions=())) == []


def test_the_nearest_actions_are_sensible(plain):
    assert far_from_known("hurries", plain)[0] in ("run or jog", "sprint")
    assert all(
        "left" in action for action in far_from_known("left leg stuck in a left-handed tar pit", plain)[:1]
    )
    assert len(far_from_known("swims butterfly", plain, most=5)) == 5


def test_the_warning_is_one_line(card):
    assert warning_of("swims\tbutterfly", card) == (
        r"prompt 'swims\tbutterfly' is far from everything model 'tiny' was trained on; the nearest actions it knows: "
        + ", ".join(far_from_known("swims butterfly", card))
    )


def test_content_words_leave_the_frame_of_a_sentence_out():
    assert content_words("A person is WALKING to the left, slowly.") == ["walking", "left", "slowly"]
    assert vocabulary_of(["a man walks", "walks back"]) == ["back", "walks"]


def test_a_wrong_vocabulary_is_named(plain):
    with pytest.raises(ModelError, match=r"tiny: 'training\.vocabulary' of the card is no list of words"):
        far_from_known("swims", replace(plain, training={"vocabulary": "swims"}))


@pytest.mark.parametrize("broken", ["nothing", "vectors", "tokenizer"])
def test_missing_or_broken_word_vectors_are_one_error(plain, monkeypatch, tmp_path, broken):
    if broken != "nothing":
        for name in ("vectors.safetensors", "tokenizer.json"):
            (tmp_path / name).write_bytes((word_vectors._FOLDER / name).read_bytes())
        name = "vectors.safetensors" if broken == "vectors" else "tokenizer.json"
        (tmp_path / name).write_bytes(b"{" if broken == "vectors" else json.dumps({"a": 1}).encode())
    monkeypatch.setattr(word_vectors, "_FOLDER", tmp_path)
    for cached in (word_vectors._assets, word_vectors.word_vectors, word_vectors.mean_vectors):
        cached.cache_clear()
    with pytest.raises(ModelError, match=r"the word vectors cannot be read: .*; install the package again"):
        far_from_known("swims", plain)
    for cached in (word_vectors._assets, word_vectors.word_vectors, word_vectors.mean_vectors):
        cached.cache_clear()
