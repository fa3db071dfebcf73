"""From a plan to motions: the one module that sees every layer."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from collage_motion import __version__
from collage_motion.compose import compose
from collage_motion.denoiser import budgeted, guided
from collage_motion.errors import CollageError, PlanError
from collage_motion.features import features_to_joints
from collage_motion.graph import Graph
from collage_motion.kinematics import forward_kinematics, solve_rotations
from collage_motion.models import Model, load_model
from collage_motion.motion import Motion
from collage_motion.noise import canvas_noise
from collage_motion.plan import Plan
from collage_motion.samplers import get_sampler
from collage_motion.samplers.steps import Progress
from collage_motion.schedule import spaced_sigmas
from collage_motion.skeleton import N_FEATURES
from collage_motion.topology import Variables, build

DEFAULT_STEPS = 50
DEFAULT_GUIDANCE = 2.5
DEFAULT_OVERLAP = 1.0
MAX_TOKENS = 200_000
"""Frames of all rows in one network call: about 2 GB of activations for the default model."""


@dataclass(frozen=True)
class Settings:
    """How a plan is sampled; the defaults are those of the command line.

    steps: denoising steps. guidance: classifier-free guidance scale inside segments. overlap: seconds that
    neighbouring windows share. variables: what an overlap is told (see `topology.chain`). sigma_end: the last
    noise level above zero. max_tokens: memory budget, frames of all rows in one network call.
    """

    steps: int = DEFAULT_STEPS
    guidance: float = DEFAULT_GUIDANCE
    overlap: float = DEFAULT_OVERLAP
    variables: Variables = "auto"
    sampler: str = "ddim"
    spacing: str = "uniform"
    sigma_end: float | None = None
    max_tokens: int = MAX_TOKENS

    def __post_init__(self) -> None:
        if not 0 <= self.guidance <= 100:
            raise CollageError(f"guidance: got {self.guidance:g}; allowed: 0 to 100, usually 1.5 to 4")


def pick_device(name: str | None) -> torch.device:
    """The device of that name, or the accelerator if there is one, else the CPU; raises `CollageError`."""
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise CollageError(f"device {name!r} is not there; use cpu, or leave --device away") from None
    return device


def generate(
    plan: Plan,
    model: Model | str | Path = "default",
    *,
    seed: int = 0,
    device: str | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Motion:
    """Make one motion of a plan; the keyword arguments are the fields of `Settings`.

    Raises `PlanError`, `ModelError` or another `CollageError` for what cannot be made.
    """
    return generate_many(plan, [seed], model, device=device, progress=progress, **settings)[0]


def generate_many(
    plan: Plan,
    seeds: Sequence[int],
    model: Model | str | Path = "default",
    *,
    device: str | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> list[Motion]:
    """Make one motion per seed, all in the same batches; each equals what `generate` makes of its seed."""
    chosen = Settings(**settings)
    if not isinstance(model, Model):
        model = load_model(model, pick_device(device))
    graph = build(plan, model.card, chosen.overlap, chosen.variables)
    features = sample(graph, model, seeds, chosen, progress)
    record = {
        "version": __version__,
        "model": model.card.name,
        "plan": {"segments": [asdict(s) for s in plan.segments], "loop": plan.loop},
        **asdict(chosen),
    }
    return [
        finish(rows, plan, graph, model.card.fps, {**record, "seed": int(seed)})
        for seed, rows in zip(seeds, features, strict=True)
    ]


def sample(
    graph: Graph, model: Model, seeds: Sequence[int], settings: Settings, progress: Progress | None = None
) -> NDArray[np.float32]:
    """Sample the canvas of a graph once per seed: de-normalised features (S, F, 263).

    Noise belongs to canvas frames, so the memory budget and the number of samples change nothing beyond
    rounding.
    """
    windows = budgeted(model.bind(graph.prompts), settings.max_tokens)
    denoise = compose(graph, guided(windows, settings.guidance))
    sigmas = spaced_sigmas(model.schedule, settings.steps, settings.spacing, settings.sigma_end)

    def noise(stream: int) -> torch.Tensor:
        values = canvas_noise(seeds, graph.n_frames, N_FEATURES, stream)
        return torch.from_numpy(values).to(model.device)

    sampler = get_sampler(settings.sampler)
    with torch.inference_mode():
        x = sampler(denoise, noise(0) * sigmas[0], sigmas, lambda k: noise(k + 1), progress)
    if not x.isfinite().all():
        raise CollageError(
            f"sampling: {int((~x.isfinite()).sum())} numbers are not finite; lower --guidance or use another seed"
        )
    return model.normaliser.denormalise(x.float().cpu().numpy())


def finish(
    features: NDArray[np.float32], plan: Plan, graph: Graph, fps: int, settings: dict[str, Any]
) -> Motion:
    """Turn sampled features (F, 263) into a `Motion` with constant bone lengths."""
    rotations, offsets = solve_rotations(raw := features_to_joints(features))
    prompts: list[str] = []
    for segment, (first, end) in zip(plan.segments, graph.segments, strict=True):
        prompts += [segment.prompt] * (end - first)
    if len(prompts) != graph.n_frames:
        raise PlanError(f"plan: its segments cover {len(prompts)} of {graph.n_frames} frames")
    return Motion(
        features=features,
        joints=forward_kinematics(rotations, offsets, raw[:, 0]),
        rotations=rotations,
        offsets=offsets,
        fps=fps,
        prompts=tuple(prompts),
        seams=graph.seams,
        settings=settings,
    )
