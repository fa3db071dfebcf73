"""Clips with a whole skeleton that move by formula, for tests that need features of real shape."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from collage_motion.data.batches import Recording
from collage_motion.data.dataset import Clip
from collage_motion.eval.benchmark import Benchmark, BenchmarkItem, make_benchmark
from collage_motion.skeleton import PARENTS, RAW_DIRECTIONS

ARMS = {"raise-up-left-hand": (18, 20), "raise-up-right-hand": (19, 21), "wave-both-hands": (18, 19, 20, 21)}


def skeleton() -> NDArray[np.float64]:
    """The 22 joints of a body at rest, bones of 15 cm or so, lowest joint at 0."""
    places = np.zeros((22, 3))
    for joint in range(1, 22):
        places[joint] = places[PARENTS[joint]] + 0.15 * np.asarray(RAW_DIRECTIONS[joint], float)
    for side, hand in ((1, (16, 18, 20)), (-1, (17, 19, 21))):
        for joint in hand:
            places[joint, 0] += 0.08 * side
    places[:, 1] -= places[:, 1].min()
    return places


def moving(content: str, n_frames: int, seed: int) -> NDArray[np.float32]:
    """Joints (T, 22, 3) of an action: walking goes forward with swinging legs, hands are raised or waved."""
    rng = np.random.default_rng(seed)
    t = np.arange(n_frames)[:, None]
    joints = np.repeat(skeleton()[None], n_frames, axis=0)
    phase = 2 * np.pi * t / rng.uniform(16, 24) + rng.uniform(0, 6)
    if content.startswith(("walk", "run")):
        speed = rng.uniform(0.03, 0.05) * (2.0 if content == "run" else 1.0)
        joints[..., 2] += speed * t
        joints[:, (4, 7, 10), 2] += 0.1 * np.sin(phase)
        joints[:, (5, 8, 11), 2] -= 0.1 * np.sin(phase)
    for joint in ARMS.get(content, ()):
        joints[:, joint, 1] += (0.25 + 0.1 * np.sin(phase))[:, 0]
        joints[:, joint, 2] += (0.1 * np.cos(phase))[:, 0]
    joints += rng.normal(0, 0.0005, joints.shape)
    return joints.astype(np.float32)


def clips(per_content: int = 12, styles: tuple[str, ...] = ("normal",), frames: int = 40) -> list[Clip]:
    """So many clips of five contents in each style, of random lengths around `frames`."""
    contents = ("walk", "run", *ARMS)
    rows = []
    for content in contents:
        for style in styles:
            for number in range(per_content):
                length = frames + 3 * number % 20
                joints = moving(content, length, len(rows))
                name = f"{content}-{style}-{number}"
                rows.append(Clip(name, joints, content, style, "made", "", mirrored=False))
    return rows


def small_benchmark(per_content: int = 12, **more: object) -> Benchmark:
    """A benchmark of `clips`."""
    return make_benchmark(clips(per_content, **more))  # type: ignore[arg-type]


def recordings(items: Sequence[BenchmarkItem]) -> list[Recording]:
    """The recordings behind items that have a content."""
    return [Recording(item.features, item.content, item.style, "") for item in items]
