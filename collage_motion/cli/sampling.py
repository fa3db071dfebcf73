"""The options that are fields of `Settings`: how a motion is sampled, for all commands that make one."""

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from typing import Annotated, Any, Final, Literal, get_args

import typer

from collage_motion.cli.options import number, one_of
from collage_motion.errors import CollageError
from collage_motion.methods import METHODS, ON_GRAPHS, OWN_SETTINGS, check_method
from collage_motion.samplers import SAMPLERS
from collage_motion.schedule import SPACINGS
from collage_motion.settings import Precision, Settings
from collage_motion.settings import Window as Usual

Overlap = Annotated[
    float,
    typer.Option(
        parser=number(float, 0, 60, "seconds from 0 to 60, usually 0.5 to 1"),
        metavar="SECONDS",
        help="What neighbouring windows share, in seconds, where a plan file says nothing else: 0 sets clips side by "
        "side; else at least the model's least overlap (0.5 s for the default model) and at most half its longest "
        "window, usually 0.5 to 1.",
    ),
]


def _window(text: Any) -> Any:
    if text in get_args(Usual):
        return text
    return number(float, 0, 60, "usual, longest, or seconds as the model's windows hold them")(text)


Window = Annotated[
    Any,
    typer.Option(
        parser=_window,
        metavar="usual|longest|SECONDS",
        help="How much of a segment one window holds before it is split into several: about as much as what its prompt "
        "asks for usually lasts, as much as the model allows, or windows of so many seconds.",
    ),
]
Variables = Annotated[
    Literal["auto", "null", "prompt"],
    typer.Option(
        parser=one_of("auto", "null", "prompt"),
        metavar="auto|null|prompt",
        help="What an overlap is told: its prompt where both windows have the same (auto), nothing (null), or always "
        "a prompt, the earlier one of two.",
    ),
]


def _words(names: tuple[str, ...], said: str) -> Any:
    return Annotated[str, typer.Option(parser=one_of(*names), metavar="|".join(names), help=said)]


def _number(
    kind: type[int] | type[float], low: float, high: float, allowed: str, name: str, said: str
) -> Any:
    """An option that has no value unless it is given, so that what it does not fit is noticed."""
    option = typer.Option(
        parser=number(kind, low, high, allowed), metavar=name, help=said, show_default=False
    )
    return Annotated[kind | None, option]


OPTIONS: Final[dict[str, Any]] = {
    "steps": Annotated[
        int,
        typer.Option(
            parser=number(int, 1, 1000, "whole numbers from 1 to 1000"),
            metavar="NUMBER",
            help="Denoising steps, 1 to 1000; more is slower and finer.",
        ),
    ],
    "guidance": Annotated[
        float,
        typer.Option(
            parser=number(float, 0, 100, "numbers from 0 to 100, usually 1.5 to 4"),
            metavar="SCALE",
            help="How closely to follow the prompts: 0 to 100, usually 1.5 to 4; 1 is no guidance.",
        ),
    ],
    "share_guidance": Annotated[
        bool,
        typer.Option(
            "--share-guidance/--no-share-guidance",
            help="Divide the guidance where windows of different prompts overlap, so that it pulls there no harder "
            "than elsewhere.",
        ),
    ],
    "overlap": Overlap,
    "window": Window,
    "variables": Variables,
    "sampler": _words(
        SAMPLERS, "How noise is taken away; ancestral adds fresh noise in every step, ddim and edm if told to."
    ),
    "eta": _number(
        float, 0, 1, "numbers from 0 to 1", "SHARE",
        "For ddim: fresh noise in every step, 0 (none) to 1 (as ancestral).  [default: 0]",
    ),
    "order": _number(
        int, 1, 3, "1, 2 or 3", "1|2|3",
        "For deis and gddim: how many steps each one looks back on.  [default: 3 for deis, 2 for gddim]",
    ),
    "churn": _number(
        float, 0, 1000, "numbers from 0 to 1000, usually 10 to 80", "AMOUNT",
        "For edm: fresh noise over the run, 0 to 1000, usually 10 to 80.  [default: 0]",
    ),
    "restarts": Annotated[
        int,
        typer.Option(
            parser=number(int, 0, 100, "whole numbers from 0 to 100, usually 0 to 3"),
            metavar="NUMBER",
            help="How often the steps between much and little noise are gone again: windows agree better where a "
            "motion goes on through many, such as a long walk, for a fifth more time each with ten steps.",
        ),
    ],
    "spacing": _words(
        SPACINGS, "How the steps lie: finer towards the end (karras), evenly in timesteps, or as in MDM (ddim)."
    ),
    "precision": _words(
        get_args(Precision), "Numbers in the network: mixed computes the noisy steps in bfloat16, which is faster on "
        "accelerators and on processors made for it, slower on others.",
    ),
    "guidance_above": Annotated[
        float,
        typer.Option(
            parser=number(float, 0, 1e6, "noise levels from 0 to 1e6"),
            metavar="LEVEL",
            help="Noise level down to which there is guidance; below 1.5 it costs time and changes little.",
        ),
    ],
    "padding": _words(
        ("zeros", "canvas"),
        "What a model without a frame mask is shown behind a window: noised zeros, as in its training, or the frames "
        "that follow.",
    ),
    "method": _words(
        METHODS, "How windows become one motion: collage is this program's own, the others are there to compare."
    ),
    "blend": _number(
        float, 0, 1, "numbers from 0 to 1", "SHARE",
        f"For --method blend: 0 is consensus, 1 is the collage's sum.  [default: {Settings.blend:g}]",
    ),
    "taper": _number(
        float, 0, 60, "seconds from 0 to 60, usually 0.1 to 0.4", "SECONDS",
        "For --method collage and blend: how long a window takes to set in where it overlaps another; 0 is the paper's "
        f"sum as it stands, which jerks there.  [default: {Settings.taper:g}]",
    ),
    "apart_above": _number(
        float, 0, 1e6, "noise levels from 0 to 1e6, usually 5 to 20", "LEVEL",
        "For --method collage: the noise level above which windows do not overlap and neighbours have no say in what "
        f"happens in a window; 1e6: they always do, as in the paper.  [default: {Settings.apart_above:g}]",
    ),
    "stagger_below": _number(
        float, 0, 1e6, "noise levels from 0 to 1e6, usually 1 to 6", "LEVEL",
        "For --method collage: the noise level below which windows of a walk or run lie half a window further on, so "
        f"that it keeps step where they met; 0: never, as in the paper.  [default: {Settings.stagger_below:g}]",
    ),
    "spread": _number(
        float, 0, 60, "seconds from 0 to 60, usually 0.1 to 0.4", "SECONDS",
        "For --method replacement: how long new frames follow the known ones beside them; 0 is the paper's, which "
        f"jerks there.  [default: {Settings.spread:g}]",
    ),
    "seam_factors": Annotated[
        bool,
        typer.Option(
            "--seam-factors",
            help="With an extra window, told nothing, on each change of prompt; in a collage from --apart-above down.",
        ),
    ],
    "reconstruction_weight": _number(
        float, 0, 100, "numbers from 0 to 100, usually 1", "WEIGHT",
        "For reconstruction: how hard to pull towards known frames, 0 to 100, usually 1.  "
        f"[default: {Settings.reconstruction_weight:g}]",
    ),
}  # fmt: skip
"""Fields of `Settings`, as the command line reads them."""

ALL: Final = tuple(OPTIONS)
ON_GRAPHS_ONLY: Final = _words(ON_GRAPHS, "How windows become one motion, as for `generate`.")
_UNSET: Final = ("taper", "apart_above", "stagger_below", "spread", "blend", "reconstruction_weight")
"""Fields with a default that the command line leaves to `Settings`, to know whether they are given."""


def with_settings(*names: str, **instead: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of some fields of `Settings` in place of its parameter `settings`.

    The command gets them there as keyword arguments for `Settings`, without those that have no value. instead:
    other readers than those of `OPTIONS`, by field.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def called(**given: Any) -> None:
            settings = {name: value for name in names if (value := given.pop(name)) is not None}
            command(**given, settings=settings)

        own = signature(command)
        parameters: list[Parameter] = []
        for parameter in own.parameters.values():
            if parameter.name != "settings":
                parameters.append(parameter.replace(kind=Parameter.KEYWORD_ONLY))
                continue
            for name in names:
                default = None if name in _UNSET else getattr(Settings, name)
                reader = instead.get(name, OPTIONS[name])
                parameters.append(Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=reader))
        called.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        return called

    return decorate


def check_settings(settings: dict[str, Any], loop: bool = False, condition: str = "") -> Settings:
    """What `Settings` makes of the options, if they fit together; raises CollageError.

    condition: how known frames are held, where a command holds any.
    """
    chosen = Settings(**settings)
    check_method(chosen.method, loop=loop)
    for name, methods in OWN_SETTINGS.items():
        flag = name.replace("_", "-")
        if name in settings and chosen.method not in methods:
            raise CollageError(
                f"--{flag} {settings[name]:g}: belongs to --method {' or '.join(methods)}, the method is "
                f"{chosen.method}; add --method {methods[0]} or leave --{flag} away"
            )
    if "reconstruction_weight" in settings and "reconstruction" not in (condition, chosen.method):
        flag = "--condition" if condition else "--method"
        raise CollageError(
            f"--reconstruction-weight {chosen.reconstruction_weight:g}: belongs to {flag} reconstruction, "
            f"got {flag} {condition or chosen.method}; change that or leave the weight away"
        )
    return chosen
