"""Measure how many steps samplers need: all of them on single actions, the default one on chains that grow.

  clips    every sampler at every number of steps: actions named right, jerk, distance to its own 200 steps
  chains   DiffCollage appendix D: steps and length, distance to 200 steps and jerk at seams
  all      both
  report   write the tables anew from what is measured

python scripts/measure_samplers.py all -o out/samplers

A run that was stopped goes on where it was: what is measured is in FOLDER/samplers.jsonl, and the motions of 200
steps are beside it. Needs the prepared file (COLLAGE_DATA or --data) and a classifier made by
scripts/train_classifier.py.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from collage_motion import __version__, pipeline
from collage_motion.cli import script
from collage_motion.data.dataset import load_dataset
from collage_motion.errors import CollageError
from collage_motion.eval import sampler_report, sampler_steps
from collage_motion.eval.classifier import DEFAULT_PATH, load_classifier
from collage_motion.eval.first_system import real_jerks, typical_seconds
from collage_motion.eval.jerk import mean_jerk
from collage_motion.eval.ledger import Ledger
from collage_motion.eval.measuring import (
    identity,
    output_folder,
    settings_from,
    versions,
    write_texts,
)
from collage_motion.models import load_model
from collage_motion.samplers import SAMPLERS
from collage_motion.settings import Settings

STEPS, SECONDS, COMPARED = sampler_steps.STEPS, (10.0, 30.0, 60.0), 4
QUICK_STEPS, QUICK_SECONDS, QUICK_CONTENTS = (5, 10), (10.0,), 2


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("clips", "chains", "all", "report"))
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--overwrite", action="store_true", help="measure anew what is in the folder")
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=[*SAMPLERS], help="of clips")
    parser.add_argument("--steps", type=int, nargs="+", help=f"default: {STEPS}")
    parser.add_argument("--seconds", type=float, nargs="+", help=f"of chains (default: {SECONDS})")
    parser.add_argument("--contents", type=int, help="actions of clips (default: all)")
    parser.add_argument(
        "--compared",
        type=int,
        default=COMPARED,
        help="of them, compared with 200 steps (default: %(default)s)",
    )
    parser.add_argument("--seeds", type=int, default=1, help="of clips and chains (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="5 and 10 steps, two actions: does all run?")
    parser.add_argument("--data", type=Path, help="prepared training file (default: COLLAGE_DATA)")
    parser.add_argument("--model", default="default", help="name or folder of a model (default: %(default)s)")
    parser.add_argument("--classifier", type=Path, default=DEFAULT_PATH, help="default: %(default)s")
    parser.add_argument("--device", help="cpu, cuda or mps (default: the best there is)")
    parser.add_argument("--threads", type=int, help="of the processor (default: torch's)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a field of Settings for all runs"
    )
    options = parser.parse_args()
    options.steps = options.steps or list(QUICK_STEPS if options.quick else STEPS)
    options.seconds = options.seconds or list(QUICK_SECONDS if options.quick else SECONDS)
    options.contents = options.contents or (QUICK_CONTENTS if options.quick else None)
    numbers = [options.seeds, options.contents or 1, options.threads or 1, *options.steps, *options.seconds]
    if min(numbers) <= 0 or options.compared < 0:
        parser.error("numbers must be above 0, --compared at least 0")
    return options


class Bench:
    """What is measured with, and the rows measured so far."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.settings = settings_from(options.set)
        Settings(**self.settings)
        if options.threads:
            torch.set_num_threads(options.threads)
        self.model = load_model(options.model, pipeline.pick_device(options.device))
        self.classifier = load_classifier(options.classifier)
        dataset = load_dataset(options.data)
        test = dataset.clips("test", mirrored=False)
        self.lengths = typical_seconds(dataset.clips("train", mirrored=False))
        self.real_jerks, self.usual_jerk = real_jerks(test), mean_jerk([clip.joints for clip in test])
        self.folder = output_folder(options.output)
        self.header = {
            "measurement": "samplers",
            # Another kind of device rounds otherwise, which the distance between motions would show.
            "device": self.model.device.type,
            "model": identity(self.model),
            "version": __version__,
            "settings": asdict(Settings(**self.settings)),
            "usual_jerk": float(f"{self.usual_jerk:.6g}"),
        }
        anew = options.overwrite and options.what != "report"
        self.ledger = Ledger(self.folder / "samplers.jsonl", self.header, anew)
        mark = hashlib.sha256(json.dumps(self.header).encode()).hexdigest()[:8]
        self.references = sampler_steps.References(self.folder, mark)
        if anew:
            self.references.forget()

    def measure(self, cell: dict[str, Any]) -> dict[str, Any]:
        """One row."""
        settings = Settings(**{**self.settings, "sampler": cell["sampler"], "steps": cell["steps"]})
        references, classifier, seed = self.references, self.classifier, cell["seed"]
        try:
            if cell["kind"] == "chain":
                seconds = cell["seconds"]
                return sampler_steps.measure_chain(
                    self.model, classifier, settings, seconds, seed, self.usual_jerk, references
                )
            content, own = cell["content"], references if cell["compared"] else None
            seconds = self.lengths[content]
            return sampler_steps.measure_clip(self.model, classifier, settings, content, seconds, seed, own)
        except CollageError as error:
            return {"error": str(error)}


def cells(options: argparse.Namespace, bench: Bench) -> Iterator[dict[str, Any]]:
    """What is to be measured, the cheapest first."""
    contents = [content for content in bench.classifier.contents if content in bench.lengths]
    contents = evenly(contents, options.contents or len(contents))
    far = evenly(contents, options.compared)
    for seed in range(options.seeds):
        for steps in sorted(options.steps) if options.what in ("clips", "all") else ():
            for sampler in options.samplers:
                for content in contents:
                    cell = {"kind": "clip", "sampler": sampler, "steps": steps, "seed": seed}
                    yield cell | {"content": content, "compared": content in far}
        sampler = Settings(**bench.settings).sampler
        for seconds in sorted(options.seconds) if options.what in ("chains", "all") else ():
            for steps in (sampler_steps.MANY, *sorted(options.steps)):
                cell = {"kind": "chain", "sampler": sampler, "steps": steps, "seed": seed}
                yield cell | {"seconds": seconds}


def evenly(names: list[str], count: int) -> list[str]:
    """`count` of the names, as far apart as they can be."""
    count = min(count, len(names))
    return [names[k * len(names) // count] for k in range(count)]


def measure(options: argparse.Namespace, bench: Bench) -> None:
    """Measure every cell that is not measured yet."""
    todo = [cell for cell in cells(options, bench) if cell not in bench.ledger]
    began = time.monotonic()
    for number, cell in enumerate(todo, 1):
        bench.ledger.append(cell, bench.measure(cell))
        what = cell.get("content") or f"{cell['seconds']:g} s"
        text = f"{cell['sampler']} {cell['steps']} steps, {what}"
        print(f"{number}/{len(todo)} {text} ({time.monotonic() - began:.0f} s)", file=sys.stderr, flush=True)


def report(bench: Bench) -> None:
    """Write what the folder's rows say, and print the tables."""
    clips = sampler_report.clip_rows(bench.ledger, bench.real_jerks)
    chains = sampler_report.chain_rows(bench.ledger)
    text = sampler_report.markdown(clips, chains, sampler_report.failures(bench.ledger))
    print(text)
    known = {"versions": versions(), **bench.header}
    texts = {
        "samplers.md": text,
        "samplers.json": json.dumps({**known, "clips": clips, "chains": chains}, indent=1),
        "samplers.csv": sampler_report.comma_separated(clips, chains),
    }
    write_texts(bench.folder, texts)


def main() -> None:
    """Measure, then report."""
    options = arguments()
    bench = Bench(options)
    if options.what != "report":
        measure(options, bench)
    report(bench)


if __name__ == "__main__":
    script(main, stopped="stopped; the same command goes on from here")
