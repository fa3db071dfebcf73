"""Measure what the first working system must show, beside real test clips; print tables and write JSON.

  long      eight-prompt motions: NaN, sliding feet, jerk at seams and inside segments
  contents  actions named right by the classifier, prompts from the caption table
  unseen    actions named right over forty hand-written prompts
  loops     loops that close
  solve     error of the rotation solve on real and generated motion
  all       everything, one after the other

Needs the prepared file (COLLAGE_DATA or --data) and, for contents and unseen, a classifier made by
scripts/train_classifier.py.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from collage_motion import pipeline
from collage_motion.cli import script
from collage_motion.data.dataset import Dataset, load_dataset
from collage_motion.errors import OutputError
from collage_motion.eval import first_system
from collage_motion.eval.classifier import DEFAULT_PATH, load_classifier
from collage_motion.eval.measuring import settings_from, versions
from collage_motion.export.atomic import replacing
from collage_motion.models import load_model
from collage_motion.motion import Motion
from collage_motion.plan import Plan

WHAT = ("long", "contents", "unseen", "loops", "solve")
SEEDS = {"long": 20, "contents": 10, "unseen": 1, "loops": 20, "solve": 4}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=(*WHAT, "all"))
    parser.add_argument("--data", type=Path, help="prepared training file (default: COLLAGE_DATA)")
    parser.add_argument("--model", default="default", help="name or folder of a model (default: %(default)s)")
    parser.add_argument("--classifier", type=Path, default=DEFAULT_PATH, help="default: %(default)s")
    parser.add_argument("--seeds", type=int, help=f"number of seeds (default: {SEEDS})")
    parser.add_argument("--first-seed", type=int, default=0, help="the first of them (default: %(default)s)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a field of pipeline.Settings, such as steps=30 or guidance=2; may be repeated",
    )
    parser.add_argument("--device", help="cpu, cuda or mps (default: the best there is)")
    parser.add_argument("--batch", type=int, default=5, help="seeds sampled together (default: %(default)s)")
    parser.add_argument("-o", "--output", type=Path, help="JSON file; an existing one needs --overwrite")
    parser.add_argument("--overwrite", action="store_true")
    options = parser.parse_args()
    if (options.seeds is not None and options.seeds < 1) or options.batch < 1:
        parser.error("--seeds and --batch must be at least 1")
    return options


def maker(options: argparse.Namespace) -> first_system.Maker:
    """Sampling with the options' model, a few seeds at a time, with a line of progress on a terminal."""
    model = load_model(options.model, pipeline.pick_device(options.device))
    settings = settings_from(options.set)
    made = 0

    def make(plan: Plan, seeds: Sequence[int]) -> list[Motion]:
        nonlocal made
        motions: list[Motion] = []
        for start in range(0, len(seeds), options.batch):
            motions += pipeline.generate_many(plan, seeds[start : start + options.batch], model, **settings)
            if sys.stderr.isatty():
                name = plan.segments[0].prompt[:40]
                print(f"\r{made + len(motions)} motions made, now: {name:40s}", end="", file=sys.stderr)
        made += len(motions)
        return motions

    return make


def measure(
    what: str, options: argparse.Namespace, make: first_system.Maker, dataset: Dataset
) -> dict[str, Any]:
    """One measurement as a dictionary."""
    count = options.seeds or SEEDS[what]
    seeds = range(options.first_seed, options.first_seed + count)
    test = dataset.clips("test", mirrored=False)
    if what == "long":
        return first_system.measure_long(make, test, seeds)
    if what == "loops":
        return first_system.measure_loops(make, seeds)
    if what == "solve":
        return first_system.measure_solve(make, test, seeds)
    train = dataset.clips("train", mirrored=False)
    classifier = load_classifier(options.classifier)
    if what == "contents":
        return first_system.measure_contents(make, classifier, train, seeds)
    return first_system.measure_unseen(make, classifier, train, seeds)


def verdict(value: float, limit: float, at_most: bool = True) -> str:
    """`ok` or `MISSED` beside a limit."""
    good = value <= limit if at_most else value >= limit
    return f"{'ok' if good else 'MISSED'} (limit {limit:g})"


def print_long(report: dict[str, Any]) -> None:
    """The table of `long`."""
    print(f"motions {report['motions']}, with NaN {report['motions_with_nan']}, seams {report['seams']}")
    slide, peak = report["foot_slide_m_per_s"], report["seam_jerk_p95"]
    for name, row, unit in (("foot slide", slide, "m/s"), ("seam jerk p95", peak, "m/frame^3")):
        figures = f"generated {row['generated']:.4f}, real {row['real']:.4f} {unit}, ratio {row['ratio']:.2f}"
        print(f"{name:22s} {figures}  {verdict(row['ratio'], row['limit'])}")
    print(f"  against real clips in the same mix of actions: ratio {slide['matched_ratio']:.2f}")
    for content, row in slide["contents"].items():
        print(f"  slide in {content:20s} generated {row['generated']:.3f}, real {row['real']:.3f} m/s")
    heights = report["lower_toe_median_m"]
    print(f"  lower toe, median height: {heights['generated']:.3f}, real {heights['real']:.3f} m")
    for content, row in report["inner_jerk_median"].items():
        figures = f"generated {row['generated']:.4f}, real {row['real']:.4f}, ratio {row['ratio']:.2f}"
        print(f"  jerk in {content:20s} {figures}  {verdict(row['ratio'], report['inner_jerk_limit'])}")


def print_contents(report: dict[str, Any]) -> None:
    """The table of `contents`."""
    for content, row in report["contents"].items():
        answers = ", ".join(f"{name} {count}" for name, count in row["answers"].items())
        print(f"  {content:22s} {row['accuracy']:5.0%}  {row['seconds']:.1f} s  {answers}")
    print(f"named right: {report['accuracy']:.1%}  {verdict(report['accuracy'], report['limit'], False)}")
    print(f"with one family as one content: {report['family_accuracy']:.1%}")


def print_unseen(report: dict[str, Any]) -> None:
    """The table of `unseen`."""
    for row in report["prompts"]:
        mark = f"{row['right']}/{report['seeds']}"
        print(f"  {mark:6s} {row['prompt']}  -> {', '.join(row['answers'])}")
    print(f"named right: {report['accuracy']:.1%}  {verdict(report['accuracy'], report['limit'], False)}")


def print_loops(report: dict[str, Any]) -> None:
    """The table of `loops`."""
    for row in report["rows"]:
        pose = f"pose {row['pose'] * 1000:6.1f} of {row['pose_limit'] * 1000:6.1f} mm"
        speed = f"velocity {row['velocity'] * 1000:6.1f} of {row['velocity_limit'] * 1000:6.1f} mm/frame"
        state = "closed" if row["closed"] else "OPEN"
        print(f"  seed {row['seed']:3d}  {pose}, {speed}  {state:6s} {'; '.join(row['prompts'])}")
    share = report["closed"] / report["loops"]
    print(f"closed: {report['closed']} of {report['loops']}  {verdict(share, report['limit'], False)}")


def print_solve(report: dict[str, Any]) -> None:
    """The table of `solve`."""
    for kind in ("real", "generated"):
        row = report[kind]
        mean, worst = row["mean_m"] * 1000, row["worst_m"] * 1000
        print(f"  {kind:10s} {row['motions']:4d} motions, mean {mean:.2f} mm, worst {worst:.1f} mm")
    print(verdict(report["real"]["mean_m"], report["limit_mean_m"]))


PRINTERS: dict[str, Callable[[dict[str, Any]], None]] = {
    "long": print_long,
    "contents": print_contents,
    "unseen": print_unseen,
    "loops": print_loops,
    "solve": print_solve,
}


def main() -> None:
    """Measure, print, write."""
    options = arguments()
    chosen = WHAT if options.what == "all" else (options.what,)
    results: dict[str, Any] = {}
    if options.output and options.output.exists() and not options.overwrite:
        raise OutputError(f"{options.output}: exists; pass --overwrite or choose another name")
    dataset, make = load_dataset(options.data), maker(options)
    for what in chosen:
        began = time.monotonic()
        results[what] = measure(what, options, make, dataset)
        results[what]["seconds"] = round(time.monotonic() - began, 1)
        print(f"\n{what} ({results[what]['seconds']} s)")
        PRINTERS[what](results[what])
    given = {key: str(value) for key, value in vars(options).items() if value is not None}
    if options.output:
        with replacing(options.output, options.overwrite) as part:
            report = {"versions": versions(), "options": given, **results}
            part.write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    script(main)
