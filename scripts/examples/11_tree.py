"""A tree of motions: one beginning and several ways in which it goes on, all sampled together.

python scripts/examples/11_tree.py out
"""

from argparse import ArgumentParser
from pathlib import Path

import numpy as np

from collage_motion import Branch, generate_tree, load_model, plan_from_prompts, write
from collage_motion.topology import tree


def main(folder: Path, steps: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    walk, run, wave, bow = (
        plan_from_prompts([f"a person {what}::3"]) for what in ("walks forward", "runs", "waves", "bows")
    )
    root = Branch(walk, (Branch(run), Branch(wave, (Branch(bow), Branch(walk)))))

    model = load_model()
    print(tree(root, model.card))  # where three windows share an overlap, it counts -2
    motions = generate_tree(root, model, seed=1, steps=steps)
    for number, motion in enumerate(motions):
        print(f"way {number}:", ", then ".join(prompt for *_, prompt in motion.segments))
        write(motion, folder / f"11_way_{number}.bvh", overwrite=True)
    same = np.array_equal(motions[0].features[:60], motions[1].features[:60])
    print(f"all ways begin with the same 3 s: {same}")


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write")
    parser.add_argument("--steps", type=int, default=10, help="denoising steps (default: %(default)s)")
    main(**vars(parser.parse_args()))
