"""What can be done at seams: an extra factor on each, and a blend of the sum and the average of windows.

python scripts/examples/06_seams.py out
"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np

from collage_motion import generate, load_model, plan_from_prompts, write
from collage_motion.methods.seam_factors import with_seam_factors
from collage_motion.topology import build

WAYS: dict[str, dict[str, Any]] = {
    "sum": {},
    "seam_factors": {"seam_factors": True},
    "blend": {"method": "blend", "blend": 0.5},
    "average": {"method": "consensus"},
}


def main(folder: Path, steps: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    model = load_model()
    plan = plan_from_prompts(["a person walks forward::3", "a person bows::3"])
    print(with_seam_factors(build(plan, model.card), model.card.limits))  # window 3 is told nothing
    for name, settings in WAYS.items():
        motion = generate(plan, model, seed=1, steps=steps, **settings)
        jerk = np.linalg.norm(np.diff(motion.joints, 3, axis=0), axis=-1).max(axis=1) * motion.fps**3
        near = jerk[motion.seams[0] - 12 : motion.seams[0] + 9]
        print(
            f"{name:13s} {near.max():6.0f} m/s^3 at the seam, {np.median(jerk):5.0f} in the middle of all frames"
        )
        write(motion, folder / f"06_{name}.bvh", overwrite=True)


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write")
    parser.add_argument("--steps", type=int, default=10, help="denoising steps (default: %(default)s)")
    main(**vars(parser.parse_args()))
