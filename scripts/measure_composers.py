"""Measure every way to compose long motion on the same plans and seeds: one table, and wall clock drawn over length.

  search   try the one knob of each composer on seeds of their own; `table` in the same folder takes the winners
  table    every composer at every length: seams, feet, actions named right, calls, time, memory
  all      search, then table
  report   write tables and the chart anew from what is measured

python scripts/measure_composers.py all -o out/composers

A run that was stopped goes on where it was: what is measured is in FOLDER/search.jsonl and FOLDER/table.jsonl.
Another device or number of threads adds rows of its own to the same folder. Memory is the high-water mark of the
process, reset before each motion, beyond what was in use (on CUDA torch's own count). Needs the prepared file
(COLLAGE_DATA or --data) and a classifier made by scripts/train_classifier.py.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from collage_motion import __version__, pipeline
from collage_motion.cli import script
from collage_motion.data.dataset import load_dataset
from collage_motion.eval import composer_search as search
from collage_motion.eval import composers, composers_report
from collage_motion.eval.charts import draw_times
from collage_motion.eval.classifier import DEFAULT_PATH, ContentClassifier, load_classifier
from collage_motion.eval.ledger import Ledger
from collage_motion.eval.measuring import (
    device_name,
    identity,
    output_folder,
    settings_from,
    versions,
    write_texts,
)
from collage_motion.models import Model, load_model
from collage_motion.settings import Settings

SECONDS, SEEDS = (10.0, 30.0, 60.0, 300.0), (3, 1, 1, 1)
SEARCH_SECONDS, SEARCH_SEEDS = (30.0,), (1,)
QUICK_SECONDS, QUICK_SEEDS = (10.0, 20.0), (1,)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("search", "table", "all", "report"))
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--overwrite", action="store_true", help="measure anew what is in the folder")
    parser.add_argument("--composers", nargs="+", choices=composers.COMPOSERS, default=[*composers.COMPOSERS])
    parser.add_argument("--seconds", type=float, nargs="+", help=f"lengths of motion (default: {SECONDS})")
    parser.add_argument(
        "--seeds", type=int, nargs="+", help=f"seeds at each length, or at all (default: {SEEDS})"
    )
    parser.add_argument("--quick", action="store_true", help="10 and 20 s, one seed: does everything run?")
    parser.add_argument("--data", type=Path, help="prepared training file (default: COLLAGE_DATA)")
    parser.add_argument("--model", default="default", help="name or folder of a model (default: %(default)s)")
    parser.add_argument("--classifier", type=Path, default=DEFAULT_PATH, help="default: %(default)s")
    parser.add_argument("--device", help="cpu, cuda or mps (default: the best there is)")
    parser.add_argument("--threads", type=int, help="of the processor (default: torch's)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a field of Settings for all composers",
    )
    options = parser.parse_args()
    if options.what == "all" and (options.seconds or options.seeds):
        parser.error("--seconds and --seeds are those of search or table; run one after the other")
    options.lengths = {stage: lengths(stage, options, parser) for stage in ("search", "table")}
    if options.threads is not None and options.threads < 1:
        parser.error("--threads must be at least 1")
    return options


def lengths(
    stage: str, options: argparse.Namespace, parser: argparse.ArgumentParser
) -> list[tuple[float, int]]:
    """Lengths of motion and the number of seeds at each, short ones first."""
    seconds, seeds = options.seconds, options.seeds
    if options.quick:
        seconds, seeds = seconds or QUICK_SECONDS, seeds or QUICK_SEEDS
    elif stage == "search":
        seconds, seeds = seconds or SEARCH_SECONDS, seeds or SEARCH_SEEDS
    else:
        seeds = seeds or (SEEDS if seconds is None else (1,))
        seconds = seconds or SECONDS
    seeds = list(seeds) * len(seconds) if len(seeds) == 1 else seeds
    if len(seeds) != len(seconds) or min(seeds) < 1 or min(seconds) <= 0:
        parser.error("--seeds: one number of seeds, or one for each of --seconds; both above 0")
    return sorted(zip(seconds, seeds, strict=True))


@dataclass(frozen=True)
class Bench:
    """What is measured with."""

    model: Model
    classifier: ContentClassifier
    real: composers.Real
    settings: dict[str, Any]
    device: str
    folder: Path

    def header(self) -> dict[str, Any]:
        """What all rows of a ledger have in common."""
        return {
            "measurement": "composers",
            "model": identity(self.model),
            "version": __version__,
            "settings": asdict(Settings(**self.settings)),
            "real": self.real.header(),
        }

    def ledger(self, name: str, overwrite: bool = False) -> Ledger:
        """The rows of `search` or `table`."""
        return Ledger(self.folder / f"{name}.jsonl", self.header(), overwrite)


def bench(options: argparse.Namespace) -> Bench:
    """Load everything."""
    settings = settings_from(options.set)
    Settings(**settings)
    if options.threads:
        torch.set_num_threads(options.threads)
    model = load_model(options.model, pipeline.pick_device(options.device))
    classifier = load_classifier(options.classifier)
    test = load_dataset(options.data).clips("test", mirrored=False)
    return Bench(
        model,
        classifier,
        composers.measure_real(test, classifier),
        settings,
        device_name(model.device),
        output_folder(options.output),
    )


def cells(stage: str, options: argparse.Namespace, own: Bench) -> Iterator[dict[str, Any]]:
    """What is to be measured, short motions first."""
    if stage == "search":
        tried, first = search.candidates(options.composers), search.FIRST_SEED
    else:
        best = search.winners(search.results(own.ledger("search")))
        tried, first = [(name, best.get(name, {})) for name in options.composers], 0
    for seconds, seeds in options.lengths[stage]:
        for seed in range(first, first + seeds):
            for name, chosen in tried:
                yield {
                    "device": own.device,
                    "composer": name,
                    "options": chosen,
                    "seconds": seconds,
                    "seed": seed,
                }


def measure(stage: str, options: argparse.Namespace, own: Bench) -> None:
    """Measure every cell of `search` or `table` that is not measured yet."""
    ledger = own.ledger(stage, options.overwrite)
    todo = [cell for cell in cells(stage, options, own) if cell not in ledger]
    if todo:  # what the first call costs once belongs to no cell
        composers.measure_cell(own.model, own.classifier, Settings(steps=2), 5.0, 0, own.real.usual_jerk)
    for number, cell in enumerate(todo, 1):
        settings = Settings(**{**own.settings, **composers.COMPOSERS[cell["composer"]], **cell["options"]})
        began = time.monotonic()
        row = composers.measure_cell(
            own.model, own.classifier, settings, cell["seconds"], cell["seed"], own.real.usual_jerk
        )
        ledger.append(cell, row)
        took, what = time.monotonic() - began, row.get("error", "")
        name = f"{cell['composer']:15s} {cell['seconds']:5g} s, seed {cell['seed']}"
        print(f"{number}/{len(todo)} {name} {took:7.1f} s {what}", file=sys.stderr, flush=True)


def report(own: Bench) -> None:
    """Write what the folder's rows say, and print the tables."""
    known = {"versions": versions(), **own.header()}
    tried = search.results(own.ledger("search"))
    if tried:
        text = search.markdown(tried)
        print(text)
        found = {**known, "rows": tried}
        write_texts(own.folder, {"search.md": text, "search.json": json.dumps(found, indent=1)})
    rows = composers_report.summary(own.ledger("table"), own.real)
    if not rows:
        return
    text = composers_report.markdown(rows, own.real.usual_jerk)
    print(text)
    texts = {
        "table.md": text,
        "table.json": json.dumps({**known, "rows": rows}, indent=1),
        "table.csv": composers_report.comma_separated(rows),
    }
    write_texts(own.folder, texts)
    draw_times(rows, own.folder / "times.png", overwrite=True)


def main() -> None:
    """Measure, then report."""
    options = arguments()
    own = bench(options)
    for stage in ("search", "table") if options.what == "all" else (options.what,):
        if stage != "report":
            measure(stage, options, own)
    report(own)


if __name__ == "__main__":
    script(main, stopped="stopped; the same command goes on from here")
