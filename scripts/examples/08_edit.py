"""Change a motion by another prompt (SDEdit): the stronger, the less is left of it.

python scripts/examples/08_edit.py out
"""

from argparse import ArgumentParser
from pathlib import Path

import numpy as np

from collage_motion import edit, generate, load_model, plan_from_prompts, write
from collage_motion.features import POSITIONS


def main(folder: Path, steps: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    model = load_model()
    motion = generate(plan_from_prompts(["a person walks forward::4"]), model, seed=1, steps=steps)
    write(motion, folder / "08_before.bvh", overwrite=True)
    for strength in (0.3, 0.6, 0.9):
        edited = edit(motion, "a person walks like an old man", strength, model, seed=2, steps=steps)
        off = np.abs(edited.features[:, POSITIONS] - motion.features[:, POSITIONS]).mean()
        print(f"strength {strength:g}: poses differ by {100 * off:.1f} cm")
        write(edited, folder / f"08_edited_{strength:g}.bvh", overwrite=True)


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write")
    parser.add_argument("--steps", type=int, default=10, help="denoising steps (default: %(default)s)")
    main(**vars(parser.parse_args()))
