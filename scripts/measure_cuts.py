"""Measure how much FID says of where clips are cut: real clips, cut or repeated, against whole real clips.

    COLLAGE_DATA=motion.npz python scripts/measure_cuts.py -o cuts.json

Clips are cut where their actions begin and end. A random stretch of a long motion is not, nor is one of a real clip.
What real stretches score says how much of a composer's FID in protocol `long` is not the composer's: those of single
clips, and those of motions of 24 s that are one real clip over and over, faded into itself. Nothing is generated. Takes
a minute or two. With --run, the folder of an `eval` of that protocol with `--seed 0`, also its single clips (`short`),
these laid end to end in the same way, and its collages.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from collage_motion.cli import script
from collage_motion.eval import provenance
from collage_motion.eval.benchmark import MIN_FRAMES, load_benchmark
from collage_motion.eval.command import Request, evaluation_of
from collage_motion.eval.measuring import settings_from
from collage_motion.eval.metrics import fid, half_width
from collage_motion.eval.own_evaluator import FOLDER, WEIGHTS, load_own_evaluator
from collage_motion.eval.protocols import derived
from collage_motion.eval.testbed import OwnTestbed
from collage_motion.eval.windows import Rows, cuts, random_crops, repeated
from collage_motion.export.atomic import replacing
from collage_motion.skeleton import FPS

SHARES = (1.0, 0.9, 0.75, 0.5)
LONG_S = 24.0
"""How long the motions of protocol `long` are."""
OVERLAPS_S = (0.4, 0.8, 1.5)
SAYS = {
    "cut": "real, cut at random to {:.2f}",
    "repeated": "real, repeated with overlaps of {:.1f} s, cropped",
    "short": "single clips of the model",
    "short repeated": "the same, repeated with overlaps of {:.1f} s, cropped",
    "collage": "collages with overlaps of {:.1f} s, cropped",
}
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
    parser.add_argument("--run", type=Path, help="folder of an evaluation of protocol long, to compare with")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what that was given; may be repeated",
    )
    parser.add_argument("-o", "--output", type=Path, help="JSON file, replaced if it exists")
    options = parser.parse_args()
    if options.replications < 2 or options.samples < 4:
        parser.error("--replications must be at least 2, --samples at least 4")
    return options


def made_of(clips: Sequence[Rows], draw: int) -> Iterator[tuple[tuple[str, float], list[Rows]]]:
    """What is made of real clips: `cut` by share, or `repeated` by overlap and cropped to their length again."""
    for share in SHARES:
        yield ("cut", share), cuts(clips, np.random.default_rng((draw, 12)), MIN_FRAMES, share)
    frames = round(LONG_S * FPS)
    for overlap in OVERLAPS_S:
        motions = repeated(clips, frames, round(overlap * FPS))
        lengths = [len(clip) for clip in clips]
        yield ("repeated", overlap), random_crops(motions, lengths, np.random.default_rng((draw, 13)))


def made_in(
    options: argparse.Namespace, replication: int, draw: int
) -> Iterator[tuple[tuple[str, float], list[Rows]]]:
    """What an evaluation made: its single clips, these `repeated` with the library's overlap, its collages."""
    if options.run is None:
        return
    sizes = {"replications": options.replications, "samples": options.samples, "seed": options.seed}
    request = Request(
        options.run, methods="collage", settings=settings_from(options.set), device="cpu", **sizes
    )
    evaluation = evaluation_of(request)
    found: dict[str, list[Rows]] = {}
    for method in ("short", "collage"):
        part = evaluation.part(method, replication)
        pieces = {}
        for script_, motion in zip(part.scripts, evaluation.motions(part)[0], strict=True):
            for piece in script_.pieces:
                pieces[piece.asked] = motion[piece.start : piece.start + piece.length]
        found[method] = [pieces[number] for number in sorted(pieces)]
    overlap = evaluation.settings["collage"].overlap
    motions = repeated(found["short"], round(LONG_S * FPS), round(overlap * FPS))
    lengths = [len(clip) for clip in found["short"]]
    yield ("short", 0.0), found["short"]
    yield ("short repeated", overlap), random_crops(motions, lengths, np.random.default_rng((draw, 13)))
    yield ("collage", overlap), found["collage"]


def judged(
    testbed: OwnTestbed, reference: Sequence[Rows], clips: Sequence[Rows], draw: int
) -> tuple[float, float]:
    """FID of clips against whole real ones, and of stretches of both (`cut_fid`)."""
    whole = fid(testbed.embed_motions(reference), testbed.embed_motions(clips))
    stretches = [
        cuts(rows, np.random.default_rng((draw, 14 + k)), MIN_FRAMES)
        for k, rows in enumerate((reference, clips))
    ]
    cut = fid(*map(testbed.embed_motions, stretches))
    return whole, cut


def row_of(
    kind: tuple[str, float], found: Sequence[tuple[float, float]], floor: Sequence[tuple[float, float]]
) -> dict[str, Any]:
    """Means and Student's intervals of what was judged; whole clips are the floor."""
    row: dict[str, Any] = {"made": kind[0], "by": kind[1]}
    for name, values, least in zip(("", "cut_"), np.transpose(found), np.transpose(floor), strict=True):
        above = values - least
        row |= {
            f"{name}fid": float(values.mean()),
            f"{name}above_floor": float(above.mean()),
            f"{name}above_floor_ci95": float(half_width(above)),
            f"{name}values": values.tolist(),
        }
    return row


def _plus(row: Mapping[str, Any], name: str) -> str:
    return f"{row[name + 'above_floor']:6.2f} +- {row[name + 'above_floor_ci95']:.2f} "


def main() -> None:
    """Measure, print, write."""
    options = arguments()
    testbed = OwnTestbed(load_benchmark(options.data), load_own_evaluator())
    values: dict[tuple[str, float], list[tuple[float, float]]] = {}
    for replication in range(options.replications):
        draw = derived(options.seed, "draw", replication)
        drawn = testbed.draw(draw, options.samples, MIN_FRAMES, MOST_FRAMES)
        for kind, clips in made_of(drawn.different, draw):
            values.setdefault(kind, []).append(judged(testbed, drawn.reference, clips, draw))
        for kind, clips in made_in(options, replication, draw):
            values.setdefault(kind, []).append(judged(testbed, drawn.reference, clips, draw))
    rows = [row_of(kind, found, values["cut", 1.0]) for kind, found in values.items()]
    print(f"{'clips':54s} {'FID':>6s}  {'above floor':>15s}  {'of cuts':>15s}")
    for row in rows:
        print(
            f"{SAYS[row['made']].format(row['by']):54s} {row['fid']:6.2f}  {_plus(row, '')}  {_plus(row, 'cut_')}"
        )
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
