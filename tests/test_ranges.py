"""Laws of the rules for settings: what they allow is what their words say, whatever is given."""

import math
from dataclasses import fields

import pytest

from collage_motion.errors import CollageError
from collage_motion.ranges import Choice, Number, Rule, Switch
from collage_motion.samplers import OPTIONS
from collage_motion.settings import RULES, Settings


@pytest.mark.parametrize(
    ("rule", "allowed", "refused"),
    [
        (
            Number("0 or more"),
            (0, 0.5, 10**300),
            (-1e-9, 10**400, 10**5000, math.inf, math.nan, True, False, None, "1", [1]),
        ),
        (Number("0 to 1", most=1), (0, 1, 0.5), (1.0001, -0.0001)),
        (Number("above 0", above=True), (1e-300, 5), (0, 0.0, -1)),
        (Number("whole", least=1, most=3, whole=True), (1, 2, 3), (0, 4, 2.0, 2.5, True)),
        (Number("any or None", least=-math.inf, or_none=True), (None, -5, 5.5), (-math.inf, "None")),
        (Number("a number or longest", or_words=("longest",)), ("longest", 3), ("", "longes", "3")),
        (Choice(("a", "b")), ("a", "b"), ("c", "", None, 1, ["a"], "a, b")),
        (Switch(), (True, False), (1, 0, None, "true")),
    ],
)
def test_a_rule_allows_what_its_words_say(rule: Rule, allowed: tuple, refused: tuple) -> None:
    for value in allowed:
        assert rule.allows(value), value
        rule.check("setting", value)
    for value in refused:
        assert not rule.allows(value), value
        with pytest.raises(CollageError, match=r"^setting: got .*; allowed: "):
            rule.check("setting", value)


def test_every_setting_has_a_rule_or_a_check_of_its_own() -> None:
    elsewhere = {"padding", "method", "sampler", *OPTIONS}
    assert RULES.keys() | elsewhere == {field.name for field in fields(Settings)}
    assert not RULES.keys() & elsewhere


@pytest.mark.parametrize("name", sorted(RULES))
@pytest.mark.parametrize("value", [object(), [], {}, b"1", 1j], ids=lambda value: type(value).__name__)
def test_no_setting_takes_what_is_neither_number_nor_name(name: str, value: object) -> None:
    with pytest.raises(CollageError, match=rf"^{name}: got .*; allowed: ."):
        Settings(**{name: value})  # type: ignore[arg-type]
