"""From a plan to motions: the one module that sees every layer."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from collage_motion import __version__
from collage_motion.card import ModelCard
from collage_motion.compose import Guidance
from collage_motion.conditioning import remaining
from collage_motion.denoiser import Denoiser, WindowDenoiser, budgeted, mixed
from collage_motion.errors import CollageError, PlanError
from collage_motion.features import features_to_joints
from collage_motion.graph import Graph
from collage_motion.kinematics import forward_kinematics, solve_rotations
from collage_motion.lengths import travels
from collage_motion.methods import check_method, check_on_graphs, get_method
from collage_motion.methods.job import Job
from collage_motion.methods.seam_factors import with_seam_factors
from collage_motion.methods.tally import Tally
from collage_motion.models import Model, load_model
from collage_motion.models.prompts import PromptTable
from collage_motion.motion import Motion
from collage_motion.noise import canvas_noise
from collage_motion.padding import Padding
from collage_motion.plan import Plan
from collage_motion.samplers import get_sampler
from collage_motion.samplers.restarts import restarted
from collage_motion.samplers.steps import Progress
from collage_motion.schedule import spaced_sigmas
from collage_motion.settings import Settings as Settings
from collage_motion.skeleton import N_FEATURES
from collage_motion.topology import Branch, segments_of, stories, tree

MAKE_PLAN: Final = "plan_from_prompts(['a person walks::3']) or read_plan('plan.yaml')"


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
    condition: Callable[[Denoiser], Denoiser] | None = None,
    **settings: Any,
) -> Motion:
    """Make one motion of a plan; the keyword arguments are the fields of `Settings`.

    condition: a wrapper around the denoiser of the canvas that holds it to something (see `conditioning`), in
    normalised features: `lambda denoise: replacement(denoise, known(model.normaliser.normalise(features), mask, 8))`.
    Raises `PlanError`, `ModelError` or another `CollageError` for what cannot be made.
    """
    motions = generate_many(
        plan, [seed], model, device=device, progress=progress, condition=condition, **settings
    )
    return motions[0]


def generate_many(
    plan: Plan,
    seeds: Sequence[int],
    model: Model | str | Path = "default",
    *,
    device: str | None = None,
    progress: Progress | None = None,
    condition: Callable[[Denoiser], Denoiser] | None = None,
    **settings: Any,
) -> list[Motion]:
    """Make one motion per seed, all in the same batches; each equals what `generate` makes of its seed."""
    check_kind(plan, Plan, "plan", MAKE_PLAN)
    if not len(seeds):
        raise CollageError("seeds: got none; give one for each motion to make, such as [0, 1]")
    if condition is not None and not callable(condition):
        raise CollageError(
            f"condition: got a {type(condition).__name__}; allowed: a wrapper around a denoiser, such as "
            "lambda denoise: replacement(denoise, condition)"
        )
    chosen = Settings(**settings)
    check_method(chosen.method, loop=plan.loop)
    if not isinstance(model, Model):
        model = load_model(model, pick_device(device))
    chosen = chosen.fitting(model)
    graph = chosen.graph(plan, model.card)
    features = sample(graph, model, seeds, chosen, progress, condition=condition)
    return [
        finish(rows, plan, graph, model.card.fps, {**record(model, seed, chosen), "plan": asdict(plan)})
        for seed, rows in zip(seeds, features, strict=True)
    ]


def generate_tree(
    root: Branch,
    model: Model | str | Path = "default",
    *,
    seed: int = 0,
    device: str | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> list[Motion]:
    """Make a story that branches: one motion for each of its ways (`topology.stories`), in their order.

    All branches are sampled together on one canvas (DiffCollage section 4.1, trees), so the ways are the same,
    frame by frame, up to where they part. The keyword arguments are the fields of `Settings`; raises as `generate`
    does.
    """
    check_kind(root, Branch, "tree", "collage_motion.Branch(plan, [branches])")
    chosen = Settings(**settings)
    check_on_graphs(chosen.method, "make a story that branches")
    if not isinstance(model, Model):
        model = load_model(model, pick_device(device))
    chosen = chosen.fitting(model)
    graph = tree(
        root,
        chosen.limits(model.card),
        chosen.overlap,
        chosen.variables,
        chosen.usual((segment.prompt for segment in segments_of(root)), model.card),
    )
    features = sample(graph, model, [seed], chosen, progress)[0]
    known = {**record(model, seed, chosen), "tree": asdict(root)}
    return [
        to_motion(
            features[list(story.frames)],
            shown(story.plan, story.segments),
            story.seams,
            model.card.fps,
            {**known, "plan": asdict(story.plan), "story": number},
        )
        for number, story in enumerate(stories(root, model.card.fps))
    ]


def check_kind(given: Any, kind: type, name: str, cure: str) -> None:
    """Raise PlanError unless what was given is of that kind."""
    if not isinstance(given, kind):
        raise PlanError(f"{name}: got {repr(given)[:40]}; allowed: a {kind.__name__}; make one with {cure}")


def record(model: Model, seed: int, settings: Settings) -> dict[str, Any]:
    """What every motion keeps of how it was made, as JSON values."""
    return {"version": __version__, "model": model.card.name, "seed": int(seed), **asdict(settings)}


def sample(
    graph: Graph,
    model: Model,
    seeds: Sequence[int],
    settings: Settings,
    progress: Progress | None = None,
    *,
    texts: PromptTable | None = None,
    condition: Callable[[Denoiser], Denoiser] | None = None,
    begin: NDArray[np.float32] | None = None,
    strength: float = 1.0,
    tally: Tally | None = None,
    going: Collection[int] | None = None,
) -> NDArray[np.float32]:
    """Sample the canvas of a graph once per seed: de-normalised features (S, F, 263).

    Noise belongs to canvas frames, so the memory budget and the number of samples change nothing beyond
    rounding. texts: what the graph's prompts are, if not the words in it. condition: a wrapper around the
    denoiser of the canvas (see `conditioning`), in the network's own space. begin: features (F, 263) of a motion
    to begin with instead of noise alone, `strength` of the steps from the end. tally: counts the network's calls.
    going: numbers of the graph's prompts that travel, if not those of which the model's card says so.
    """
    if settings.seam_factors:
        graph = with_seam_factors(graph, settings.limits(model.card))
    ends = (None, None) if settings.spacing == "ddim" else (settings.sigma_end, settings.sigma_start)
    sigmas = spaced_sigmas(model.schedule, settings.steps, settings.spacing, *ends)
    frames = model.card.padding
    if going is None:
        going = travelling(graph, model.card) if settings.staggers else ()
    tally = tally or Tally()

    def bind(prompts: Sequence[str]) -> WindowDenoiser:
        own = texts is not None and tuple(prompts) == graph.prompts
        network = tally.network(model.bind(texts if texts is not None and own else prompts))
        if settings.precision == "mixed":
            network = mixed(network)
        return tally.round(budgeted(network, settings.max_tokens))

    def noise(stream: int, start: int = 0, count: int | None = None) -> torch.Tensor:
        count = graph.n_frames - start if count is None else count
        values = canvas_noise(seeds, count, N_FEATURES, stream, start)
        return torch.from_numpy(values).to(model.device)

    job = Job(
        graph,
        bind,
        restarted(get_sampler(settings.sampler, **settings.sampler_options), settings.restarts),
        sigmas if begin is None else remaining(sigmas, strength),
        noise,
        settings.limits(model.card),
        Padding(frames, tuple(seeds), settings.padding) if frames else None,
        settings.blend,
        settings.reconstruction_weight,
        round(settings.taper * model.card.fps),
        settings.apart_above,
        settings.stagger_below,
        going,
        settings.spread * model.card.fps,
        Guidance(settings.guidance, settings.share_guidance, settings.guidance_above),
        None if begin is None else torch.from_numpy(model.normaliser.normalise(begin)).to(model.device),
        condition,
        progress,
    )
    with torch.no_grad():  # not inference_mode: reconstruction asks for gradients within
        x = get_method(settings.method)(job)
    if not x.isfinite().all():
        raise CollageError(
            f"sampling: {int((~x.isfinite()).sum())} numbers are not finite; lower --guidance or use another seed"
        )
    return model.normaliser.denormalise(x.float().cpu().numpy())


def travelling(graph: Graph, card: ModelCard) -> tuple[int, ...]:
    """The numbers of a graph's prompts whose motion goes somewhere (`lengths.travels`)."""
    return tuple(number for number, prompt in enumerate(graph.prompts) if travels(prompt, card))


def finish(
    features: NDArray[np.float32], plan: Plan, graph: Graph, fps: int, settings: dict[str, Any]
) -> Motion:
    """Turn sampled features (F, 263) into a `Motion` with constant bone lengths."""
    prompts = shown(plan, graph.segments)
    if len(prompts) != graph.n_frames:
        raise PlanError(f"plan: its segments cover {len(prompts)} of {graph.n_frames} frames")
    return to_motion(features, prompts, graph.seams, fps, settings)


def shown(plan: Plan, segments: Sequence[tuple[int, int]]) -> list[str]:
    """The prompt of each frame; `segments` are the first frame and one past the last of each of the plan's."""
    pairs = zip(plan.segments, segments, strict=True)
    return [segment.prompt for segment, (first, end) in pairs for _ in range(end - first)]


def to_motion(
    features: NDArray[np.float32],
    prompts: Sequence[str],
    seams: Sequence[int],
    fps: int,
    settings: dict[str, Any],
) -> Motion:
    """The `Motion` of features (F, 263) and one prompt a frame: joints, rotations, constant bone lengths."""
    rotations, offsets = solve_rotations(raw := features_to_joints(features))
    return Motion(
        features=features,
        joints=forward_kinematics(rotations, offsets, raw[:, 0]),
        rotations=rotations,
        offsets=offsets,
        fps=fps,
        prompts=tuple(prompts),
        seams=tuple(seams),
        settings=settings,
    )
