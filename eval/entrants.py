"""Who takes part in an evaluation: each method at its best setting, and why that is its best."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from collage_motion.errors import CollageError
from collage_motion.methods import METHODS
from collage_motion.settings import Settings

from .protocols import REAL, SHORT, Protocol


@dataclass(frozen=True)
class Entrant:
    """Fields of `Settings` that differ from the library's own, and the reason."""

    settings: dict[str, Any]
    why: str


# FID in the reasons: protocol `long`, 128 captions, seed 1, so not those of the published run.
_HALF: Final = "half of the window is known, as DiffCollage appendix C.3 has it"

ENTRANTS: Final = {
    SHORT: Entrant({"method": "collage", "window": "longest"}, "one window has no overlap: the plain model"),
    "collage": Entrant(
        {},
        "in `compose` (3 replications) FID 2.95 above its floor without a taper, 2.58, 2.50, 2.44, 2.44 with "
        "0.1, 0.2, 0.3, 0.4 s; contents (2 other replications) 84.9 % where windows always overlap, 85.5, 86.1, 87.2, "
        "87.4, 87.2 where not above noise level 20, 10, 5, 2, 0.5, and jerk peaks at 0.042, 0.043, 0.045, 0.045, "
        "0.080, 0.186; at 5 motions of `long` are 2.0 % more diverse than real ones, at 10 less",
    ),
    "naive": Entrant({}, "it has no setting of its own"),
    "replacement": Entrant(
        {"window": "longest"},
        f"{_HALF}; without a spread FID 8.5 above its floor, 12.3 with usual lengths; 6.9 and 2.8 without and with one "
        "(256 captions, seed 0)",
    ),
    "reconstruction": Entrant(
        {"window": "longest"}, f"{_HALF}; FID 6.6 above its floor, 8.7 with usual lengths"
    ),
    "consensus": Entrant(
        {}, "FID 3.9 above its floor; 5.0 with the longest windows, 4.6 with overlaps of 1.5 s"
    ),
    "handshake": Entrant(
        {}, "FID 4.4 above its floor; 4.9 with the longest windows, 4.5 with overlaps of 1.5 s"
    ),
    "blend": Entrant({}, "FID 3.3 above its floor; 4.5 with the longest windows"),
}
"""One line a row of the tables."""


PLAIN: Final = Entrant({}, "the library's defaults; no other settings were tried")


def entrant(method: str) -> Entrant:
    """The settings of a method and their reason; the library's own for one that nobody has looked for better ones."""
    return ENTRANTS.get(method, PLAIN)


def settings_of(method: str, protocol: Protocol, **common: Any) -> Settings:
    """The settings of a method in a protocol; `common` (steps, guidance) overrule the library's for all methods."""
    own = {"method": method, **entrant(method).settings}
    if method == SHORT:
        common.pop("window", None)
    return replace(Settings(**own, variables=protocol.variables), **common)


def rows_of(protocol: Protocol, asked: str) -> list[str]:
    """The rows of a table: `real`, `short`, and the methods that were asked for, in the library's order.

    asked: `all`, or names with commas between them; only `real` and `short` where a protocol joins nothing.
    Raises CollageError for names that are unknown or cannot do what the protocol asks.
    """
    fixed = (REAL,) if protocol.of_list else (REAL, SHORT)
    if asked == "all":
        return [*fixed, *protocol.methods]
    names = [name.strip() for name in asked.split(",") if name.strip()]
    for name in names:
        if name not in (*fixed, *METHODS):
            raise CollageError(f"methods: got {name!r}; allowed: all, or {', '.join((*fixed, *METHODS))}")
        if name not in (*fixed, *protocol.methods):
            able = ", ".join((*fixed, *protocol.methods))
            raise CollageError(
                f"methods: {name} cannot do what protocol {protocol.name} asks; allowed: {able}"
            )
    if not names:
        raise CollageError("methods: got none; give all, or names with commas between them")
    chosen: Sequence[str] = (*fixed, *(name for name in protocol.methods if name in names))
    return list(chosen)
