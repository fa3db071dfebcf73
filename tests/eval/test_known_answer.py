"""A known answer for the whole evaluation: the better a network has learnt, the better its figures."""

import json
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from beds import write_prepared
from safetensors.torch import load_file, save_file

import collage_motion
from collage_motion.eval.benchmark import load_benchmark
from collage_motion.eval.judging import Judge
from collage_motion.eval.measuring import identity
from collage_motion.eval.metrics import half_width
from collage_motion.eval.own_evaluator import FOLDER, load_own_evaluator
from collage_motion.eval.parts import Share, Sizes
from collage_motion.eval.protocols import SHORT, get_protocol
from collage_motion.eval.running import Evaluation
from collage_motion.eval.store import Store
from collage_motion.eval.testbed import OwnTestbed
from collage_motion.models import load_model

SHIPPED = Path(collage_motion.__file__).parent / "assets" / "default"
STEPS, MOTIONS = 4, 32
RESULTS = Path(__file__).resolve().parent.parent.parent / "eval" / "results"


class Silent:
    """A watch that says nothing."""

    def begin(self, stage: str) -> None: ...
    def step(self, done: int, total: int) -> None: ...
    def say(self, line: str) -> None: ...


def unlearnt(folder: Path, share: float) -> Path:
    """The shipped model with noise in its weight matrices, `share` times as large as what they have learnt."""
    folder.mkdir()
    generator = torch.Generator().manual_seed(0)
    weights = load_file(SHIPPED / "model.safetensors")
    for name, weight in weights.items():
        if weight.ndim > 1:
            noise = torch.randn(weight.shape, generator=generator)
            weights[name] = (weight.float() + share * weight.float().std() * noise).to(weight.dtype)
    save_file(weights, folder / "model.safetensors")
    shutil.copy(SHIPPED / "card.json", folder)
    return folder


@pytest.mark.slow
def test_a_better_network_has_better_figures(tmp_path: Path) -> None:
    """Of the shipped one and two that have lost some and much of what it learnt; the judge is the shipped one too.

    The real clips are made-up, so FID against them tells nothing; what tells is how motions match their captions, and
    that feet stand and bones keep their lengths. With real clips it is in the test below.
    """
    benchmark = load_benchmark(write_prepared(tmp_path / "data.npz"))
    testbed = OwnTestbed(benchmark, load_own_evaluator(FOLDER))
    testbed.most_frames = 60
    protocol = get_protocol("short").quick()
    rows = []
    for share in (0.0, 0.3, 0.6):
        model = load_model(str(unlearnt(tmp_path / f"model-{share}", share)), torch.device("cpu"))
        store = Store.open(tmp_path / f"run-{share}", {"share": share})
        sizes, common = Sizes(1, MOTIONS), {"steps": STEPS}
        job = Evaluation(protocol, [SHORT], sizes, model, testbed, store, 0, common)
        job.generate(Share(), Silent())
        rows.append(Judge(job).run(Silent())[-1])
    figures = {name: np.array([row[name]["mean"] for row in rows]) for name in rows[0] if name != "method"}
    assert (np.diff(figures["mm_dist"]) > 0.2).all()
    for name, least in (("r_precision_3", -0.1), ("foot_slide", 0.1), ("bone_drift", 0.005)):
        best, *others = figures[name] * np.sign(least)
        assert min(others) - best > abs(least), name


def test_the_published_checkpoints_get_better_as_they_learn() -> None:
    """The shipped weights and those committed before them on the real test split, outside their intervals."""
    figures = []
    for steps in (8_600, 19_400, 26_000, 51_000):
        report = json.loads((RESULTS / f"short-{steps}-steps.json").read_text())
        (row,) = (row for row in report["rows"] if row["method"] == SHORT)
        figures.append((report, row))
    for (before, worse), (after, better) in pairwise(figures):
        assert before["model"]["weights"] != after["model"]["weights"]
        assert before["judge"]["files"] == after["judge"]["files"] and before["testbed"] == after["testbed"]
        for name, sign in (
            ("fid_above_floor", -1),
            ("r_precision_3", 1),
            ("mm_dist", -1),
            ("content_accuracy", 1),
        ):
            gains = sign * (np.array(better[name]["values"]) - worse[name]["values"])
            assert gains.mean() > half_width(gains) > 0, name
    assert (
        figures[-1][0]["model"]["weights"] == identity(load_model("default", torch.device("cpu")))["weights"]
    )
