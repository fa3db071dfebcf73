"""What composition costs: one composed step beside the bare network, and the calls of whole runs."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import cycle, islice
from statistics import median
from typing import Any, Final

import torch
from torch import nn

from collage_motion import pipeline
from collage_motion.compose import Guidance, compose
from collage_motion.denoiser import budgeted, mixed
from collage_motion.errors import DataError
from collage_motion.models import Model
from collage_motion.noise import canvas_noise
from collage_motion.padding import Padding
from collage_motion.pipeline import Settings
from collage_motion.plan import Plan, Segment
from collage_motion.skeleton import N_FEATURES

MAX_RATIO: Final = 1.1
"""A composed step may take this much of the time of the bare network on the same windows."""

SEGMENT_SECONDS: Final = 5.0
STEP_SIGMA: Final = 5.0
"""The noise level of the step that is timed: one with guidance, below which time does not depend on it."""

Clock = Callable[[], float]
Call = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class StepCost:
    """One step of a motion of so many seconds: median times of both ways, over the same network calls.

    regions: windows and overlaps. calls, rows: of the network, guidance and memory budget included.
    """

    seconds: float
    regions: int
    calls: int
    rows: int
    composed_s: float
    bare_s: float

    @property
    def ratio(self) -> float:
        """Time of the composed step as a multiple of the bare network's."""
        return self.composed_s / self.bare_s


@dataclass(frozen=True)
class RunCost:
    """A whole run of a sampler: steps asked for, calls of the network, wall-clock seconds."""

    seconds: float
    steps: int
    calls: int
    run_s: float


def long_plan(model: Model, seconds: float, loop: bool = False) -> Plan:
    """A plan of that length: the model's actions in turn, `SEGMENT_SECONDS` each or a little more."""
    if not seconds > 0:
        raise DataError(f"seconds of motion: got {seconds:g}; allowed: above 0")
    count = max(1, int(seconds / SEGMENT_SECONDS))
    actions = islice(cycle(model.card.actions or ("a person walks",)), count)
    return Plan(tuple(Segment(action, seconds / count) for action in actions), loop)


@contextmanager
def watched(network: nn.Module) -> Iterator[list[Call]]:
    """The arguments of every call of a network, gathered while the context is open."""
    calls: list[Call] = []

    def keep(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        calls.append((args, kwargs))

    handle = network.register_forward_pre_hook(keep, with_kwargs=True)
    try:
        yield calls
    finally:
        handle.remove()


def measure_step(
    model: Model,
    plan: Plan,
    settings: Settings | None = None,
    seeds: Sequence[int] = (0,),
    repetitions: int = 15,
    clock: Clock = time.perf_counter,
) -> StepCost:
    """Time a composed step, and the network alone on the very tensors that the step gave to it.

    Both are repeated in turns, so that what else the machine does falls on both alike, and which goes first
    changes; the first round, which warms up, does not count.
    """
    chosen = (settings or Settings()).fitting(model)
    graph = chosen.graph(plan, model.card)
    padding = Padding(model.card.padding, tuple(seeds), chosen.padding) if model.card.padding else None
    low = chosen.precision == "mixed"
    network = model.bind(graph.prompts)
    windows = budgeted(mixed(network) if low else network, chosen.max_tokens)
    denoise = compose(
        graph, windows, padding, Guidance(chosen.guidance, chosen.share_guidance, chosen.guidance_above)
    )
    x = torch.from_numpy(canvas_noise(seeds, graph.n_frames, N_FEATURES)).to(model.device) * STEP_SIGMA
    with torch.no_grad():
        with watched(model.network) as calls:
            denoise(x, STEP_SIGMA)

        def composed() -> None:
            denoise(x, STEP_SIGMA)

        def bare() -> None:
            with torch.autocast(model.device.type, torch.bfloat16, enabled=low):
                for args, kwargs in calls:
                    model.network(*args, **kwargs)

        times: dict[Callable[[], None], list[float]] = {composed: [], bare: []}
        for turn in range(repetitions + 1):
            for work in (composed, bare) if turn % 2 else (bare, composed):
                times[work].append(_timed(work, model.device, clock))
    return StepCost(
        plan.seconds,
        len(graph.regions),
        len(calls),
        sum(len(args[0]) for args, _ in calls),
        median(times[composed][1:]),
        median(times[bare][1:]),
    )


def measure_run(
    model: Model, plan: Plan, settings: Settings | None = None, seeds: Sequence[int] = (0,)
) -> RunCost:
    """Count the network's calls over a whole run, and time it."""
    chosen = (settings or Settings()).fitting(model)
    graph = chosen.graph(plan, model.card)
    count = 0

    def add(*_: object) -> None:
        nonlocal count
        count += 1

    handle = model.network.register_forward_pre_hook(add)
    try:
        taken = _timed(lambda: pipeline.sample(graph, model, seeds, chosen), model.device, time.perf_counter)
    finally:
        handle.remove()
    return RunCost(plan.seconds, chosen.steps, count, taken)


def measure_speed(
    model: Model,
    lengths: Sequence[float],
    settings: Settings | None = None,
    repetitions: int = 15,
    clock: Clock = time.perf_counter,
    run_steps: int = 4,
) -> list[dict[str, Any]]:
    """A row for each length of motion: the cost of a step, and of a run of `run_steps` steps (0: no run)."""
    settings = settings or Settings()
    rows = []
    for seconds in lengths:
        plan = long_plan(model, seconds)
        step = measure_step(model, plan, settings, repetitions=repetitions, clock=clock)
        row: dict[str, Any] = {**vars(step), "ratio": step.ratio, "limit": MAX_RATIO}
        if run_steps:
            run = measure_run(model, plan, replace(settings, steps=run_steps))
            row |= {"run_steps": run.steps, "run_calls": run.calls, "run_s": run.run_s}
        rows.append(row)
    return rows


def _timed(work: Callable[[], object], device: torch.device, clock: Clock) -> float:
    _wait(device)
    began = clock()
    work()
    _wait(device)
    return clock() - began


def _wait(device: torch.device) -> None:
    """Let an accelerator finish what it was asked to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
