"""Make the shippable model from a training run: averaged weights in float16 and the card beside them.

python scripts/pack_model.py ~/.cache/collage-motion/train/default -o collage_motion/assets/default --overwrite
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from collage_motion.cli import script
from collage_motion.data.captions import ACTIONS, CONTENTS, STYLES, sample_caption
from collage_motion.errors import OutputError
from collage_motion.models import WEIGHTS_FILE
from collage_motion.nearest import vocabulary_of

CREDIT = (
    "Bandai-Namco-Research-Motiondataset 1 and 2 (Kobayashi et al. 2023, arXiv 2306.08861, CC BY-NC 4.0) and clips of "
    "the CMU Graphics Lab Motion Capture Database (mocap.cs.cmu.edu, NSF EIA-0196217)"
)


def vocabulary() -> list[str]:
    """The words of the captions: what tells a prompt far from everything the model knows from an ordinary one."""
    rng = np.random.default_rng(0)
    return vocabulary_of(sample_caption(c, s, rng) for c in CONTENTS for s in STYLES for _ in range(30))


def pack(run: Path, output: Path, min_frames: int, max_frames: int) -> dict[str, object]:
    """Write model.safetensors and card.json; returns the card."""
    state = torch.load(run / "state.pt", map_location="cpu", weights_only=True)
    statistics = json.loads((run / "statistics.json").read_text())
    with (run / "log.csv").open(newline="") as file:
        last = list(csv.DictReader(file))[-1]
    weights = {name: tensor.to(torch.float16).contiguous() for name, tensor in state["average"].items()}
    output.mkdir(parents=True, exist_ok=True)
    save_file(weights, output / WEIGHTS_FILE)
    card = {
        "name": output.name,
        "fps": 20,
        "min_frames": min_frames,
        "max_frames": max_frames,
        "min_variable_frames": 10,
        "mask_frames": True,
        "features": "HumanML3D rows, heading flip mended, rotation block free of the heading",
        "architecture": state["architecture"],
        "schedule": {"name": "cosine", "steps": 1000},
        "text": {"encoder": "wordpiece", "dimensions": state["architecture"]["word_dim"]},
        "actions": sorted(ACTIONS),
        "licence": "CC BY-NC 4.0",
        "training": {
            "data": CREDIT,
            "steps": state["step"],
            "hours": round(state["seconds"] / 3600, 2),
            "validation_x0": float(last["val_x0"]),
            "validation_displacement": float(last["val_displacement"]),
            "settings": state["settings"],
            "vocabulary": vocabulary(),
        },
        **statistics,
    }
    (output / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    return card


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="folder of the training run")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="folder of the model; its name names it"
    )
    parser.add_argument("--min-frames", type=int, default=20, help="shortest factor window, frames")
    parser.add_argument("--max-frames", type=int, default=160, help="longest factor window, frames")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing model")
    arguments = parser.parse_args()
    if (arguments.output / WEIGHTS_FILE).exists() and not arguments.overwrite:
        raise OutputError(f"{arguments.output}: holds a model already; pass --overwrite to replace it")
    card = pack(arguments.run, arguments.output, arguments.min_frames, arguments.max_frames)
    size = (arguments.output / WEIGHTS_FILE).stat().st_size / 1e6
    print(f"{arguments.output}: {size:.1f} MB, {card['training']}")


if __name__ == "__main__":
    script(main)
