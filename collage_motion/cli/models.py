"""`collage-motion models list`: what is installed and what each model knows; reads cards only."""

from shutil import get_terminal_size
from textwrap import fill

import typer

from collage_motion.card import ModelCard, find_models, models_home, read_card
from collage_motion.cli.text_files import describe_outside_files, missing_text_files
from collage_motion.errors import CollageError, ModelError


def list_models() -> None:
    """Show the installed models: limits, licence, training, and the actions each knows."""
    broken: list[str] = []
    places = find_models()
    for name, folder in places.items():
        try:
            typer.echo(describe(name, read_card(folder)) + "\n")
        except ModelError as error:
            broken.append(str(error))
    if not places:
        typer.echo(f"no models are installed; put one into {models_home()}/NAME")
    typer.echo(describe_outside_files())
    if broken:
        raise CollageError("; ".join(broken))


def describe(name: str, card: ModelCard) -> str:
    """A model in a few lines: a heading and indented facts."""
    width = max(60, min(get_terminal_size((100, 24)).columns, 120))
    weights = sorted(card.folder.glob("*.safetensors"))
    size = sum(path.stat().st_size for path in weights) / 1e6
    facts = {
        "windows": f"{card.limits.span} at {card.fps} frames a second; longer segments are split",
        "reads": _reading(card),
        "missing": missing_text_files(str(card.text.get("encoder")), card.text.get("path")),
        "licence": card.licence,
        "weights": f"{size:.1f} MB in {card.folder}" if weights else f"missing in {card.folder}",
        "trained": _training(card),
        f"knows {len(card.actions)} actions": ", ".join(card.actions),
    }
    lines = [_wrapped(f"{label}: {text}", width) for label, text in facts.items() if text]
    return "\n".join([name, *lines])


def _wrapped(text: str, width: int) -> str:
    # Paths stay whole, so that they can be copied.
    return fill(
        text,
        width,
        initial_indent="  ",
        subsequent_indent="    ",
        break_on_hyphens=False,
        break_long_words=False,
    )


def _reading(card: ModelCard) -> str:
    if card.text.get("encoder") == "wordpiece":  # part of the package
        return ""
    windows = f"of {card.padding} frames always" if card.padding else "with a mask"
    return f"prompts through {card.text.get('encoder')}, windows {windows}"


def _training(card: ModelCard) -> str:
    parts = []
    if "steps" in card.training:
        parts.append(f"{card.training['steps']} steps")
    if "data" in card.training:
        parts.append(f"on {card.training['data']}")
    return " ".join(parts)
