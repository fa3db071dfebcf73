"""One clip from one prompt, as a film, as a skeleton animation and as arrays.

python scripts/examples/01_one_clip.py out
"""

from argparse import ArgumentParser
from pathlib import Path

from collage_motion import generate, plan_from_prompts, write


def main(folder: Path, steps: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    plan = plan_from_prompts(["a person walks forward::3"])  # the words, and how many seconds
    motion = generate(plan, seed=1, steps=steps)
    for suffix in (".gif", ".bvh", ".npz"):
        write(motion, folder / f"01_clip{suffix}", overwrite=True)
    print(f"joints {motion.joints.shape}: frames, joints, metres")
    print(f"rotations {motion.rotations.shape}: local quaternions, wxyz")
    print(
        f"{motion.duration_s:g} s at {motion.fps} frames a second, made with seed {motion.settings['seed']}"
    )


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write")
    parser.add_argument("--steps", type=int, default=10, help="denoising steps (default: %(default)s)")
    main(**vars(parser.parse_args()))
