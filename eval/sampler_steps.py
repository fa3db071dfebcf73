"""How many steps a sampler needs: what runs of few steps make beside the same sampler's run of many.

Clips: one window with one action, every sampler at several numbers of steps. Chains: DiffCollage appendix D asks
whether a chain needs more steps as it grows, for what one window knows spreads to the next only step by step.
All runs of a content, or a length, begin with the same noise; distances are between joints, in metres.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from collage_motion import pipeline
from collage_motion.data.captions import sample_caption
from collage_motion.errors import DataError
from collage_motion.export.atomic import replacing
from collage_motion.methods.tally import Tally
from collage_motion.models import Model
from collage_motion.motion import Motion
from collage_motion.plan import Plan, Segment
from collage_motion.settings import Settings

from .classifier import ContentClassifier
from .composers import Row, Task, quality, task_of
from .quality import across_heading, jerk, to_heading

STEPS: Final = (5, 10, 15, 20, 35, 50)
MANY: Final = 200
"""Steps of the runs that the others are compared with."""

STOCHASTIC: Final = ("ancestral",)
"""Samplers whose result depends on noise drawn on the way: with more steps it is another motion, not a better one."""


class Distance(NamedTuple):
    """Mean distance of the joints of two motions in metres: where they are, and as seen from the body.

    A small difference in turning or speed moves all that comes after it, so `placed` grows with the length; `pose`
    compares the poses, each in its own heading above its own floor point.
    """

    placed: float
    pose: float


def distance(joints: ArrayLike, other: ArrayLike) -> Distance:
    """The distance of two motions of joints (T, 22, 3); raises DataError for different shapes."""
    one, two = np.asarray(joints, np.float64), np.asarray(other, np.float64)
    if one.shape != two.shape:
        raise DataError(f"motions of shapes {one.shape} and {two.shape}; only equal ones have a distance")
    return Distance(_apart(one, two), _apart(_poses(one), _poses(two)))


def _poses(joints: NDArray[np.float64]) -> NDArray[np.float64]:
    return to_heading(joints - joints[:, :1] * np.array([1, 0, 1]), across_heading(joints))


def _apart(one: NDArray[np.float64], two: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(one - two, axis=-1).mean())


class References:
    """The runs of many steps, kept as files in a folder, so that a killed measurement finds them again."""

    def __init__(self, folder: Path, mark: str) -> None:
        """mark: tells references of different models or settings apart in one folder."""
        self.folder, self.mark = folder, mark

    def path(self, name: str) -> Path:
        """The file of a reference."""
        return self.folder / f"reference-{self.mark}-{name}.npz"

    def load(self, name: str) -> NDArray[np.float32] | None:
        """Joints (T, 22, 3), None where there is none yet."""
        if not self.path(name).exists():
            return None
        try:
            with np.load(self.path(name)) as file:
                return np.asarray(file["joints"])
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{self.path(name)}: not a reference ({error}); delete it") from None

    def forget(self) -> None:
        """Delete the references of this mark, which this class made."""
        for path in self.folder.glob(f"reference-{self.mark}-*.npz"):
            path.unlink()

    def save(self, name: str, joints: NDArray[np.float32]) -> None:
        """Keep joints (T, 22, 3)."""
        with replacing(self.path(name), overwrite=True) as part:
            np.savez(part, joints=joints)


def clip_task(content: str, seconds: float, seed: int) -> Task:
    """One segment that shows the content, with a caption that depends on the seed."""
    rng = np.random.default_rng([seed, len(content)])
    text = sample_caption(content, "normal", rng, plain=1.0)
    return Task(Plan((Segment(text, seconds),)), (content,))


def run(model: Model, settings: Settings, task: Task, seed: int) -> tuple[Motion, tuple[Any, ...], int]:
    """The motion of a task, its segments on the canvas, and how often the network was asked in turn."""
    tally, chosen = Tally(), settings.fitting(model)
    graph = chosen.graph(task.plan, model.card)
    features = pipeline.sample(graph, model, [seed], chosen, tally=tally)
    motion = pipeline.finish(features[0], task.plan, graph, model.card.fps, {})
    return motion, graph.segments, tally.rounds


def measure_clip(
    model: Model,
    classifier: ContentClassifier,
    settings: Settings,
    content: str,
    seconds: float,
    seed: int,
    references: References | None,
) -> Row:
    """One motion of one action. references: where the run of `MANY` steps is or goes; None for no distance."""
    task = clip_task(content, seconds, seed)
    motion, _, evaluations = run(model, settings, task, seed)
    row: Row = {
        "evaluations": evaluations,
        "answer": classifier.classify([motion.joints])[0],
        "jerk": float(np.median(jerk(motion.joints))),
    }
    if references is not None and settings.sampler not in STOCHASTIC:
        name = f"{settings.sampler}-{content}-{seed}"
        row |= compared(model, settings, task, seed, motion, references, name)
    return row


def measure_chain(
    model: Model,
    classifier: ContentClassifier,
    settings: Settings,
    seconds: float,
    seed: int,
    usual_jerk: float,
    references: References,
) -> Row:
    """One chain of actions: what it is like at its seams, and how far from the same chain in `MANY` steps."""
    task = task_of(classifier.contents, seconds, seed)
    motion, segments, evaluations = run(model, settings, task, seed)
    row = {"evaluations": evaluations, **quality(motion, segments, task, classifier, usual_jerk)}
    if settings.sampler in STOCHASTIC:
        return row
    name = f"chain-{settings.sampler}-{seconds:g}-{seed}"
    return row | compared(model, settings, task, seed, motion, references, name)


def compared(
    model: Model,
    settings: Settings,
    task: Task,
    seed: int,
    motion: Motion,
    references: References,
    name: str,
) -> Row:
    """Distance of a motion to the same in `MANY` steps, which is made where it is not there yet."""
    if settings.steps == MANY:
        references.save(name, motion.joints)
        return {"placed": 0.0, "pose": 0.0}
    joints = references.load(name)
    if joints is None:
        other, _, _ = run(model, replace(settings, steps=MANY), task, seed)
        joints = other.joints
        references.save(name, joints)
    return distance(motion.joints, joints)._asdict()
