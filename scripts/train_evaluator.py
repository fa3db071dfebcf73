"""Train the benchmark's own evaluator on the training split; run it again to resume where it stopped.

    COLLAGE_DATA=motion.npz python scripts/train_evaluator.py

State goes to a folder outside the work tree (default ~/.cache/collage-motion/evaluator). When the last step
is done, the weights are measured on the test split (real against real, shuffled captions, spoiled motions)
and written with their card to the package (or --output). Takes one thread and about half an hour.
"""

import argparse
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn, track

from collage_motion.cli import script
from collage_motion.data.batches import to_recordings
from collage_motion.data.captions import canonical_style
from collage_motion.data.dataset import load_dataset
from collage_motion.eval.accuracy import style_accuracy
from collage_motion.eval.benchmark import load_benchmark
from collage_motion.eval.evaluator_quality import embed_items, fid_floor, real_to_real, sensitivity
from collage_motion.eval.evaluator_training import EvaluatorBatches, EvaluatorSettings, EvaluatorTrainer
from collage_motion.eval.own_evaluator import (
    FOLDER,
    OwnEvaluator,
    load_own_evaluator,
    rewrite_quality,
    write_own_evaluator,
)

CREDIT = (
    "Bandai-Namco-Research-Motiondataset 1 and 2 (Kobayashi et al. 2023, arXiv 2306.08861, CC BY-NC 4.0) and clips of "
    "the CMU Graphics Lab Motion Capture Database (mocap.cs.cmu.edu, NSF EIA-0196217)"
)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="prepared file (default: $COLLAGE_DATA)")
    parser.add_argument("--folder", type=Path, default=Path("~/.cache/collage-motion/evaluator"))
    parser.add_argument("-o", "--output", type=Path, default=FOLDER, help="folder of weights and card")
    parser.add_argument(
        "--measure", action="store_true", help="train nothing: measure what the folder of weights holds"
    )
    parser.add_argument("--every", type=int, default=100, help="steps between checkpoints")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: %(default)s)")
    for field in fields(EvaluatorSettings):
        parser.add_argument(
            f"--{field.name.replace('_', '-')}", type=type(field.default), default=field.default
        )
    return parser.parse_args()


def train(options: argparse.Namespace) -> EvaluatorTrainer:
    """Train to the last step, from where the folder's state ends."""
    settings = EvaluatorSettings(**{f.name: getattr(options, f.name) for f in fields(EvaluatorSettings)})
    quiet = not sys.stderr.isatty()
    clips = load_dataset(options.data).clips("train")
    recordings = to_recordings(clips, lambda rows: track(rows, "features", disable=quiet))
    trainer = EvaluatorTrainer(EvaluatorBatches(recordings, settings), options.folder.expanduser())
    resumed = trainer.resume()
    print(f"{len(recordings)} clips, {'resumed at' if resumed else 'from'} step {trainer.step}", flush=True)
    columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=quiet) as bar:
        task = bar.add_task("train", total=settings.steps, completed=trainer.step)
        sums = [0.0, 0.0]
        for step, match, spoiled in trainer.run(options.every):
            bar.update(task, completed=step)
            sums = [sums[0] + match, sums[1] + spoiled]
            if step % options.every == 0:
                match, spoiled = (total / options.every for total in sums)
                print(f"step {step}: match {match:.3f} spoiled {spoiled:.3f}", flush=True)
                sums = [0.0, 0.0]
    return trainer


def measure(evaluator: OwnEvaluator, data: Path | None) -> dict[str, Any]:
    """What the card says of the evaluator: its figures on the test split."""
    quiet = not sys.stderr.isatty()
    benchmark = load_benchmark(data, "test")
    embedded = embed_items(evaluator, benchmark.items)
    items = benchmark.items
    labels = [item.content for item in items], [canonical_style(item.style or "normal") for item in items]
    return {
        "split": "test",
        "clips": len(items),
        "meanings": len(benchmark.meanings),
        "real_to_real": real_to_real(evaluator, benchmark, embedded),
        "fid_floor": fid_floor(benchmark, embedded),
        "style_accuracy": style_accuracy(evaluator, [item.features for item in items], *labels)._asdict(),
        "sensitivity": sensitivity(
            evaluator,
            benchmark,
            embedded,
            track=lambda rows: track(list(rows), "spoiled motions", disable=quiet),
        ),
    }


def report(quality: dict[str, Any]) -> None:
    """Print the figures of a card."""
    for name, (mean, interval) in quality["real_to_real"].items():
        print(f"  {name:26s} {np.round(mean, 4)} ± {np.round(interval, 4)}")
    print(f"  FID floor {quality['fid_floor']}")
    print(f"  style accuracy {quality['style_accuracy']}")
    for name, row in quality["sensitivity"].items():
        print(
            f"  {name:26s} FID {row['fid']:8.2f} ({row['times_floor']:6.1f} x floor)  R@3 {row['r_precision_3']:.3f}"
        )


def main() -> None:
    """Train, measure, write."""
    options = arguments()
    torch.set_num_threads(options.threads)
    if options.measure:
        quality = measure(load_own_evaluator(options.output), options.data)
        path = rewrite_quality(quality, options.output)
        report(quality)
        print(f"{path}: quality written")
        return
    trainer = train(options)
    networks = trainer.evaluator
    for network in networks.networks.values():
        network.eval().requires_grad_(False)
    card = {
        "description": "text-motion evaluator of the benchmark; standard layers, InfoNCE on squared distances",
        "parameters": sum(p.numel() for net in networks.networks.values() for p in net.parameters()),
        "licence": "CC BY-NC 4.0",
        "data": CREDIT,
        "training": asdict(trainer.settings) | {"clips": len(trainer.batches.recordings)},
    }
    write_own_evaluator(networks, card, options.output)
    card["quality"] = measure(load_own_evaluator(options.output), options.data)
    path = write_own_evaluator(networks, card, options.output)
    report(card["quality"])
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    script(main, stopped="stopped; the same command goes on from here")
