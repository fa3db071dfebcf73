"""Measure real motion: the constants that figures of generated motion are set against.

    COLLAGE_DATA=motion.npz python scripts/measure_real.py

Writes eval/constants.json (or --output) from the test split; takes a minute.
"""

import argparse
import json
from pathlib import Path

from collage_motion.cli import script
from collage_motion.data.dataset import load_dataset
from collage_motion.eval.benchmark import make_benchmark
from collage_motion.eval.constants import FILE, measure_joints
from collage_motion.eval.jerk import mean_jerk
from collage_motion.export.atomic import replacing


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="prepared file (default: $COLLAGE_DATA)")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent.parent / "eval" / FILE)
    options = parser.parse_args()
    dataset = load_dataset(options.data)
    # A mirror image has the same jerk, feet and bones as its original.
    benchmark = make_benchmark(dataset.clips("test", mirrored=False))
    figures = measure_joints([item.joints for item in benchmark.items])
    training = [clip.joints for clip in dataset.clips("train", mirrored=False)]
    figures = {"split": "test", **figures, "j_avg_train": mean_jerk(training)}
    with replacing(options.output, overwrite=True) as part:
        part.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    script(main)
