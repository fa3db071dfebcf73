"""Training of the content classifier on the training split, and its score on real test clips."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from collage_motion.data.dataset import Clip, Dataset, Split
from collage_motion.errors import DataError

from .classifier import (
    MIN_FRAMES,
    ContentClassifier,
    ContentNet,
    classifier_inputs,
    pad_inputs,
    same_family,
)

SPLITS: Final[tuple[Split, ...]] = ("train", "val", "test")

MIN_CLIPS: Final = 10
"""A content is known from this many recorded clips on (mirror images not counted)."""

MIN_CROP: Final = 0.6
"""Training sees at least this share of a clip, so that an action may begin or end cut off."""


class Score(NamedTuple):
    """How a classifier does on clips: share of right names over all, per content, and the confusions.

    `family_accuracy` counts the names of one family as the same (`classifier.same_family`).
    """

    accuracy: float
    family_accuracy: float
    per_content: dict[str, float]
    confusions: dict[tuple[str, str], int]

    @property
    def balanced(self) -> float:
        """Mean over the contents, each weighing the same."""
        return float(np.mean(list(self.per_content.values())))


def known_contents(dataset: Dataset) -> tuple[str, ...]:
    """Contents with at least `MIN_CLIPS` recorded clips in the whole file, in alphabetical order."""
    clips = [clip for split in SPLITS for clip in dataset.clips(split, mirrored=False)]
    counts = Counter(clip.content for clip in clips if clip.content)
    return tuple(sorted(content for content, count in counts.items() if count >= MIN_CLIPS))


def train_classifier(
    dataset: Dataset,
    *,
    epochs: int = 12,
    batch_size: int = 48,
    width: int = 96,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> ContentClassifier:
    """Train on the training split and its mirror images; a content is drawn by the square root of its share.

    `progress` is called with (steps done, steps). Raises DataError when the file has no content to learn.
    """
    contents = known_contents(dataset)
    if len(contents) < 2:
        raise DataError("the prepared file has fewer than two contents with ten clips; nothing to tell apart")
    clips = _usable(dataset.clips("train"), contents)
    labels = np.array([contents.index(clip.content) for clip in clips])
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    net = ContentNet(len(contents), width)
    seen = np.concatenate([classifier_inputs(clip.joints) for clip in clips[:: max(1, len(clips) // 1000)]])
    net.mean.copy_(torch.from_numpy(seen.mean(0)))
    net.std.copy_(torch.from_numpy(seen.std(0) + 0.05))  # still joints must not be blown up
    share = np.bincount(labels, minlength=len(contents))[labels] ** -0.5
    steps = epochs * len(clips) // batch_size
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    net.train()
    for step in range(steps):
        chosen = rng.choice(len(clips), batch_size, p=share / share.sum())
        inputs, lengths = pad_inputs([classifier_inputs(_vary(clips[i].joints, rng)) for i in chosen])
        loss = nn.functional.cross_entropy(
            net(inputs, lengths), torch.from_numpy(labels[chosen]), label_smoothing=0.05
        )
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if progress:
            progress(step + 1, steps)
    return ContentClassifier(net, contents, {"steps": steps, "seed": seed, "clips": len(clips)})


def score_classifier(classifier: ContentClassifier, clips: Iterable[Clip]) -> Score:
    """Compare a classifier's answers with the labels of clips; clips of other contents are left out."""
    judged = _usable(clips, classifier.contents)
    if not judged:
        raise DataError("no clip has a content that the classifier knows")
    answers = classifier.classify([clip.joints for clip in judged])
    pairs = [(clip.content, answer) for clip, answer in zip(judged, answers, strict=True)]
    per_content = {
        content: float(np.mean([truth == answer for truth, answer in pairs if truth == content]))
        for content in sorted({truth for truth, _ in pairs})
    }
    wrong = Counter(pair for pair in pairs if pair[0] != pair[1])
    accuracy = float(np.mean([truth == answer for truth, answer in pairs]))
    families = float(np.mean([same_family(truth, answer) for truth, answer in pairs]))
    return Score(accuracy, families, per_content, dict(wrong.most_common()))


def _usable(clips: Iterable[Clip], contents: tuple[str, ...]) -> list[Clip]:
    return [clip for clip in clips if clip.content in contents and len(clip.joints) >= MIN_FRAMES]


def _vary(joints: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float64]:
    """A part of a clip, a little larger or smaller, faster or slower, and less exact.

    Generated bodies differ so from recorded ones; the judge must not mind.
    """
    length = int(np.ceil(len(joints) * rng.uniform(MIN_CROP, 1.0)))
    start = int(rng.integers(len(joints) - length + 1))
    part = joints[start : start + length].astype(np.float64) * rng.uniform(0.93, 1.07)
    times = np.linspace(0, length - 1, max(MIN_FRAMES, round(length * rng.uniform(0.9, 1.1))))
    below = np.minimum(times.astype(int), max(length - 2, 0))
    weight = (times - below)[:, None, None]
    part = part[below] * (1 - weight) + part[np.minimum(below + 1, length - 1)] * weight
    return np.asarray(part + rng.normal(0, 0.003, (1, *part.shape[1:])))
