"""Model cards: what is read, where models are looked for, and what is wrong with a broken one."""

import json

import pytest

from collage_motion import card as cards
from collage_motion.card import Limits, list_cards, load_card, read_card
from collage_motion.errors import ModelError

GOOD = {
    "name": "tiny",
    "fps": 20,
    "min_frames": 10,
    "max_frames": 196,
    "actions": ["walk", "wave with both hands"],
    "mask_frames": True,
    "architecture": {"layers": 2},
    "text": {"encoder": "words"},
    "mean": [0.0] * 263,
    "std": [1.0] * 262 + [2],
    "schedule": {"name": "cosine", "steps": 1000},
    "licence": "CC BY-NC 4.0",
    "training": {"steps": 5},
    "a field of tomorrow": [1],
}


def write_card(folder, **changes):
    folder.mkdir(parents=True, exist_ok=True)
    fields = {k: v for k, v in (GOOD | changes).items() if v is not ...}
    (folder / "card.json").write_text(json.dumps(fields), encoding="utf-8")
    return folder


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home of models and an empty place for built-in ones."""
    monkeypatch.setenv("COLLAGE_MOTION_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(cards, "_BUILT_IN", tmp_path / "assets")
    return tmp_path / "home" / "models"


def test_a_card_is_read_with_its_types(tmp_path):
    card = read_card(write_card(tmp_path / "tiny"))
    assert card.name == "tiny"
    assert card.actions == ("walk", "wave with both hands")
    assert card.std[-1] == 2.0
    assert isinstance(card.std[-1], float)
    assert card.folder == tmp_path / "tiny"
    assert card.limits == Limits(10, 196, 20, 10)
    assert card.limits.span == "0.5 to 9.8 s"
    assert read_card(write_card(tmp_path / "tiny", min_variable_frames=4)).limits.min_variable_frames == 4


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        *((name, ..., rf"field '{name}' is missing; it must be ") for name in GOOD if " " not in name),
        ("name", "", r"field 'name' is \"\"; allowed is text"),
        ("name", 3, r"field 'name' is 3; allowed is text"),
        ("fps", "20", r"field 'fps' is \"20\"; allowed is a whole number above 0"),
        ("fps", 0, r"field 'fps' is 0; allowed is a whole number above 0"),
        ("fps", True, r"field 'fps' is true; allowed is a whole number"),
        ("max_frames", 196.5, r"field 'max_frames' is 196.5; allowed is a whole number"),
        ("min_frames", 197, r"'min_frames' is 197; allowed is at most 'max_frames', 196"),
        ("min_variable_frames", -1, r"'min_variable_frames' is -1; allowed is a whole number above 0"),
        ("mask_frames", 1, r"'mask_frames' is 1; allowed is true or false"),
        ("architecture", [], r"'architecture' is \[\]; allowed is an object"),
        ("actions", "walk", r"'actions' is \"walk\"; allowed is a list of texts"),
        ("actions", ["walk", 3], r"'actions' is .*; allowed is a list of texts"),
        ("mean", [0.0] * 262, r"'mean' has 262 numbers; allowed are 263"),
        ("mean", [0.0] * 262 + ["x"], r"'mean'\[262\] is x; allowed are numbers finite"),
        ("mean", 3, r"'mean' is 3; allowed is a list of 263 numbers"),
        ("std", [0.0] * 263, r"'std'\[0\] is 0.0; allowed are numbers above 0"),
        ("std", [float("nan")] * 263, r"'std'\[0\] is nan; allowed are numbers above 0"),
    ],
)
def test_a_wrong_field_is_named_with_its_file(tmp_path, field, value, message):
    folder = write_card(tmp_path / "tiny", **{field: value})
    with pytest.raises(ModelError, match=message) as caught:
        read_card(folder)
    assert str(caught.value).startswith(f"{folder / 'card.json'}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the card is not JSON"),
        (b'{"name": "t', "the card is not JSON"),
        (b"\xff\xfe", "the card is not JSON"),
        (b"[" * 200_000, "the card is not JSON"),
        (b"[]", "the card is a list; allowed is a JSON object"),
        (b" " * (4 * 2**20 + 1), "the card is larger than 4194304 bytes"),
    ],
)
def test_a_file_that_is_no_card_is_one_error(tmp_path, content, message):
    (tmp_path / "card.json").write_bytes(content)
    with pytest.raises(ModelError, match=message):
        read_card(tmp_path)


def test_a_folder_without_a_card_is_an_error(tmp_path):
    with pytest.raises(ModelError, match=r"card\.json: the card cannot be read: No such file"):
        load_card(tmp_path)


def test_models_are_found_by_name_and_by_folder(home, tmp_path, monkeypatch):
    write_card(home / "mine", name="mine")
    write_card(tmp_path / "assets" / "default", name="built in")
    write_card(home / "default", name="an impostor")
    (home / "no model").mkdir()
    assert load_card().name == "built in"
    assert load_card("mine").folder == home / "mine"
    assert load_card(home / "default").name == "an impostor"
    assert [card.name for card in list_cards()] == ["built in", "mine"]
    write_card(tmp_path / "work" / "mine", name="in this folder")
    monkeypatch.chdir(tmp_path / "work")
    assert load_card("mine").name == "mine"
    assert load_card("./mine").name == "in this folder"


def test_a_missing_model_names_those_there_are(home, tmp_path):
    with pytest.raises(
        ModelError, match=r"no model 'default'; installed are none; looked in .*assets and .*home"
    ):
        load_card()
    write_card(home / "humanml")
    with pytest.raises(
        ModelError, match=r"no model 'humanm'; installed are humanml \(did you mean 'humanml'\?\)"
    ):
        load_card("humanm")
    with pytest.raises(ModelError, match="no model ''"):
        load_card("")
    with pytest.raises(ModelError, match=r"a model is a folder with a card\.json; this is a file"):
        load_card(home / "humanml" / "card.json")


def test_the_home_of_models_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("COLLAGE_MOTION_HOME", "~/motions")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cards.models_home() == tmp_path / "motions" / "models"
    monkeypatch.delenv("COLLAGE_MOTION_HOME")
    assert cards.models_home() == tmp_path / ".local" / "share" / "collage-motion" / "models"
