"""Pass gradually from one prompt to another: windows are told features that lie between theirs.

python scripts/examples/10_morph.py out
"""

from argparse import ArgumentParser
from pathlib import Path

import numpy as np

from collage_motion import load_model, morph, plan_from_prompts, write
from collage_motion.topology import morphing


def main(folder: Path, steps: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    model = load_model()
    plan = plan_from_prompts(["a person walks forward::5", "a person runs::5"])
    graph, _, _ = morphing(plan, model.card)
    print(graph)
    motion = morph(plan, model, seed=1, steps=steps)
    write(motion, folder / "10_morph.bvh", overwrite=True)
    way = np.linalg.norm(np.diff(motion.root[:: motion.fps], axis=0), axis=1)
    print("metres in each second:", " ".join(f"{metres:.2f}" for metres in way))


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write")
    parser.add_argument("--steps", type=int, default=10, help="denoising steps (default: %(default)s)")
    main(**vars(parser.parse_args()))
