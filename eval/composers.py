"""Every way to compose long motion in one table: what each makes of the same plans and noise, and what it costs.

A cell of the table is one composer, one length of motion and one seed; the seed fixes the plan and the noise, so
that all composers are asked for the same.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from collage_motion import pipeline
from collage_motion.data.captions import sample_caption
from collage_motion.data.dataset import Clip
from collage_motion.errors import CollageError, DataError, PlanError
from collage_motion.methods import METHODS
from collage_motion.methods.tally import Tally
from collage_motion.models import Model
from collage_motion.motion import Motion
from collage_motion.pipeline import Settings
from collage_motion.plan import Plan, Segment

from .accuracy import content_accuracy
from .classifier import ContentClassifier
from .jerk import areas, mean_jerk, peaks, random_seams, seam_curves
from .memory import watched_memory
from .quality import slide, total_slide

Options = Mapping[str, Any]
Row = dict[str, Any]

SEGMENT_SECONDS: Final = 5.0

COMPOSERS: Final[dict[str, Options]] = {
    "collage": {"method": "collage"},
    "collage+seams": {"method": "collage", "seam_factors": True},
    **{name: {"method": name} for name in METHODS if name != "collage"},
}
"""Every method, and the collage with seam factors: the fields of `Settings` that make it."""

KNOBS: Final[dict[str, tuple[Options, ...]]] = {
    "collage": tuple({"overlap": value} for value in (0.8, 1.0, 1.5, 2.0, 3.0)),
    "collage+seams": tuple({"overlap": value} for value in (1.0, 1.5, 2.0, 3.0)),
    "consensus": tuple({"overlap": value} for value in (1.0, 1.5, 2.0, 3.0)),
    "handshake": tuple({"overlap": value} for value in (1.0, 1.5, 2.0, 3.0)),
    "blend": tuple({"blend": value} for value in (0.25, 0.5, 0.75)),
    "reconstruction": tuple({"reconstruction_weight": value} for value in (1.0, 3.0, 10.0)),
}
"""What the search tries, all else as in the table. Those without an entry have no knob of their own."""

REAL_WINDOWS: Final = 1000


@dataclass(frozen=True)
class Task:
    """A plan with what each of its segments should show."""

    plan: Plan
    contents: tuple[str, ...]


def task_of(contents: Sequence[str], seconds: float, seed: int) -> Task:
    """A plan of that length: contents in random order, no two neighbours alike, one plain caption each.

    Segments last `SEGMENT_SECONDS`, or a little less or more so that they fill the length. A content comes
    again only after all others.
    """
    if not seconds > 0 or len(contents) < 2:
        raise DataError(
            f"a task of {seconds:g} s with {len(contents)} contents; allowed: above 0 s, 2 contents or more"
        )
    count = max(1, round(seconds / SEGMENT_SECONDS))
    rng = np.random.default_rng([seed, count])
    said = {content: sample_caption(content, "normal", rng, plain=1.0) for content in contents}
    order: list[str] = []
    while len(order) < count:
        block = rng.permutation(list(contents)).tolist()
        order += block[1:] + block[:1] if order and order[-1] == block[0] else block
    chosen = tuple(order[:count])
    return Task(Plan(tuple(Segment(said[content], seconds / count) for content in chosen)), chosen)


def readable(plan: Plan, model: Model) -> tuple[Plan, int]:
    """The plan as naive denoising can be told it, and how many of its prompts that are.

    Naive denoising says all prompts in one sentence, and a text encoder reads only so many words: prompts behind
    those are left away, their time being given to the last one that fits.
    """
    prompts = list(dict.fromkeys(segment.prompt for segment in plan.segments))
    for count in range(len(prompts), 0, -1):
        try:
            model.bind((", then ".join(prompts[:count]),))
        except PlanError:
            if count == 1:
                raise
            continue
        break
    told = set(prompts[:count])
    segments, last = [], plan.segments[0].prompt
    for segment in plan.segments:
        last = segment.prompt if segment.prompt in told else last
        segments.append(replace(segment, prompt=last))
    return Plan(tuple(segments), plan.loop), count


def measure_cell(
    model: Model,
    classifier: ContentClassifier,
    settings: Settings,
    seconds: float,
    seed: int,
    usual_jerk: float,
) -> Row:
    """Make one motion and measure it: a row of plain numbers, or of `error` alone where it cannot be made.

    usual_jerk: mean jerk of real motion, for the area. Time and memory are those of the sampling.
    """
    task = task_of(classifier.contents, seconds, seed)
    tally, chosen = Tally(), settings.fitting(model)
    try:
        plan, told = readable(task.plan, model) if settings.method == "naive" else (task.plan, None)
        graph = chosen.graph(plan, model.card)
        with watched_memory(model.device) as memory:
            began, spent = time.perf_counter(), time.process_time()
            features = pipeline.sample(graph, model, [seed], chosen, tally=tally)
            wall, cpu = time.perf_counter() - began, time.process_time() - spent
        motion = pipeline.finish(features[0], plan, graph, model.card.fps, {})
    except CollageError as error:
        return {"error": str(error)}
    cost = {**vars(tally), "wall_s": wall, "cpu_s": cpu, "memory_b": memory.extra}
    return {**cost, "prompts_told": told, **quality(motion, graph.segments, task, classifier, usual_jerk)}


def quality(
    motion: Motion,
    segments: Sequence[tuple[int, int]],
    task: Task,
    classifier: ContentClassifier,
    usual_jerk: float,
) -> Row:
    """What a motion is like at its seams, at its feet, and in what its segments show."""
    feet = slide(motion.joints)
    parts = [motion.joints[first:end] for first, end in segments]
    row: Row = {
        "slide_m": feet.metres,
        "slide_s": feet.seconds,
        "contents": list(task.contents),
        "answers": classifier.classify(parts),
        "seams": 0,
    }
    if len(segments) > 1:
        curves = seam_curves([motion.joints], [[first for first, _ in segments[1:]]])
        row |= {
            "seams": len(curves),
            "curve": curves.mean(0).tolist(),
            "peaks": peaks(curves).tolist(),
            "areas": areas(curves, usual_jerk).tolist(),
            "usual_jerk": usual_jerk,
        }
    return row


@dataclass(frozen=True)
class Real:
    """What real clips give in the same figures: mean jerk, jerk at random places (W, 57), sliding, answers."""

    usual_jerk: float
    curves: NDArray[np.float64]
    slide_m_per_s: float
    accuracy: float
    family_accuracy: float
    clips: int

    def header(self) -> Row:
        """What of it rows depend on, rounded so that it is the same on every machine."""
        return {"clips": self.clips, "usual_jerk": float(f"{self.usual_jerk:.6g}")}


def measure_real(clips: Sequence[Clip], classifier: ContentClassifier) -> Real:
    """The figures of real clips; places are random, every possible one being as likely."""
    joints = [clip.joints for clip in clips]
    places = random_seams(joints, REAL_WINDOWS, np.random.default_rng(0))
    named = [clip for clip in clips if clip.content in classifier.contents and len(clip.joints) >= 4]
    right = content_accuracy(classifier, [clip.joints for clip in named], [clip.content for clip in named])
    return Real(
        mean_jerk(joints),
        seam_curves(joints, places),
        total_slide(joints).speed,
        right.exact,
        right.family,
        len(clips),
    )
