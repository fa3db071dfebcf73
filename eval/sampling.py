"""Scripts become features, many of one layout in a batch: each sample is told its own words."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from collage_motion import pipeline
from collage_motion.conditioning import SPREAD_S, known, replacement
from collage_motion.denoiser import Denoiser, WindowDenoiser, budgeted
from collage_motion.graph import Graph
from collage_motion.lengths import travels
from collage_motion.methods.sliding import stretches_of
from collage_motion.methods.staggered import staggered
from collage_motion.models import Model
from collage_motion.models.prompts import PromptTable
from collage_motion.settings import Settings
from collage_motion.topology import build

from .protocols import Script

CPU_BATCH_FRAMES: Final = 2_000
"""Canvas frames of a batch on a CPU: four motions of 24 s, with which its cores make most frames a second."""

DEVICE_BATCH_FRAMES: Final = 60_000
"""Canvas frames of a batch on an accelerator."""

MAX_BATCH: Final = 128

CPU_WASTE: Final = 0.1
"""Share of padding in a network call on a CPU: short windows go through apart from long ones."""

UNLIMITED: Final = 2**62


def batch_frames(device: torch.device) -> int:
    """Canvas frames that a batch holds on a device."""
    return CPU_BATCH_FRAMES if device.type == "cpu" else DEVICE_BATCH_FRAMES


def usual_of(script: Script, model: Model, settings: Settings) -> dict[str, float]:
    """Usual seconds of a script's prompts, under the names that its plan has for them."""
    found = settings.usual(script.words, model.card)
    return {f"{{{place}}}": found[word] for place, word in enumerate(script.words) if word in found}


def going_of(script: Script, graph: Graph, model: Model) -> tuple[int, ...]:
    """The numbers of a script's prompts, as its graph has them, that travel (`lengths.travels`)."""
    words = (pattern.format(*script.words) for pattern in graph.prompts)
    return tuple(number for number, word in enumerate(words) if travels(word, model.card))


def likeness_of(script: Script, model: Model, settings: Settings) -> Hashable:
    """What windows depend on besides a script's layout: usual lengths, and which of its words travel."""
    usual = usual_of(script, model, settings)
    return tuple(usual.items()), settings.staggers and tuple(
        travels(word, model.card) for word in script.words
    )


def batches_of(
    scripts: Sequence[Script], frames: int, likeness: Callable[[Script], Hashable] = lambda _: None
) -> list[list[int]]:
    """Numbers of the scripts that go together, at most `frames` canvas frames, the longest first.

    They have one layout and one likeness. A script's place depends on those before it only, so that more scripts make
    further batches.
    """
    groups: dict[object, list[int]] = defaultdict(list)
    for number, script in enumerate(scripts):
        groups[script.layout, likeness(script)].append(number)
    made = []
    for numbers in sorted(groups.values(), key=lambda n: -scripts[n[0]].n_frames):
        size = min(MAX_BATCH, max(1, frames // scripts[numbers[0]].n_frames))
        made += [numbers[start : start + size] for start in range(0, len(numbers), size)]
    return made


@dataclass(frozen=True, eq=False)
class Chorus(Model):
    """A model whose samples are told different words: a prompt is a pattern, `{k}` the k-th of a sample's own.

    words: of each sample. told: frames that a masked network is told of at most. Rows of one sample must stand
    together, samples in their order, as `compose` has them; the memory budget is applied here, behind the
    translation, for the same reason.
    """

    words: tuple[tuple[str, ...], ...] = ()
    told: int | None = None
    max_tokens: int = UNLIMITED

    def bind(self, prompts: "Sequence[str] | PromptTable") -> WindowDenoiser:
        """A denoiser of windows whose rows name these patterns by index."""
        if isinstance(prompts, PromptTable):
            return super().bind(prompts)
        texts = [pattern.format(*own) for own in self.words for pattern in prompts]
        places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        table = torch.tensor([places[text] for text in texts], dtype=torch.int64)
        table = table.reshape(len(self.words), len(prompts)).to(self.device)
        waste = CPU_WASTE if self.device.type == "cpu" else None
        denoiser = budgeted(super().bind(list(places)), self.max_tokens, waste)

        def denoise(x: Tensor, sigma: float, prompts: Tensor, lengths: Tensor) -> Tensor:
            sample = torch.arange(len(x), device=x.device) // (len(x) // len(self.words))
            if table.shape[1]:
                own = table[sample, prompts.clamp(min=0)]
                prompts = torch.where(prompts >= 0, own, prompts)
            if self.told is not None:
                lengths = lengths.clamp(max=self.told)
            return denoiser(x, sigma, prompts, lengths)

        return denoise


def perform(model: Model, scripts: Sequence[Script], settings: Settings) -> NDArray[np.float32]:
    """Generate scripts of one layout in one batch: raw features (S, F, 263).

    A sample is what `pipeline.sample` makes of its words and seed alone, beyond rounding. What scripts are held
    to is kept by replacement in every step (`conditioning.replacement`).
    """
    first = scripts[0]
    settings = settings.fitting(model)
    own = {field.name: getattr(model, field.name) for field in fields(Model)}
    words = tuple(script.words for script in scripts)
    # A network without a mask that must be told of fewer frames has never been told of any.
    told = first.told if model.card.mask_frames else None
    chorus = Chorus(**own, words=words, told=told, max_tokens=settings.max_tokens)
    graph = graph_of(first, model, settings)
    condition = None
    if first.held is not None:
        values = np.stack([s.held.features for s in scripts if s.held is not None])
        spread = SPREAD_S * model.card.fps
        goal = known(model.normaliser.normalise(values), first.held.mask, spread)

        def condition(denoise: Denoiser) -> Denoiser:
            return replacement(denoise, goal)

    settings = replace(settings, max_tokens=UNLIMITED)
    seeds = [script.seed for script in scripts]
    going = going_of(first, graph, model) if settings.staggers else ()
    return pipeline.sample(graph, chorus, seeds, settings, condition=condition, going=going)


def graph_of(script: Script, model: Model, settings: Settings) -> Graph:
    """The windows of scripts of this layout; raises PlanError where they cannot be as the settings have them."""
    settings = settings.fitting(model)
    limits, usual = settings.limits(model.card), usual_of(script, model, settings)
    return build(script.plan(model.card.fps), limits, settings.overlap, settings.variables, usual)


def seams_of(script: Script, model: Model, settings: Settings) -> tuple[int, ...]:
    """Where a script's motion is put together (first frame behind each seam): changes of prompt if there are any.

    Within one prompt: where a sliding method goes on from what it has, else the middles of the overlaps that it ends
    with; a method without overlaps is looked at in the same places.
    """
    graph = graph_of(script, model, settings)
    if graph.seams:
        return tuple(graph.seams)
    if settings.method in ("replacement", "reconstruction"):
        return tuple(
            stretch.fresh for stretch in stretches_of(graph, settings.limits(model.card)) if stretch.fresh
        )
    if settings.staggers:
        graph = staggered(graph, settings.limits(model.card), going_of(script, graph, model))
    starts = [window.frames[0] for window in graph.windows]
    ends = [window.frames[-1] + 1 for window in graph.windows]
    return tuple((end + start) // 2 for end, start in zip(ends, starts[1:], strict=False))


def room_for(seams: Sequence[int], n_frames: int, frames: int) -> list[int]:
    """The seams whose window of `frames` frames lies within the motion, and that do not come twice."""
    half = frames // 2
    return sorted({seam for seam in seams if half <= seam <= n_frames - (frames - half)})
