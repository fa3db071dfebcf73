"""Ways to make one motion of many windows: the collage and the baselines, on the same plan and seed.

python scripts/examples/05_methods.py out
"""

import time
from argparse import ArgumentParser
from pathlib import Path

import numpy as np

from collage_motion import Motion, generate, load_model, plan_from_prompts, write
from collage_motion.methods import METHODS


def seam_jerk(motion: Motion) -> float:
    """The largest jerk of any joint within half a second of a seam, in m/s^3."""
    jerk = np.linalg.norm(np.diff(motion.joints, 3, axis=0), axis=-1).max(axis=1) * motion.fps**3
    near = [jerk[max(0, seam - 12) : seam + 9] for seam in motion.seams]
    return float(np.concatenate(near).max())


def main(folder: Path, steps: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    model = load_model()
    plan = plan_from_prompts(["a person walks forward::3", "a person runs::3"])
    for name in METHODS:
        began = time.perf_counter()
        motion = generate(plan, model, seed=1, steps=steps, method=name)
        took = time.perf_counter() - began
        print(f"{name:15s} {seam_jerk(motion):6.0f} m/s^3 at the seam, made in {took:4.1f} s")
        write(motion, folder / f"05_{name}.bvh", overwrite=True)


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write")
    parser.add_argument("--steps", type=int, default=10, help="denoising steps (default: %(default)s)")
    main(**vars(parser.parse_args()))
