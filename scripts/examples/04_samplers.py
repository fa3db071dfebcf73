"""Samplers by name: how far each is, after a few steps, from where many steps lead.

python scripts/examples/04_samplers.py out
"""

from argparse import ArgumentParser
from pathlib import Path

import numpy as np

from collage_motion import generate, load_model, plan_from_prompts, write
from collage_motion.samplers import SAMPLERS

MORE = {"ddim": {"eta": 0.5}, "deis": {"order": 2}, "gddim": {"order": 3}, "edm": {"churn": 20.0}}
"""Options that some samplers take; without them they are at their defaults."""


def main(folder: Path, steps: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    model, plan = load_model(), plan_from_prompts(["a person walks forward::2"])
    long = generate(plan, model, seed=1, steps=6 * steps, sampler="ddim")
    for name in SAMPLERS:
        for options in [{}, MORE[name]] if name in MORE else [{}]:
            motion = generate(plan, model, seed=1, steps=steps, sampler=name, **options)
            off = np.linalg.norm(motion.joints - long.joints, axis=-1).mean()
            print(f"{name:10s} {options or ''!s:15s} {100 * off:5.1f} cm from {6 * steps} steps of ddim")
            write(motion, folder / f"04_{'_'.join([name, *options])}.npz", overwrite=True)


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write")
    parser.add_argument("--steps", type=int, default=10, help="denoising steps (default: %(default)s)")
    main(**vars(parser.parse_args()))
