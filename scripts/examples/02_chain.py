"""A chain: several prompts one after the other, and the factor graph that joins them.

python scripts/examples/02_chain.py out
"""

from argparse import ArgumentParser
from pathlib import Path

from collage_motion import Plan, Segment, Settings, generate, load_model, write, write_plan


def main(folder: Path, steps: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    plan = Plan(
        (
            Segment("a person walks forward", seconds=3),
            Segment("a person waves with both hands", seconds=3, overlap=1.0),  # shared with the next one
            Segment("a person runs", seconds=6),  # longer than running usually lasts: two windows
        )
    )
    write_plan(plan, folder / "02_plan.yaml", overwrite=True)  # for `collage-motion generate`

    model = load_model()
    print(Settings().graph(plan, model.card))  # what `generate` builds: windows count +1, what they share -1

    motion = generate(plan, model, seed=1, steps=steps)
    write(motion, folder / "02_chain.bvh", overwrite=True)
    for first, stop, prompt in motion.segments:
        print(f"frames {first:3d} to {stop - 1:3d}: {prompt}")


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write")
    parser.add_argument("--steps", type=int, default=10, help="denoising steps (default: %(default)s)")
    main(**vars(parser.parse_args()))
