"""A loop: the last window overlaps with the first, so the end leads back to the beginning.

python scripts/examples/03_loop.py out
"""

from argparse import ArgumentParser
from pathlib import Path

import numpy as np

from collage_motion import generate, load_model, plan_from_prompts, write
from collage_motion.features import POSITIONS


def main(folder: Path, steps: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    model = load_model()
    for loop in (False, True):
        plan = plan_from_prompts(["a person runs::4"], loop=loop)
        motion = generate(plan, model, seed=1, steps=steps)
        pose = motion.features[:, POSITIONS]  # metres from the root, whichever way it faces
        step = np.linalg.norm(np.diff(pose, axis=0), axis=1)
        jump = np.linalg.norm(pose[0] - pose[-1])
        print(
            f"loop={loop}: from the last frame to the first {jump:.2f}, from frame to frame {step.mean():.2f}"
        )
        write(motion, folder / f"03_{'loop' if loop else 'line'}.bvh", overwrite=True)


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write")
    parser.add_argument("--steps", type=int, default=10, help="denoising steps (default: %(default)s)")
    main(**vars(parser.parse_args()))
