"""Measure how much figures say of where clips are cut: real clips, cut or repeated, beside whole real clips.

    COLLAGE_DATA=motion.npz python scripts/measure_cuts.py -o cuts.json

Clips are cut where their actions begin and end. A random stretch of a long motion is not, nor is one of a real clip.
What real stretches score says how much of a composer's FID in protocol `long` is not the composer's: those of single
clips, and those of motions of 24 s that are one real clip over and over, faded into itself. So do R-precision and, with
a classifier, how many contents are named right: these suffer by the fading, not by the crop. Nothing is generated.
Takes three minutes. With --run, the folder of an `eval` of that protocol with the same seed, also its single clips
(`short`), these laid end to end in the same way, and its collages. With --contents everything, real clips included, is
of these actions only: those that go on as long as one likes (walk, run) have no beginning or end to miss.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from collage_motion.cli import script
from collage_motion.data.captions import CONTENTS
from collage_motion.errors import DataError
from collage_motion.eval import provenance
from collage_motion.eval.accuracy import content_accuracy
from collage_motion.eval.benchmark import MIN_FRAMES, load_benchmark
from collage_motion.eval.classifier import DEFAULT_PATH, load_classifier
from collage_motion.eval.command import Request, evaluation_of
from collage_motion.eval.meaning import content_of
from collage_motion.eval.measuring import settings_from
from collage_motion.eval.metrics import BATCH, fid, half_width
from collage_motion.eval.own_evaluator import FOLDER, WEIGHTS, load_own_evaluator
from collage_motion.eval.protocols import derived, get_protocol
from collage_motion.eval.running import Evaluation
from collage_motion.eval.scene import joints_of
from collage_motion.eval.testbed import Drawn, OwnTestbed, Testbed
from collage_motion.eval.windows import Rows, cuts, random_crops, repeated
from collage_motion.export.atomic import replacing
from collage_motion.skeleton import FPS

SHARES = (1.0, 0.9, 0.75, 0.5)
LONG = get_protocol("long")
OVERLAPS_S = (0.4, 0.8, 1.5)
SAYS = {
    "cut": "real, cut at random to {:.2f}",
    "repeated": "real, repeated with overlaps of {:.1f} s, cropped",
    "short": "single clips of the model",
    "short repeated": "the same, repeated with overlaps of {:.1f} s, cropped",
    "collage": "collages with overlaps of {:.1f} s, cropped",
}
MOST_FRAMES = 160
"""The default model's longest window, so the clips are those of the default run; --run has its own."""

Kind = tuple[str, float]
"""What was made, and its share or overlap."""
Found = dict[str, float]
"""The figures of one kind in one replication."""


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="prepared file, not with --run (default: $COLLAGE_DATA)")
    parser.add_argument(
        "--replications", type=int, default=5, help="deals of the split (default: %(default)s)"
    )
    parser.add_argument("--samples", type=int, default=256, help="clips of each (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="as that of `eval` (default: %(default)s)")
    parser.add_argument("--run", type=Path, help="folder of an evaluation of protocol long, to compare with")
    parser.add_argument(
        "--model", default="default", help="the model of that evaluation (default: %(default)s)"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what it was given besides; may be repeated",
    )
    parser.add_argument(
        "--contents",
        metavar="NAME,NAME",
        help="clips of these actions only, such as walk,run (default: all)",
    )
    parser.add_argument("-o", "--output", type=Path, help="JSON file, replaced if it exists")
    options = parser.parse_args()
    if options.replications < 2 or options.samples < 4:
        parser.error("--replications must be at least 2, --samples at least 4")
    options.contents = options.contents and [name.strip() for name in options.contents.split(",")]
    unknown = sorted(set(options.contents or ()) - set(CONTENTS))
    if unknown:
        parser.error(f"--contents: got {unknown[0]!r}; allowed: {', '.join(CONTENTS)}")
    if options.run is not None and options.data is not None:
        parser.error("--data: not with --run, whose clips are those of $COLLAGE_DATA")
    return options


def run_of(options: argparse.Namespace) -> Evaluation | None:
    """The evaluation that --run names; raises CollageError where its folder holds another one."""
    if options.run is None:
        return None
    if not (options.run / "run.json").is_file():
        raise DataError(
            f"{options.run}: no folder of an evaluation; name one that `collage-motion eval` has written"
        )
    return evaluation_of(
        Request(
            options.run, LONG.name, "collage", options.replications, options.samples, options.model,
            seed=options.seed, settings=settings_from(options.set), device="cpu",
        )
    )  # fmt: skip


def testbed_of(data: Path | None) -> Testbed:
    """The real clips of a prepared file and what judges them; contents are judged where there is a classifier."""
    classifier = load_classifier() if DEFAULT_PATH.expanduser().exists() else None
    return OwnTestbed(load_benchmark(data), load_own_evaluator(), classifier)


def made_of(clips: Sequence[Rows], draw: int) -> Iterator[tuple[Kind, list[Rows]]]:
    """What is made of real clips: `cut` by share, or `repeated` by overlap and cropped to their length again."""
    for share in SHARES:
        yield ("cut", share), cuts(clips, np.random.default_rng((draw, 12)), MIN_FRAMES, share)
    for overlap in OVERLAPS_S:
        yield ("repeated", overlap), crops_of(clips, overlap, draw)


def made_in(evaluation: Evaluation, replication: int, draw: int) -> Iterator[tuple[Kind, list[Rows]]]:
    """What an evaluation made: its single clips, these `repeated` like the real ones, and its collages."""
    found: dict[str, list[Rows]] = {}
    for method in ("short", "collage"):
        part = evaluation.part(method, replication)
        found[method] = [
            motion[piece.start : piece.start + piece.length]
            for script_, motion in zip(part.scripts, evaluation.motions(part)[0], strict=True)
            for piece in script_.pieces
        ]
    yield ("short", 0.0), found["short"]
    for overlap in OVERLAPS_S:
        yield ("short repeated", overlap), crops_of(found["short"], overlap, draw)
    yield ("collage", evaluation.settings["collage"].overlap), found["collage"]


def crops_of(clips: Sequence[Rows], overlap: float, draw: int) -> list[Rows]:
    """Clips laid end to end with themselves for as long as motions of `long`, cropped to their own lengths."""
    motions = repeated(clips, round((LONG.seconds or 0.0) * FPS), round(overlap * FPS))
    return random_crops(motions, [len(clip) for clip in clips], np.random.default_rng((draw, 13)))


class Chosen:
    """Which of what was drawn is of the contents asked for, by number: captions, other clips, and the reference."""

    def __init__(self, drawn: Drawn, contents: Sequence[str] | None) -> None:
        meanings = [row.meaning for row in drawn.asked], drawn.different_meanings, drawn.reference_meanings
        self.asked, self.different, self.reference = (
            [k for k, meaning in enumerate(known) if contents is None or content_of(meaning) in contents]
            for known in meanings
        )
        for name, numbers in vars(self).items():
            if len(numbers) < 4:
                raise DataError(
                    f"--contents: {len(numbers)} of the {name} clips show them; 4 are needed; name more actions "
                    "or raise --samples"
                )


class Reference:
    """What clips are judged by: whole real ones, stretches of them, and the captions asked for, embedded once."""

    def __init__(self, testbed: Testbed, drawn: Drawn, draw: int, chosen: Chosen) -> None:
        self.testbed, self.draw = testbed, draw
        self.asked = [drawn.asked[k] for k in chosen.asked]
        real = [drawn.reference[k] for k in chosen.reference]
        self.whole = testbed.embed_motions(real)
        self.stretches = testbed.embed_motions(cuts(real, np.random.default_rng((draw, 14)), MIN_FRAMES))
        self.text = testbed.embed_captions(self.asked, made=True).astype(np.float64)
        self.contents = [content_of(row.meaning) for row in self.asked]

    def figures(self, clips: Sequence[Rows], answers: Sequence[Rows]) -> Found:
        """FID of clips, of stretches of them (`cut_fid`), and how well `answers` fit the captions, in their order.

        What was made from the captions is both. Real clips are not: FID is of different ones, and a caption's own
        clip may be asked for twice.
        """
        stretches = cuts(clips, np.random.default_rng((self.draw, 15)), MIN_FRAMES)
        embedded = self.testbed.embed_motions(answers).astype(np.float64)
        found = {
            "fid": fid(self.whole, self.testbed.embed_motions(clips)),
            "cut_fid": fid(self.stretches, self.testbed.embed_motions(stretches)),
            "r_precision_3": float(
                self.testbed.r_precision(self.text, embedded, self.asked, min(BATCH, len(self.asked)))[2]
            ),
        }
        if self.testbed.classifier is not None:
            named = content_accuracy(self.testbed.classifier, joints_of(answers), self.contents)
            found["content_accuracy"] = named.exact
        return found


def row_of(kind: Kind, found: Sequence[Found], floor: Sequence[Found]) -> dict[str, Any]:
    """Means and Student's intervals of what was judged; FID also above that of whole clips, its floor."""
    row: dict[str, Any] = {"made": kind[0], "by": kind[1]}
    for name in found[0]:
        values = np.array([figures[name] for figures in found])
        row[name] = float(values.mean())
        if name in ("fid", "cut_fid"):
            prefix = name.removesuffix("fid")
            above = values - [figures[name] for figures in floor]
            row[f"{prefix}above_floor"] = float(above.mean())
            row[f"{prefix}above_floor_ci95"] = float(half_width(above))
            row[f"{prefix}values"] = values.tolist()
        else:
            row[f"{name}_ci95"] = float(half_width(values))
            row[f"{name}_values"] = values.tolist()
    return row


def line_of(row: Mapping[str, Any]) -> str:
    """A row of the table that is printed."""
    cells = [f"{SAYS[row['made']].format(row['by']):54s} {row['fid']:6.2f}"]
    cells += [
        f"{row[name]:6.2f} +- {row[name + '_ci95']:.2f} " for name in ("above_floor", "cut_above_floor")
    ]
    cells += [
        f"{row[name]:.3f} +- {row[name + '_ci95']:.3f}"
        for name in ("r_precision_3", "content_accuracy")
        if name in row
    ]
    return "  ".join(cells)


def main() -> None:
    """Measure, print, write."""
    options = arguments()
    run = run_of(options)
    testbed = run.testbed if run is not None else testbed_of(options.data)
    values: dict[Kind, list[Found]] = {}
    for replication in range(options.replications):
        draw = derived(options.seed, "draw", replication)
        drawn = testbed.draw(draw, options.samples, MIN_FRAMES, run.most if run is not None else MOST_FRAMES)
        chosen = Chosen(drawn, options.contents)
        reference = Reference(testbed, drawn, draw, chosen)
        real = [row.features for row in drawn.asked]
        for (kind, clips), (_, answers) in zip(
            made_of(drawn.different, draw), made_of(real, draw), strict=True
        ):
            own = [clips[k] for k in chosen.different], [answers[k] for k in chosen.asked]
            values.setdefault(kind, []).append(reference.figures(*own))
        for kind, clips in made_in(run, replication, draw) if run is not None else ():
            made = [clips[k] for k in chosen.asked]
            values.setdefault(kind, []).append(reference.figures(made, made))
    rows = [row_of(kind, found, values["cut", 1.0]) for kind, found in values.items()]
    print(
        f"{'clips':54s} {'FID':>6s}  {'above floor':>15s}  {'of cuts':>15s}  {'R@3':>14s}"
        + ("" if testbed.classifier is None else f"  {'contents':>14s}")
    )
    for row in rows:
        print(line_of(row))
    if options.output is not None:
        report = {
            "replications": options.replications,
            "samples": options.samples,
            "seed": options.seed,
            "contents": options.contents,
            "commit": provenance.commit(),
            "evaluator": provenance.checksums({"evaluator": FOLDER / WEIGHTS})["evaluator"],
            "rows": rows,
        }
        with replacing(options.output, overwrite=True) as part:
            part.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        print(f"wrote {options.output}")


if __name__ == "__main__":
    script(main)
