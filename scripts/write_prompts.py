"""Write the published lists of prompts, eval/prompts/long.json and compose.json: what `collage-motion eval` asks for.

    COLLAGE_DATA=motion.npz python scripts/write_prompts.py

They are the draws of seed 0 for the default model: five replications of 256 captions of the test split. `short` asks
for the captions of `long`, `loop` and `path` for those of `compose`, in their order.
"""

import argparse
import tempfile
from pathlib import Path

from collage_motion.cli import script
from collage_motion.eval.command import Request, evaluation_of
from collage_motion.eval.report import prompt_text
from collage_motion.export.atomic import replacing

NAMES = ("long", "compose")
REPLICATIONS, SAMPLES = 5, 256


def main() -> None:
    """Draw and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = Path(__file__).parent.parent / "eval" / "prompts"
    parser.add_argument("-o", "--output", type=Path, default=default, help="folder (default: %(default)s)")
    options = parser.parse_args()
    for name in NAMES:
        with tempfile.TemporaryDirectory() as folder:
            request = Request(Path(folder), name, "collage", REPLICATIONS, SAMPLES, device="cpu")
            text = prompt_text(evaluation_of(request).prompts())
        with replacing(options.output / f"{name}.json", overwrite=True) as part:
            part.write_text(text, encoding="utf-8")
        print(f"wrote {options.output / name}.json ({len(text) / 1e3:.0f} kB)")


if __name__ == "__main__":
    script(main)
