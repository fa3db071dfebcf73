"""Motions that exist already: joined by a bridge, passing from one prompt to the next, changed by another prompt."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from collage_motion import __version__
from collage_motion.conditioning import SPREAD_S, known, reconstruction, replacement
from collage_motion.data.resample import resample
from collage_motion.data.retarget import onto_floor, onto_skeleton
from collage_motion.errors import CollageError, DataError, PlanError
from collage_motion.extraction import extract_features
from collage_motion.gradual import Key, Mix, gradual
from collage_motion.graph import Graph
from collage_motion.methods import check_on_graphs
from collage_motion.models import Model, load_model
from collage_motion.motion import MAX_METRES, Motion
from collage_motion.pipeline import (
    MAKE_PLAN,
    Settings,
    check_kind,
    finish,
    pick_device,
    record,
    sample,
    to_motion,
)
from collage_motion.plan import Plan, Segment, checked_pair
from collage_motion.samplers.steps import Progress
from collage_motion.skeleton import FPS, N_JOINTS
from collage_motion.topology import WINDOW_S, morphing

CONTEXT_S: Final = 2.0
"""How much of the two motions a bridge looks at, on each side."""
CONDITIONS: Final = ("replacement", "reconstruction")


def bridge(
    first: Motion,
    second: Motion,
    seconds: float,
    model: Model | str | Path = "default",
    *,
    prompts: tuple[str, str] | None = None,
    condition: Literal["replacement", "reconstruction"] = "replacement",
    seed: int = 0,
    device: str | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Motion:
    """Join two motions by `seconds` of new motion (DiffCollage Fig. 6).

    The end of the first, the bridge and the beginning of the second are one canvas, composed of windows whose
    prompts pass from that of the first to that of the second by slerp of their embeddings; the known frames are
    held by Algorithm 4 (or 5) with the composed denoiser. The features of both motions stay as they are: since
    they are relative to the body, the second is carried along rigidly, to where the bridge leads.

    prompts: what the two show, by default what they say of their last and first frame. settings: fields of
    `Settings`. Raises DataError for motions of another frame rate, PlanError for a bridge that is too short or
    prompts that are not two lines of words, or another `CollageError`.
    """
    told = checked_pair((first.prompts[-1], second.prompts[0]) if prompts is None else prompts, "prompts")
    if condition not in CONDITIONS:
        raise CollageError(f"condition: got {condition!r}; allowed: {', '.join(CONDITIONS)}")
    chosen, loaded = _ready(model, device, settings, gradual=True)
    for number, motion in enumerate((first, second), start=1):
        _check_rate(motion, loaded, f"motion {number}")
    fps = loaded.card.fps
    gap, context = _frames(seconds, fps, "bridge"), round(CONTEXT_S * fps)
    before, after = first.features[-context:], second.features[:context]
    n_frames = len(before) + gap + len(after)
    overlap = round(chosen.overlap * fps)
    graph, mixes = gradual(
        n_frames,
        told,
        (Key(len(before), 0), Key(len(before) + gap, 1)),
        chosen.limits(loaded.card),
        overlap,
        # Three windows at least, if they fit: two that know an end, and one on the way.
        min(round(WINDOW_S * fps), (n_frames + 2 * overlap) // 3),
    )
    canvas = np.concatenate((before, np.zeros((gap, before.shape[1]), np.float32), after))
    mask = np.ones(n_frames, bool)
    mask[len(before) : len(before) + gap] = False
    # Without a spread replacement takes no notice of where the known frames are until it meets them, with a jerk;
    # reconstruction makes no use of it.
    held = known(torch.from_numpy(loaded.normaliser.normalise(canvas)), mask, SPREAD_S * fps)
    if condition == "replacement":
        wrap = partial(replacement, condition=held)
    else:
        wrap = partial(reconstruction, condition=held, weight=chosen.reconstruction_weight)
    made = _sampled(graph, told, mixes, loaded, seed, chosen, progress, condition=wrap)
    start, stop = first.n_frames, first.n_frames + gap
    middle = made[len(before) : len(before) + gap]
    seams = [*first.seams, start, stop, *(stop + seam for seam in second.seams)]
    return to_motion(
        np.concatenate((first.features, middle, second.features)),
        [*first.prompts, *[told[0]] * (gap - gap // 2), *[told[1]] * (gap // 2), *second.prompts],
        sorted({seam for seam in seams if seam}),
        fps,
        {
            **record(loaded, seed, chosen),
            "bridge": {"seconds": seconds, "prompts": list(told), "condition": condition},
            "joined": [dict(first.settings), dict(second.settings)],
        },
    )


def morph(
    plan: Plan,
    model: Model | str | Path = "default",
    *,
    seed: int = 0,
    device: str | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Motion:
    """Make a motion that passes gradually from each segment's prompt to the next one's.

    A segment's prompt holds in its middle; from there to the middle of the next the windows of the chain (or
    cycle) are told embeddings interpolated by slerp (DiffCollage Fig. 6). Overlaps between segments are those
    of the settings. Raises PlanError for a plan too short for the model's windows, or another `CollageError`.
    """
    check_kind(plan, Plan, "plan", MAKE_PLAN)
    chosen, loaded = _ready(model, device, settings, gradual=True)
    graph, told, mixes = morphing(plan, chosen.limits(loaded.card), chosen.overlap)
    made = _sampled(graph, told, mixes, loaded, seed, chosen, progress)
    how = {**record(loaded, seed, chosen), "morph": True, "plan": asdict(plan)}
    return finish(made, plan, graph, loaded.card.fps, how)


def edit(
    motion: Motion,
    prompt: str | Plan,
    strength: float = 0.5,
    model: Model | str | Path = "default",
    *,
    seed: int = 0,
    device: str | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Motion:
    """Change a motion by another prompt: put it under noise and take that away (SDEdit, Meng et al. 2022).

    prompt: one for the whole motion, or a plan as long as it. strength: share of the steps that are taken; near
    0 little changes, 1 leaves nothing of the motion; there is guidance throughout, unless `guidance_above` is given. A
    loop stays one. Raises DataError for a motion of
    another frame rate, PlanError for a plan of another length, or another `CollageError`.
    """
    if not isinstance(prompt, str):
        check_kind(prompt, Plan, "prompt", MAKE_PLAN)
    # Weaker edits begin below the level where guidance usually ends, and would not be guided at all.
    chosen, loaded = _ready(model, device, {"guidance_above": 0.0, **settings})
    _check_rate(motion, loaded, "the motion")
    fps = loaded.card.fps
    plan = prompt
    if isinstance(plan, str):
        plan = Plan((Segment(plan, motion.n_frames / fps, place="the motion"),), loop=0 in motion.seams)
    graph = chosen.graph(plan, loaded.card)
    if graph.n_frames != motion.n_frames:
        raise PlanError(
            f"edit: the plan lasts {graph.n_frames / fps:g} s, the motion {motion.duration_s:g} s; give them one length"
        )
    made = sample(graph, loaded, [seed], chosen, progress, begin=motion.features, strength=strength)[0]
    how = {"plan": asdict(plan), "edit": {"strength": strength, "of": dict(motion.settings)}}
    return finish(made, plan, graph, fps, {**record(loaded, seed, chosen), **how})


def motion_from_joints(joints: ArrayLike, fps: float = FPS, prompt: str = "") -> Motion:
    """A motion from elsewhere, as the default model's training data were made: to join or to edit.

    Resampled to 20 frames a second, put on the common bone lengths and on the floor; features are extracted with
    rotations free of the heading. The first and the last frame are lost to differences. Takes (T, 22, 3) in
    metres, y up, in the order of `skeleton.JOINTS` (`data.retarget` gives them for known skeletons). Raises
    DataError for other shapes, numbers that are not finite or beyond `MAX_METRES`, or too few frames.
    """
    places = np.asarray(joints, np.float64)
    if places.ndim != 3 or places.shape[1:] != (N_JOINTS, 3) or not np.isfinite(places).all():
        raise DataError(
            f"joints: got shape {places.shape}; allowed: (frames, {N_JOINTS}, 3), all numbers finite"
        )
    if (farthest := np.abs(places).max(initial=0.0)) > MAX_METRES:
        raise DataError(
            f"joints: got one {farthest:.3g} m away; allowed: up to {MAX_METRES:g} m, give metres"
        )
    places = resample(places, fps)
    if len(places) < 3:
        raise DataError(f"joints: got {len(places)} frames at {FPS} a second; allowed: 3 or more")
    rows = extract_features(onto_floor(onto_skeleton(places)), heading_free=True)[1:]
    return to_motion(rows, [prompt] * len(rows), (), FPS, {"version": __version__, "source": "joints"})


def _ready(
    model: Model | str | Path, device: str | None, settings: dict[str, Any], gradual: bool = False
) -> tuple[Settings, Model]:
    chosen = Settings(**settings)
    check_on_graphs(chosen.method)
    if gradual:
        chosen.check_gradual()
    if not isinstance(model, Model):
        model = load_model(model, pick_device(device))
    return chosen.fitting(model), model


def _sampled(
    graph: Graph,
    prompts: Sequence[str],
    mixes: Sequence[Mix],
    model: Model,
    seed: int,
    settings: Settings,
    progress: Progress | None,
    **more: Any,
) -> NDArray[np.float32]:
    """One canvas (F, 263) of a graph whose prompts are mixes of `prompts`."""
    texts = model.encode(prompts).between(mixes)
    return sample(graph, model, [seed], settings, progress, texts=texts, **more)[0]


def _check_rate(motion: Motion, model: Model, name: str) -> None:
    if motion.fps != model.card.fps:
        raise DataError(
            f"{name}: has {motion.fps} frames a second, the model {model.card.fps}; resample its joints and use "
            "motion_from_joints"
        )


def _frames(seconds: float, fps: int, what: str) -> int:
    if not 0.0 < seconds < 3600.0 or round(seconds * fps) < 1:
        raise PlanError(f"{what}: got {seconds:g} s; allowed: {1 / fps:g} to 3600 s, usually 1 to 4")
    return round(seconds * fps)
