"""Hold a new motion to what is known: some frames, or the slow part of the way it goes.

python scripts/examples/07_known_frames.py out
"""

from argparse import ArgumentParser
from functools import partial
from pathlib import Path

import numpy as np
import torch

from collage_motion import generate, load_model, plan_from_prompts, write
from collage_motion.conditioning import SPREAD_S, Condition, known, low_pass, reconstruction, replacement


def main(folder: Path, steps: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    model = load_model()
    given = generate(plan_from_prompts(["a person walks and turns left::4"]), model, seed=1, steps=steps)
    values = torch.from_numpy(model.normaliser.normalise(given.features))  # conditions are on these numbers
    n_frames, n_channels = values.shape

    # Its first and last second, and what is between made anew.
    ends = np.ones(n_frames, bool)
    ends[20:-20] = False
    # With replacement the frames beside the known ones follow them over 0.4 s, and do not jerk where they meet.
    frames = known(values, ends, SPREAD_S * model.card.fps)
    # A linear operator: of turning and going (channels 0 to 2) what is slower than about 1 Hz.
    slow = low_pass(n_frames, n_channels, kept=8, channels=[0, 1, 2])
    way = Condition(slow, slow.measure(values[None])[0])

    plan = plan_from_prompts(["a person runs::4"])
    free = generate(plan, model, seed=2, steps=steps)
    for what, condition in (("ends", frames), ("way", way)):
        for how in (replacement, reconstruction):  # in its place, or by a gradient
            motion = generate(plan, model, seed=2, steps=steps, condition=partial(how, condition=condition))
            write(motion, folder / f"07_{what}_{how.__name__}.bvh", overwrite=True)
            off, freely = (
                condition.residual(torch.from_numpy(model.normaliser.normalise(m.features))[None]).norm()
                for m in (motion, free)
            )
            print(f"{what:5s} {how.__name__:15s} {100 * off / freely:5.1f} % as far off as without it")
    write(given, folder / "07_given.bvh", overwrite=True)


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write")
    parser.add_argument("--steps", type=int, default=10, help="denoising steps (default: %(default)s)")
    main(**vars(parser.parse_args()))
