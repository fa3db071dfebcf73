"""How a plan is sampled: one record whose defaults are those of the library and of the command line."""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

from collage_motion.errors import CollageError, ModelError
from collage_motion.lengths import usual_seconds
from collage_motion.methods import check_method, check_on_graphs
from collage_motion.ranges import Choice, Number, Rule, Switch
from collage_motion.samplers import OPTIONS, check_sampler
from collage_motion.schedule import SPACINGS
from collage_motion.topology import DEFAULT_OVERLAP, Variables, build

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collage_motion.card import Limits, ModelCard
    from collage_motion.graph import Graph
    from collage_motion.models import Model
    from collage_motion.padding import PaddingKind
    from collage_motion.plan import Plan


Precision = Literal["float32", "mixed"]
Window = Literal["usual", "longest"]


_LEVEL = Number("a noise level above 0, or None", above=True, or_none=True)
_SECONDS = Number("0 to 60 seconds, usually 0.1 to 0.4", most=60)
RULES: dict[str, Rule] = {
    # how many steps a schedule has, and how long an overlap a plan, is known later
    "steps": Number("a whole number, usually 10 to 50", least=-math.inf, whole=True),
    "overlap": Number("seconds, such as 1.5", least=-math.inf),
    "guidance": Number("0 to 100, usually 1.5 to 4", most=100),
    "share_guidance": Switch(),
    "guidance_above": Number("a noise level, 0 (guidance throughout) or more"),
    "window": Number("usual, longest or a number of seconds", least=-math.inf, or_words=get_args(Window)),
    "variables": Choice(get_args(Variables)),
    "taper": _SECONDS,
    "apart_above": Number("a noise level from 0, such as 10, or 1e6 for never"),
    "stagger_below": Number("a noise level, such as 6, or 0 for never"),
    "spread": _SECONDS,
    "restarts": Number("a whole number from 0 to 100, usually 0 to 3", most=100, whole=True),
    "spacing": Choice(tuple(SPACINGS)),
    "sigma_start": _LEVEL,
    "sigma_end": _LEVEL,
    "max_tokens": Number("a whole number, 1 or more", least=1, whole=True),
    "precision": Choice(get_args(Precision)),
    "seam_factors": Switch(),
    "blend": Number("0 (consensus average) to 1 (collage's sum)", most=1),
    "reconstruction_weight": Number("0 to 100, usually 1", most=100),
}
"""What settings may be, as far as it is known without a model and a plan."""


@dataclass(frozen=True)
class Settings:
    """What `pipeline.generate` takes besides plan, model and seed.

    steps: denoising steps. guidance: classifier-free guidance scale. share_guidance: divide it among the
    prompts where windows of different ones overlap (see `compose.Guidance`). guidance_above: the noise level down to
    which there is guidance; below the usual one it hardly changes a new motion, for twice the time.
    overlap: seconds that neighbouring windows share. window: how much of a segment one window holds before it is split
    into several: "usual": about as much as what its prompt asks for usually lasts (`lengths`), where the card says so;
    "longest": as much as the model allows; or windows of so many seconds.
    variables: what an overlap is told (see `topology.chain`).
    taper: seconds over which a window's part of the collage sets in from an end that lies under another window
    (`weights.tapered_weights`); at once (0, DiffCollage's equations as they stand) the motion jerks there.
    apart_above: the noise level above which the windows of the collage do not overlap (`methods.apart`), so that
    neighbours have no say in what happens in a window; a level above the first, such as 1e6: never, as in DiffCollage.
    In loops and where known frames are held they always overlap; seam factors take part below it only.
    stagger_below: the level below which windows of a prompt that travels (`lengths.travels`) lie half a window further
    on (`methods.staggered`), so that a walk keeps step where they met; 0: never, as in DiffCollage.
    spread: seconds around known frames that follow them in `replacement` (`conditioning.known`); 0 is DiffCollage's
    Algorithm 4 as it stands, which jerks where it goes on.
    sampler, spacing: names in `samplers.SAMPLERS` and `schedule.SPACINGS`. eta, order, churn: of the samplers that take
    them (`samplers.OPTIONS`), None for their own defaults. restarts: how often the middle of the way down is gone
    again (`samplers.restarts`). sigma_start: the first noise level: beside it a motion
    vanishes, and steps further up would be lost to those between it and 5, where content and style are decided.
    sigma_end: the last level above zero; from there the network's own idea of the clean motion ends the run, which
    leaves less jitter than going further down. Spacing "ddim" has its own ends.
    max_tokens: memory budget, frames of all rows in one network call (200,000 take about 2 GB with the default
    model). precision: "mixed" computes the noisy steps in bfloat16 (`denoiser.mixed`), which pays on accelerators and
    on processors with instructions for it and is slower on others. padding: what a network trained without a
    frame mask is shown behind a window (see `padding.Padding`); others see nothing. method: how windows become one
    motion, a name in `methods.METHODS`. seam_factors: with an extra factor on each change of prompt. blend: share of
    the collage's sum in `blend`. reconstruction_weight: of the gradient in `reconstruction`. Raises `CollageError`
    for values out of range.
    """

    steps: int = 10
    guidance: float = 2.0
    share_guidance: bool = True
    guidance_above: float = 1.5
    overlap: float = DEFAULT_OVERLAP
    window: float | Window = "usual"
    variables: Variables = "auto"
    taper: float = 0.3
    apart_above: float = 10.0
    stagger_below: float = 6.0
    spread: float = 0.4
    sampler: str = "dpmpp"
    eta: float | None = None
    order: int | None = None
    churn: float | None = None
    restarts: int = 0
    spacing: str = "karras"
    sigma_start: float | None = 80.0
    sigma_end: float | None = 0.01
    max_tokens: int = 200_000
    precision: Precision = "float32"
    padding: "PaddingKind" = "zeros"
    method: str = "collage"
    seam_factors: bool = False
    blend: float = 0.5
    reconstruction_weight: float = 1.0

    def __post_init__(self) -> None:
        for name, rule in RULES.items():
            rule.check(name, getattr(self, name))
        if self.padding != type(self).padding:
            from collage_motion.padding import check_kind  # loads scipy, which planning need not wait for

            check_kind(self.padding)
        check_sampler(self.sampler, **self.sampler_options)
        check_method(self.method, self.seam_factors)
        if self.restarts and (self.churn or self.method == "handshake"):
            other = f"churn {self.churn:g}" if self.churn else "method handshake, which goes down twice"
            raise CollageError(f"restarts: got {self.restarts} with {other}; allowed: one of the two")

    def limits(self, card: "ModelCard") -> "Limits":
        """What the windows of a model may hold with these settings; raises PlanError where `window` does not fit it."""
        return card.limits if isinstance(self.window, str) else card.limits.within(self.window)

    def graph(self, plan: "Plan", card: "ModelCard") -> "Graph":
        """The windows of a plan and what they share (`topology.build`), with these settings on that model."""
        prompts = (segment.prompt for segment in plan.segments)
        return build(plan, self.limits(card), self.overlap, self.variables, self.usual(prompts, card))

    def usual(self, prompts: "Iterable[str]", card: "ModelCard") -> dict[str, float]:
        """Usual seconds of prompts (`lengths`), where windows are to follow them."""
        return usual_seconds(prompts, card) if self.window == "usual" else {}

    def check_gradual(self) -> None:
        """Raise CollageError for what cannot be where prompts pass gradually into one another."""
        check_on_graphs(self.method)
        if self.seam_factors:
            raise CollageError(
                "seam factors: where prompts pass gradually there is no change of prompt to put one on; leave them away"
            )
        if self.variables != Settings.variables:
            raise CollageError(
                f"variables {self.variables}: where prompts pass gradually overlaps are told what lies between their "
                "windows; leave that away"
            )

    @property
    def staggers(self) -> bool:
        """Whether sampling ends with windows of `methods.staggered`."""
        return self.method == "collage" and self.stagger_below > 0

    @property
    def sampler_options(self) -> dict[str, float]:
        """What the sampler is told besides: those of eta, order and churn that are given."""
        values = {name: getattr(self, name) for name in OPTIONS}
        return {name: value for name, value in values.items() if value is not None}

    def fitting(self, model: "Model") -> "Settings":
        """These settings without what the model has no null prompt for, guidance and untold overlaps.

        MDM itself takes guidance away from a network that was trained without condition dropout (spec a.4).
        """
        if model.card.text.get("null_prompt", True):
            return self
        if self.seam_factors:
            raise ModelError(
                f"seam factors: they are told nothing, and model {model.card.name!r} has no null prompt; use another"
            )
        return replace(self, guidance=1.0, variables="prompt")
