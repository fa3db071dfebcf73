"""Join two motions that exist: recordings (.bvh), motions of this program (.npz), or two made here.

python scripts/examples/09_bridge.py out
python scripts/examples/09_bridge.py out --motions walk.bvh run.bvh --prompts "a person walks" "a person runs"
"""

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path

from collage_motion import bridge, generate, load_model, plan_from_prompts, read_motion, write

PROMPTS = ("a person walks forward", "a person runs")


def main(folder: Path, steps: int, motions: list[Path] | None, prompts: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    model = load_model()
    if motions is None:
        motions = [folder / "09_first.bvh", folder / "09_second.bvh"]
        for path, prompt in zip(motions, prompts, strict=True):
            write(
                generate(plan_from_prompts([f"{prompt}::3"]), model, seed=1, steps=steps),
                path,
                overwrite=True,
            )

    # A .bvh becomes the 22 joints, 20 frames a second, on the floor; it does not say what it shows.
    first, second = (read_motion(path, prompt) for path, prompt in zip(motions, prompts, strict=True))
    joined = bridge(first, second, 2.0, model, prompts=(prompts[0], prompts[1]), seed=1, steps=steps)
    write(joined, folder / "09_joined.bvh", overwrite=True)
    kept = (joined.features[: first.n_frames] == first.features).all()
    print(
        f"{first.n_frames} + {joined.n_frames - first.n_frames - second.n_frames} + {second.n_frames} frames"
    )
    print(f"the first as it was: {bool(kept)}; new frames {joined.seams[-2]} to {joined.seams[-1] - 1}")


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where to write")
    parser.add_argument("--steps", type=int, default=10, help="denoising steps (default: %(default)s)")
    parser.add_argument("--motions", type=Path, nargs=2, metavar=("A", "B"), help="files to join")
    parser.add_argument("--prompts", nargs=2, default=PROMPTS, metavar=("FROM", "TO"), help="what they show")
    main(**vars(parser.parse_args()))
