"""Measure how much FID says of where clips are cut: real clips, cut at random, against whole real clips.

    COLLAGE_DATA=motion.npz python scripts/measure_cuts.py -o cuts.json

Clips are cut where their actions begin and end. A random stretch of a long motion is not, nor is one of a real clip, so
what real stretches score is what no composer can be asked to stay below in protocol `long`. Nothing is generated. Takes
a minute.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from collage_motion.cli import script
from collage_motion.eval import provenance
from collage_motion.eval.benchmark import MIN_FRAMES, load_benchmark
from collage_motion.eval.metrics import fid, half_width
from collage_motion.eval.own_evaluator import FOLDER, WEIGHTS, load_own_evaluator
from collage_motion.eval.protocols import derived
from collage_motion.eval.testbed import OwnTestbed
from collage_motion.eval.windows import cuts
from collage_motion.export.atomic import replacing

SHARES = (1.0, 0.9, 0.75, 0.5)
MOST_FRAMES = 160
"""The default model's longest window, so the clips are those of the default run."""


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="prepared file (default: $COLLAGE_DATA)")
    parser.add_argument(
        "--replications", type=int, default=5, help="deals of the split (default: %(default)s)"
    )
    parser.add_argument("--samples", type=int, default=256, help="clips of each (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="as that of `eval` (default: %(default)s)")
    parser.add_argument("-o", "--output", type=Path, help="JSON file, replaced if it exists")
    options = parser.parse_args()
    if options.replications < 2 or options.samples < 4:
        parser.error("--replications must be at least 2, --samples at least 4")
    return options


def main() -> None:
    """Measure, print, write."""
    options = arguments()
    testbed = OwnTestbed(load_benchmark(options.data), load_own_evaluator())
    values: dict[float, list[float]] = {share: [] for share in SHARES}
    for replication in range(options.replications):
        draw = derived(options.seed, "draw", replication)
        drawn = testbed.draw(draw, options.samples, MIN_FRAMES, MOST_FRAMES)
        whole = testbed.embed_motions(drawn.reference)
        for share in SHARES:
            rng = np.random.default_rng((draw, 12))
            values[share].append(
                fid(whole, testbed.embed_motions(cuts(drawn.different, rng, MIN_FRAMES, share)))
            )
    floor = np.array(values[1.0])
    print("share of the clip    FID    above floor")
    rows = []
    for share, found in values.items():
        above = np.array(found) - floor
        row = {
            "share": share,
            "fid": float(np.mean(found)),
            "above_floor": float(above.mean()),
            "values": found,
        }
        row["above_floor_ci95"] = float(half_width(above))
        rows.append(row)
        print(f"{share:16.2f} {row['fid']:7.2f} {row['above_floor']:9.2f} +- {row['above_floor_ci95']:.2f}")
    if options.output is not None:
        report = {
            "replications": options.replications,
            "samples": options.samples,
            "seed": options.seed,
            "commit": provenance.commit(),
            "evaluator": provenance.checksums({"evaluator": FOLDER / WEIGHTS})["evaluator"],
            "rows": rows,
        }
        with replacing(options.output, overwrite=True) as part:
            part.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        print(f"wrote {options.output}")


if __name__ == "__main__":
    script(main)
