"""Measure whether a walk keeps step where its windows meet: how fast limbs go there and elsewhere.

    python scripts/measure_steps.py -o steps.json
    python scripts/measure_steps.py --set stagger_below=0

Two windows of one prompt may walk out of step; where they are added, legs and arms then go to and fro by less. Ankles,
toes and wrists are followed, beside the pelvis, over half a second at each place: the middles of the overlaps that
windows have under much noise (`chain`), and the places half-way between. Windows that are staggered under little noise
(`methods.staggered`) overlap there in the end. A place is slow below 0.7 of the median of those between. Intervals are
Student's t over seeds. A minute with the default settings.
"""

import argparse
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from collage_motion import pipeline
from collage_motion.cli import script
from collage_motion.errors import PlanError
from collage_motion.eval.measuring import settings_from
from collage_motion.eval.metrics import half_width
from collage_motion.export.atomic import replacing
from collage_motion.models import Model, load_model
from collage_motion.plan import Plan, Segment

LIMBS = (7, 8, 10, 11, 20, 21)
HALF_S = 0.25
SLOW = 0.7


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="default", help="name or folder of a model (default: %(default)s)")
    parser.add_argument("--prompts", nargs="+", default=["a person walks forward", "a person runs"])
    parser.add_argument("--seconds", type=float, default=24.0, help="of each motion (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=24, help="motions a prompt (default: %(default)s)")
    parser.add_argument("--device", help="cpu, cuda or mps (default: the best there is)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a setting; may be repeated"
    )
    parser.add_argument("-o", "--output", type=Path, help="JSON file, replaced if it exists")
    options = parser.parse_args()
    if options.seeds < 2:
        parser.error("--seeds must be at least 2")
    return options


def places_of(plan: Plan, model: Model, settings: pipeline.Settings) -> tuple[list[int], list[int]]:
    """Middles of the overlaps of a plan's windows, and frames half-way between."""
    graph = settings.graph(plan, model.card)
    meet = [
        (one.frames[-1] + other.frames[0]) // 2
        for one, other in pairwise(graph.windows)
        if one.frames[-1] >= other.frames[0]
    ]
    if len(meet) < 2:
        raise PlanError(
            f"{plan.segments[0].prompt!r} for {plan.seconds:g} s has {len(graph.windows)} windows, and nothing lies "
            "between where they meet; take --seconds longer"
        )
    return meet, [(a + b) // 2 for a, b in pairwise(meet)]


def limb_speed(motion: pipeline.Motion) -> NDArray[np.float64]:
    """Speed of limbs beside the pelvis at each frame, m/s, averaged over `HALF_S` before and after."""
    beside = motion.joints[:, LIMBS] - motion.joints[:, :1]
    speed = np.linalg.norm(np.diff(beside, axis=0), axis=2).mean(1) * motion.fps
    n = 2 * round(HALF_S * motion.fps) + 1
    return np.convolve(np.pad(speed, n // 2, mode="edge"), np.full(n, 1 / n), "valid")


def measured(
    prompt: str, model: Model, settings: pipeline.Settings, seconds: float, seeds: int
) -> dict[str, float]:
    """Figures of one prompt: mean over seeds, and `..._ci95`."""
    plan = Plan((Segment(prompt, seconds),))
    meet, between = places_of(plan, model, settings)
    motions = [pipeline.generate(plan, model, seed=seed, **vars(settings)) for seed in range(seeds)]
    speeds = np.array([limb_speed(motion) for motion in motions])
    slow = SLOW * np.median(speeds[:, between])
    ground = [np.linalg.norm(m.joints[-1, 0, ::2] - m.joints[0, 0, ::2]) / seconds for m in motions]
    found = {
        "meet_over_between": speeds[:, meet].mean(1) / speeds[:, between].mean(1),
        "slow_where_they_meet": (speeds[:, meet] < slow).mean(1),
        "slow_between": (speeds[:, between] < slow).mean(1),
        "metres_per_second": np.array(ground),
    }
    means = {name: float(values.mean()) for name, values in found.items()}
    return means | {f"{name}_ci95": half_width(values.tolist()) for name, values in found.items()}


def main() -> None:
    """Measure, print, write."""
    options = arguments()
    model = load_model(options.model, pipeline.pick_device(options.device))
    settings = pipeline.Settings(**settings_from(options.set))
    rows = []
    for prompt in options.prompts:
        row = measured(prompt, model, settings, options.seconds, options.seeds)
        rows.append({"prompt": prompt, **row})
        shown = ", ".join(
            f"{name.replace('_', ' ')} {row[name]:.3f} ± {row[name + '_ci95']:.3f}"
            for name in row
            if f"{name}_ci95" in row
        )
        print(f"{prompt}: {shown}", flush=True)
    if options.output:
        with replacing(options.output, overwrite=True) as path:
            path.write_text(json.dumps({"settings": vars(settings), "rows": rows}, indent=1) + "\n")
        print(f"wrote {options.output}")


if __name__ == "__main__":
    script(main)
