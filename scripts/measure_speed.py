"""Measure what composition costs: the time of a composed step beside the bare network, and calls per run.

python scripts/measure_speed.py --seconds 10 60 300 -o speed.json
"""

import argparse
import json
import time
from pathlib import Path

from collage_motion import pipeline
from collage_motion.cli import script
from collage_motion.eval.speed import MAX_RATIO, measure_speed
from collage_motion.export.atomic import replacing
from collage_motion.models import load_model

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="default", help="name or folder of a model (default: %(default)s)")
    parser.add_argument("--seconds", type=float, nargs="+", default=[10.0, 30.0, 60.0, 300.0])
    parser.add_argument("--device", help="cpu, cuda or mps (default: the best there is)")
    parser.add_argument("--guidance", type=float, default=pipeline.Settings.guidance)
    parser.add_argument(
        "--max-tokens", type=int, default=pipeline.Settings.max_tokens, help="frames in one call"
    )
    parser.add_argument("--repetitions", type=int, default=15, help="of each timing (default: %(default)s)")
    parser.add_argument("--run-steps", type=int, default=4, help="steps of the counted run; 0: none")
    parser.add_argument(
        "--clock", choices=CLOCKS, default="wall", help="cpu: processor time, for a busy machine without GPU"
    )
    parser.add_argument("-o", "--output", type=Path, help="JSON file, replaced if it exists")
    options = parser.parse_args()
    if options.repetitions < 1 or options.run_steps < 0:
        parser.error("--repetitions must be at least 1, --run-steps at least 0")
    return options


def main() -> None:
    """Measure, print, write."""
    options = arguments()
    model = load_model(options.model, pipeline.pick_device(options.device))
    settings = pipeline.Settings(guidance=options.guidance, max_tokens=options.max_tokens)
    print("motion   nodes  calls   rows   composed       bare   ratio   calls of a run")
    rows = []
    for seconds in options.seconds:
        (row,) = measure_speed(
            model, [seconds], settings, options.repetitions, CLOCKS[options.clock], options.run_steps
        )
        rows.append(row)
        state = "ok" if row["ratio"] <= MAX_RATIO else f"MISSED (limit {MAX_RATIO:g})"
        run = f"{row['run_calls']} in {row['run_steps']} steps" if options.run_steps else ""
        times = f"{row['composed_s'] * 1000:7.1f} ms {row['bare_s'] * 1000:7.1f} ms"
        print(
            f"{seconds:5g} s {row['regions']:7d} {row['calls']:6d} {row['rows']:6d} {times} "
            f"{row['ratio']:7.3f}   {run}  {state}"
        )
    if options.output:
        with replacing(options.output, overwrite=True) as part:
            part.write_text(
                json.dumps({"device": str(model.device), "rows": rows}, indent=1), encoding="utf-8"
            )


if __name__ == "__main__":
    script(main)
