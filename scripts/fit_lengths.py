"""Write into a model's card how long what prompts ask for usually lasts and how fast it travels, from training clips.

    COLLAGE_DATA=motion.npz python scripts/fit_lengths.py collage_motion/assets/default

Without that a segment is split only where the model's longest window ends, and the windows of a walk are not shifted
when there is little noise. Takes a minute.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from collage_motion.card import CARD_FILE, read_card
from collage_motion.cli import script
from collage_motion.data.dataset import load_dataset
from collage_motion.data.lengths import explained, fit_usual_length, fit_usual_pace, pace
from collage_motion.export.atomic import replacing
from collage_motion.lengths import travels, usual_seconds


def main() -> None:
    """Fit, write, tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="folder of the model, with its card")
    parser.add_argument("--data", type=Path, help="prepared file (default: $COLLAGE_DATA)")
    options = parser.parse_args()
    read_card(options.model)
    dataset = load_dataset(options.data)
    clips = list(dataset.clips("train", mirrored=False))
    line, speed = fit_usual_length(clips), fit_usual_pace(clips)
    path = options.model / CARD_FILE
    fields = json.loads(path.read_text(encoding="utf-8"))
    with replacing(path, overwrite=True) as part:
        part.write_text(
            json.dumps({**fields, "usual_length": asdict(line), "usual_pace": asdict(speed)}, indent=1)
            + "\n",
            encoding="utf-8",
        )
    card = read_card(options.model)
    for action, seconds in usual_seconds(card.actions, card).items():
        print(f"{seconds:5.1f} s  {action}{', which travels' if travels(action, card) else ''}")
    for split in ("train", "test"):
        share, shorter = explained(line, dataset.clips(split, mirrored=False), seed=1)
        paces, _ = explained(speed, dataset.clips(split, mirrored=False), seed=1, measure=pace)
        print(
            f"{split}: {share:.0%} of the variance of log seconds; {shorter:.0%} of the clips are no longer; "
            f"{paces:.0%} of the variance of paces"
        )
    print(f"wrote {path}")


if __name__ == "__main__":
    script(main)
