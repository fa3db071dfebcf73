"""The card of a model: everything that can be known about it without loading its weights."""

import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Final

from collage_motion.errors import ModelError, PlanError
from collage_motion.skeleton import N_FEATURES
from collage_motion.yaml_tree import nearest

CARD_FILE: Final = "card.json"
DEFAULT_MIN_VARIABLE_FRAMES: Final = 10
"""The shortest crop that the training of variables uses (0.5 s)."""
_MAX_BYTES: Final = 4 * 2**20
_BUILT_IN: Final = Path(__file__).parent / "assets"


@dataclass(frozen=True)
class Limits:
    """What a model's windows hold: frames of factor windows, frames of variables, frames per second.

    chosen: the longest window is a user's choice, not the model's.
    """

    min_frames: int
    max_frames: int
    fps: int
    min_variable_frames: int = DEFAULT_MIN_VARIABLE_FRAMES
    chosen: bool = False

    @property
    def hold(self) -> str:
        """What windows may last, as a clause of a message."""
        if self.chosen:
            return f"with the window that was chosen, windows hold {self.span}"
        return f"this model's windows hold {self.span}"

    @property
    def span(self) -> str:
        """The lengths of a window for a message, in seconds."""
        return f"{self.min_frames / self.fps:g} to {self.max_frames / self.fps:g} s"

    def within(self, seconds: float) -> "Limits":
        """These limits with no window above `seconds`; raises PlanError for what no window may last."""
        if not self.min_frames <= seconds * self.fps <= self.max_frames:  # a NaN is in no range
            raise PlanError(f"window: got {seconds:g} s; {self.hold}; choose among these")
        return replace(self, max_frames=round(seconds * self.fps), chosen=True)


@dataclass(frozen=True)
class WordNetwork:
    """A number that a prompt's mean word m tells (`lengths`).

    bias + weights (D,) . m, and for each of `units` (2 + D,), (a, b, *w), besides: a tanh(b + w . m).
    """

    bias: float
    weights: tuple[float, ...]
    units: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class ModelCard:
    """What `card.json` says; mean and std are of the 263 features, actions are what it was trained on.

    usual_length: log seconds that what a prompt asks for usually lasts, usual_pace: how fast it travels, m/s; None: not
    known, as of released models. padding: frames that the network always sees, whatever a window holds; 0: it sees
    windows as they are.
    """

    name: str
    fps: int
    min_frames: int
    max_frames: int
    actions: tuple[str, ...]
    mask_frames: bool
    architecture: dict[str, Any]
    text: dict[str, Any]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    schedule: dict[str, Any]
    licence: str
    training: dict[str, Any]
    folder: Path
    min_variable_frames: int = DEFAULT_MIN_VARIABLE_FRAMES
    padding: int = 0
    usual_length: WordNetwork | None = None
    usual_pace: WordNetwork | None = None

    @property
    def limits(self) -> Limits:
        """The part of the card that the planner needs."""
        return Limits(self.min_frames, self.max_frames, self.fps, self.min_variable_frames)


def models_home() -> Path:
    """Where a user's own models live: `models` in $COLLAGE_MOTION_HOME or ~/.local/share/collage-motion."""
    home = os.environ.get("COLLAGE_MOTION_HOME")
    return (Path(home).expanduser() if home else Path.home() / ".local/share/collage-motion") / "models"


def find_models() -> dict[str, Path]:
    """Names and folders of all installed models, sorted; a built-in model hides a user's of the same name."""
    folders: dict[str, Path] = {}
    for place in (models_home(), _BUILT_IN):
        try:
            folders |= {card.parent.name: card.parent for card in place.glob(f"*/{CARD_FILE}")}
        except OSError as error:
            raise ModelError(f"{place}: the models cannot be listed: {error.strerror or error}") from None
    return dict(sorted(folders.items()))


def list_cards() -> list[ModelCard]:
    """The cards of all installed models; raises ModelError at the first broken one."""
    return [read_card(folder) for folder in find_models().values()]


def load_card(name_or_folder: str | os.PathLike[str] = "default") -> ModelCard:
    """The card of an installed model, by name, or of a folder with a card.json.

    A name wins over a folder of the same name, which is then written ./name. Raises ModelError.
    """
    name = os.fspath(name_or_folder)
    models = find_models()
    if name in models:
        return read_card(models[name])
    if name and Path(name).is_dir():
        return read_card(Path(name))
    if name and Path(name).exists():
        raise ModelError(f"{name}: a model is a folder with a {CARD_FILE}; this is a file; name its folder")
    known = ", ".join(models) or "none"
    guess = f" (did you mean '{nearest(name, models)}'?)" if models else ""
    raise ModelError(
        f"no model {name[:200]!r}; installed are {known}{guess}; looked in {_BUILT_IN} and {models_home()}; "
        "give one of these names or a model's folder"
    )


def read_card(folder: Path) -> ModelCard:
    """Read and check `folder`/card.json; unknown fields are ignored. Raises ModelError naming the field."""
    path = folder / CARD_FILE
    fields = _read_object(path)
    card = ModelCard(
        **{name: _field(fields, name, check, allowed, path) for name, (check, allowed) in _FIELDS.items()},
        mean=_features(fields, "mean", path, math.isfinite, "finite"),
        std=_features(fields, "std", path, lambda x: math.isfinite(x) and x > 0, "above 0"),
        actions=tuple(_field(fields, "actions", _is_words, "a list of texts", path)),
        folder=folder,
        min_variable_frames=_field(
            {"min_variable_frames": DEFAULT_MIN_VARIABLE_FRAMES, **fields},
            "min_variable_frames",
            *_COUNT,
            path,
        ),
        padding=0 if fields.get("padding") in (None, 0) else _field(fields, "padding", *_COUNT, path),
        usual_length=_word_network(fields, "usual_length", path),
        usual_pace=_word_network(fields, "usual_pace", path),
    )
    if 0 < card.padding < card.max_frames:
        raise ModelError(
            f"{path}: 'padding' is {card.padding}; allowed is at least 'max_frames', {card.max_frames}; "
            "correct the card"
        )
    if card.min_frames > card.max_frames:
        raise ModelError(
            f"{path}: 'min_frames' is {card.min_frames}; allowed is at most 'max_frames', {card.max_frames}; "
            "correct the card"
        )
    return card


def _word_network(fields: dict[str, Any], name: str, path: Path) -> WordNetwork | None:
    if fields.get(name) is None:
        return None
    allowed = (
        "an object with 'bias', a finite number, 'weights', a list of such, and perhaps 'units', lists of two more "
        "numbers than there are weights"
    )
    value = _field(fields, name, _is_word_network, allowed, path)
    units = tuple(tuple(map(float, unit)) for unit in value.get("units", ()))
    return WordNetwork(float(value["bias"]), tuple(map(float, value["weights"])), units)


def _is_word_network(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("weights"), list):
        return False
    units = value.get("units", [])
    if not isinstance(units, list) or not all(
        isinstance(unit, list) and len(unit) == 2 + len(value["weights"]) for unit in units
    ):
        return False
    numbers = [value.get("bias"), *value["weights"], *chain.from_iterable(units)]
    return all(
        type(x) in (int, float) and abs(x) <= 1e300 for x in numbers
    )  # neither a NaN nor a huge integer


def _read_object(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise ModelError(f"{path}: the card is larger than {_MAX_BYTES} bytes; this is no card")
        value = json.loads(data.decode("utf-8-sig"))
    except OSError as error:
        raise ModelError(
            f"{path}: the card cannot be read: {error.strerror or error}; give the folder of a model"
        ) from None
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: the card is not JSON: {error}; install the model again") from None
    if not isinstance(value, dict):
        raise ModelError(f"{path}: the card is a {type(value).__name__}; allowed is a JSON object")
    return value


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_words(value: Any) -> bool:
    return isinstance(value, list) and all(_is_text(word) for word in value)


_COUNT: Final[tuple[Callable[[Any], bool], str]] = (_is_count, "a whole number above 0")
_TEXT: Final[tuple[Callable[[Any], bool], str]] = (_is_text, "text")
_OBJECT: Final[tuple[Callable[[Any], bool], str]] = (lambda value: isinstance(value, dict), "an object")
_FIELDS: Final = {
    "name": _TEXT,
    "fps": _COUNT,
    "min_frames": _COUNT,
    "max_frames": _COUNT,
    "mask_frames": (lambda value: isinstance(value, bool), "true or false"),
    "architecture": _OBJECT,
    "text": _OBJECT,
    "schedule": _OBJECT,
    "licence": _TEXT,
    "training": _OBJECT,
}


def _field(fields: dict[str, Any], name: str, check: Callable[[Any], bool], allowed: str, path: Path) -> Any:
    if name not in fields:
        raise ModelError(f"{path}: field '{name}' is missing; it must be {allowed}; install the model again")
    if not check(fields[name]):
        got = json.dumps(fields[name])
        got = got if len(got) <= 60 else got[:57] + "..."
        raise ModelError(f"{path}: field '{name}' is {got}; allowed is {allowed}; correct the card")
    return fields[name]


def _features(
    fields: dict[str, Any], name: str, path: Path, check: Callable[[float], bool], what: str
) -> tuple[float, ...]:
    values = _field(fields, name, lambda v: isinstance(v, list), f"a list of {N_FEATURES} numbers", path)
    if len(values) != N_FEATURES:
        raise ModelError(f"{path}: field '{name}' has {len(values)} numbers; allowed are {N_FEATURES}")
    for number, value in enumerate(values):
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not check(value):
            raise ModelError(
                f"{path}: field '{name}'[{number}] is {str(value)[:40]}; allowed are numbers {what}"
            )
    return tuple(map(float, values))
