"""What a setting may be: one rule for each name, which knows the values and the words that an error says."""

import math
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass

from collage_motion.errors import CollageError


class Rule(ABC):
    """What one setting may be: a subclass says which values, and `words` how an error calls them."""

    words: str

    @abstractmethod
    def allows(self, value: object) -> bool:
        """Whether a setting may have this value."""

    def check(self, name: str, value: object) -> None:
        """Raise CollageError, which names the setting, unless it may have this value."""
        if not self.allows(value):
            try:
                got = repr(value)
            except ValueError:  # an integer of thousands of digits
                got = f"a number too long to show, of {type(value).__name__}"
            raise CollageError(f"{name}: got {got[:100]}; allowed: {self.words}")


@dataclass(frozen=True)
class Number(Rule):
    """A finite number from `least` to `most`, which an error calls `words`."""

    words: str
    least: float = 0
    most: float = math.inf
    whole: bool = False
    """Only integers, such as counts."""
    above: bool = False
    """`least` itself is not allowed."""
    or_none: bool = False
    """None, which leaves the choice to somebody else, is allowed too."""
    or_words: tuple[str, ...] = ()
    """Names that are allowed instead of a number."""

    def allows(self, value: object) -> bool:
        if value is None:
            return self.or_none
        if isinstance(value, str):
            return value in self.or_words
        # true and false are integers to Python and no numbers to us
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return False
        # not a number, infinite, or an integer that is as good as that
        if not abs(value) <= sys.float_info.max:
            return False
        return self.least <= value <= self.most and not (self.above and value == self.least)


class Choice(Rule):
    """One of several names."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.words = ", ".join(names)

    def allows(self, value: object) -> bool:
        return isinstance(value, str) and value in self.names


class Switch(Rule):
    """True or false, and nothing that only counts as one of them."""

    words = "true or false"

    def allows(self, value: object) -> bool:
        return isinstance(value, bool)
