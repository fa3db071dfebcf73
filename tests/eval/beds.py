"""Small test beds: a prepared file of made-up clips, an evaluator with random weights, HumanML3D's layout."""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from collage_motion.data.dataset import PreparedClip, write_dataset
from collage_motion.eval.evaluator import Evaluator, EvaluatorSizes
from collage_motion.eval.own_evaluator import CARD, FORMAT, WEIGHTS
from collage_motion.skeleton import N_FEATURES, PARENTS

CONTENTS = ("walk", "run", "wave-both-hands", "raise-up-both-hands", "bow", "walk-back")
STYLES = ("normal", "happy", "angry", "elderly", "tired", "proud", "childish", "giant")

_STEPS = {
    1: (0.1, -0.05, 0), 2: (-0.1, -0.05, 0), 4: (0, -0.4, 0.01), 5: (0, -0.4, 0.01), 7: (0, -0.4, -0.02),
    8: (0, -0.4, -0.02), 10: (0, -0.05, 0.12), 11: (0, -0.05, 0.12), 13: (0.06, 0.1, 0), 14: (-0.06, 0.1, 0),
    16: (0.12, 0.02, 0), 17: (-0.12, 0.02, 0), 18: (0.25, 0, 0.02), 19: (-0.25, 0, 0.02), 20: (0.24, 0, 0.02),
    21: (-0.24, 0, 0.02),
}  # fmt: skip


def body(n_frames, rng):
    """Joints (T, 22, 3) of a body of constant bones that walks along +z and moves its limbs."""
    phase = rng.uniform(0, 6) + np.arange(n_frames) * rng.uniform(0.15, 0.5)
    joints = np.zeros((n_frames, 22, 3))
    joints[:, 0] = np.stack([0 * phase, 0.95 + 0 * phase, 0.03 * np.arange(n_frames)], -1)
    for joint, parent in enumerate(PARENTS[1:], start=1):
        step = np.array(_STEPS.get(joint, (0, 0.12, 0.01)))
        angle = 0.4 * np.sin(phase + joint) if joint in (4, 5, 7, 8, 18, 19, 20, 21) else 0 * phase
        cos, sin = np.cos(angle), np.sin(angle)
        turned = np.stack(
            [step[0] + 0 * angle, cos * step[1] - sin * step[2], sin * step[1] + cos * step[2]], -1
        )
        joints[:, joint] = joints[:, parent] + turned
    return joints.astype(np.float32)


def write_prepared(path, clips=48, seed=0):
    """A prepared file whose test split holds so many recordings of 62 to 110 frames (and their mirror images)."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(clips):
        content = CONTENTS[number % len(CONTENTS)]
        style = STYLES[number // len(CONTENTS) % len(STYLES)]
        joints = body(int(rng.integers(66, 110)), rng)
        name = f"clip{number:03d}"
        made.append(PreparedClip(name, name, "bandai-namco-2", content, style, "", 2, joints))
    write_dataset(made, path)
    return path


def write_evaluator(folder, seed=0):
    """An evaluator of our own kind with small random networks."""
    folder = Path(folder)
    folder.mkdir()
    sizes = {
        "movement_hidden": 12,
        "movement": 12,
        "motion_hidden": 16,
        "word": 96,
        "text_hidden": 16,
        "embedding": 6,
    }
    torch.manual_seed(seed)
    networks = Evaluator(EvaluatorSizes(**sizes), np.zeros(N_FEATURES), np.ones(N_FEATURES))
    save_file(
        {
            f"{name}.{key}": value.contiguous()
            for name, network in networks.networks.items()
            for key, value in network.state_dict().items()
        },
        folder / WEIGHTS,
    )
    card = {"format": FORMAT, "sizes": sizes, "mean": [0.0] * N_FEATURES, "std": [1.0] * N_FEATURES}
    (folder / CARD).write_text(json.dumps(card))
    return folder
