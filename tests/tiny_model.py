"""A complete model folder with a small random network: for tests of everything around the weights."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from collage_motion.models.mdm import MDM, MdmConfig
from collage_motion.skeleton import N_FEATURES

CONFIG = MdmConfig("trans_dec", 16, 32, 1, 2, 0.0, text_dim=8, word_dim=96)


def write_tiny_model(folder: Path, seed: int = 0, half: bool = True) -> Path:
    """Write card and weights; the motion it makes is noise around a standing pose."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    state = MDM(CONFIG).state_dict()
    save_file({k: v.half() if half else v for k, v in state.items()}, folder / "model.safetensors")
    mean = [0.0] * N_FEATURES
    mean[3] = 0.9
    for joint in range(21):  # a column of joints: bones need some length
        mean[4 + 3 * joint : 7 + 3 * joint] = [0.1 * ((joint % 3) - 1), 0.1 + 0.07 * joint, 0.02]
    card = {
        "name": folder.name,
        "fps": 20,
        "min_frames": 20,
        "max_frames": 120,
        "mask_frames": True,
        "architecture": CONFIG.as_dict(),
        "schedule": {"name": "cosine", "steps": 1000},
        "text": {"encoder": "wordpiece", "dimensions": 96},
        "actions": ["walk", "run", "wave"],
        "licence": "MIT",
        "training": {"data": "none: random weights"},
        "mean": mean,
        "std": [0.02] * N_FEATURES,
    }
    (folder / "card.json").write_text(json.dumps(card))
    return folder
