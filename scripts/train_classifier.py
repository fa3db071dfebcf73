"""Train the network that names the action of a motion: the judge for scripts/measure_first_system.py.

Uses one thread and a few minutes. Needs the prepared file (COLLAGE_DATA or --data).
"""

import argparse
import sys
import time
from pathlib import Path

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from collage_motion.cli import script
from collage_motion.data.dataset import load_dataset
from collage_motion.eval.classifier import DEFAULT_PATH
from collage_motion.eval.classifier_training import score_classifier, train_classifier


def main() -> None:
    """Train, score on the test split, save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="prepared training file (default: COLLAGE_DATA)")
    parser.add_argument(
        "-o", "--output", type=Path, default=DEFAULT_PATH, help="weights (default: %(default)s)"
    )
    parser.add_argument("--epochs", type=int, default=12, help="passes over the clips (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    began = time.monotonic()
    dataset = load_dataset(options.data)
    columns = (
        TextColumn("training the classifier"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("train")
        classifier = train_classifier(
            dataset,
            epochs=options.epochs,
            seed=options.seed,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    score = score_classifier(classifier, dataset.clips("test"))
    classifier.report |= {
        "test_accuracy": score.accuracy,
        "test_family_accuracy": score.family_accuracy,
        "test_balanced_accuracy": score.balanced,
        "test_per_content": score.per_content,
    }
    path = classifier.save(options.output)
    for content, share in score.per_content.items():
        print(f"  {content:22s} {share:6.1%}")
    for (truth, answer), count in score.confusions.items():
        print(f"  {count:3d} x {truth} taken for {answer}")
    print(f"real test clips named right: {score.accuracy:.1%}, mean over contents {score.balanced:.1%}")
    print(f"with one family as one content: {score.family_accuracy:.1%}")
    print(f"{path} written after {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    script(main)
