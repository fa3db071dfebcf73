"""Samplers over steps: distances that are known, references on disk, rows and tables."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from synthetic_motion import stepping, turned
from test_composers import JUDGE, USUAL
from tiny_model import write_tiny_model

from collage_motion.data.captions import known_content
from collage_motion.errors import DataError
from collage_motion.eval import sampler_report, sampler_steps
from collage_motion.eval.sampler_steps import MANY, References, distance
from collage_motion.models import Model, load_model
from collage_motion.settings import Settings


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load_model(write_tiny_model(tmp_path_factory.mktemp("models") / "tiny"))


def test_a_walk_elsewhere_is_far_in_place_and_near_in_pose() -> None:
    walk = stepping(20, 60)
    assert distance(walk, walk) == (0.0, 0.0)
    moved = turned(walk, 0.7) + np.array([3.0, 0, 4.0])
    assert distance(walk, moved).pose == pytest.approx(0.0, abs=1e-9)
    assert distance(walk, walk + np.array([3.0, 0, 4.0])).placed == pytest.approx(5.0)
    lifted = walk.copy()
    lifted[:, 20, 1] += 0.22  # one joint of 22
    assert distance(walk, lifted) == pytest.approx((0.01, 0.01))
    with pytest.raises(DataError, match=r"motions of shapes \(60, 22, 3\) and \(59, 22, 3\)"):
        distance(walk, walk[1:])


def test_references_are_found_again_by_their_mark(tmp_path: Path) -> None:
    one, other = References(tmp_path, "aa"), References(tmp_path, "bb")
    joints = stepping(20, 30).astype(np.float32)
    assert one.load("walk") is None
    one.save("walk", joints)
    other.save("walk", joints + 1)
    np.testing.assert_array_equal(References(tmp_path, "aa").load("walk"), joints)
    one.forget()
    assert one.load("walk") is None and other.load("walk") is not None
    one.path("walk").write_text("dear diary")
    with pytest.raises(DataError, match="not a reference"):
        one.load("walk")


def test_a_clip_asks_for_its_content_and_seeds_ask_otherwise() -> None:
    tasks = [sampler_steps.clip_task("walk", 3.0, seed) for seed in range(8)]
    assert {known_content(task.plan.segments[0].prompt) for task in tasks} == {"walk"}
    assert len({task.plan for task in tasks}) > 1
    assert tasks[2] == sampler_steps.clip_task("walk", 3.0, 2)


@pytest.mark.slow
def test_more_steps_come_nearer_to_many(model: Model, tmp_path: Path) -> None:
    references = References(tmp_path, "x")
    rows = {
        steps: sampler_steps.measure_clip(
            model, JUDGE, Settings(steps=steps, guidance=1.0), "walk", 2.0, 0, references
        )
        for steps in (3, 60, MANY)
    }
    assert 0 == rows[MANY]["pose"] < rows[60]["pose"] < rows[3]["pose"]
    assert 0 == rows[MANY]["placed"] < rows[60]["placed"] < rows[3]["placed"]
    assert [rows[steps]["evaluations"] for steps in rows] == [3, 60, MANY]
    assert len(list(tmp_path.iterdir())) == 1
    # What is there is not made again, and other samplers, contents and seeds have their own.
    (name,) = tmp_path.iterdir()
    old = name.read_bytes()
    sampler_steps.measure_clip(model, JUDGE, Settings(steps=3, guidance=1.0), "walk", 2.0, 0, references)
    assert name.read_bytes() == old
    assert name.name == f"reference-x-{Settings.sampler}-walk-0.npz"


def test_stochastic_samplers_and_those_not_asked_for_have_no_distance(model: Model, tmp_path: Path) -> None:
    references = References(tmp_path, "x")
    random = Settings(steps=3, sampler="ancestral", guidance=1.0)
    row = sampler_steps.measure_clip(model, JUDGE, random, "walk", 2.0, 0, references)
    assert row.keys() == {"evaluations", "answer", "jerk"}
    chain = sampler_steps.measure_chain(model, JUDGE, random, 10.0, 0, USUAL, references)
    assert "pose" not in chain and chain["seams"] == 1
    heun = Settings(steps=3, sampler="edm", guidance=1.0)
    row = sampler_steps.measure_clip(model, JUDGE, heun, "walk", 2.0, 0, None)
    assert "pose" not in row and row["evaluations"] == 5
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_chains_are_measured_at_their_seams_and_against_many_steps(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampler_steps, "MANY", 12)
    references = References(tmp_path, "x")
    few, many = (
        sampler_steps.measure_chain(
            model, JUDGE, Settings(steps=steps, guidance=1.0), 10.0, 0, USUAL, references
        )
        for steps in (3, 12)
    )
    assert few["seams"] == many["seams"] == 1 and many["pose"] == 0 < few["pose"]
    assert few["contents"] == many["contents"]


def clip(sampler: str, steps: int, content: str, compared: bool = False, **row: object) -> tuple[dict, dict]:
    cell = {"kind": "clip", "sampler": sampler, "steps": steps, "content": content, "compared": compared}
    base = {"evaluations": steps, "answer": content, "jerk": 0.02}
    return cell | {"seed": 0}, base | row


def chain(seconds: float, steps: int, pose: float) -> tuple[dict, dict]:
    cell = {"kind": "chain", "sampler": "ddim", "steps": steps, "seconds": seconds, "seed": 0}
    seams = {"seams": 1, "curve": [0.1] * 57, "peaks": [0.2], "areas": [3.0], "usual_jerk": USUAL}
    row = {"contents": ["walk"], "answers": ["walk"], "pose": pose, "placed": 2 * pose}
    return cell, {"evaluations": steps, **row, **seams}


def test_clips_are_pooled_by_sampler_and_steps() -> None:
    cells = [
        clip("ddim", 5, "walk", True, pose=0.02, placed=0.1, jerk=0.03),
        clip("ddim", 5, "run", answer="walk"),
        clip("ddim", 5, "dash", answer="run"),
        clip("ddim", 10, "walk", error="no"),
        clip("deis", 5, "walk"),
    ]
    rows = sampler_report.clip_rows(cells, {"walk": 0.01, "run": 0.02})
    assert [(row["sampler"], row["steps"], row["motions"]) for row in rows] == [
        ("ddim", 5, 3),
        ("deis", 5, 1),
    ]
    row = rows[0]
    assert (row["accuracy"], row["family_accuracy"]) == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert (row["jerk_ratio"], row["pose_m"], row["compared"]) == (pytest.approx(2.0), 0.02, 1)
    assert "pose_m" not in rows[1]
    assert len(sampler_report.failures(cells)) == 1
    # A motion measured again with a distance counts once.
    again = sampler_report.clip_rows([*cells, clip("ddim", 5, "run", True, pose=0.04, placed=0.1)], {})
    assert (again[0]["motions"], again[0]["pose_m"]) == (3, pytest.approx(0.03))


def test_steps_needed_are_those_from_which_poses_stay_near() -> None:
    found = {10.0: (0.03, 0.009, 0.004), 30.0: (0.009, 0.02, 0.008), 60.0: (0.05, 0.04, 0.02)}
    cells = [
        chain(seconds, steps, pose)
        for seconds, poses in found.items()
        for steps, pose in zip((5, 20, 50), poses, strict=True)
    ]
    rows = sampler_report.chain_rows([*cells, chain(60.0, MANY, 0.0)])
    assert sampler_report.steps_needed(rows) == {10.0: 20, 30.0: 50, 60.0: None}
    assert rows[0]["peak_p50"] == 0.2 and rows[0]["placed_m"] == 0.06
    text = sampler_report.markdown([], rows)
    assert "10 s: 20, 30 s: 50, 60 s: more" in text and "| 60 | 0.0500 | 0.0400 | 0.0200 | 0.0000 |" in text
    lines = list(csv.DictReader(io.StringIO(sampler_report.comma_separated([], rows))))
    assert [float(line["seconds"]) for line in lines] == [10.0] * 3 + [30.0] * 3 + [60.0] * 4


def test_tables_have_steps_across() -> None:
    rows = sampler_report.clip_rows([clip("ddim", 5, "walk"), clip("edm", 10, "walk", evaluations=19)], {})
    text = sampler_report.markdown(rows, [], ["clip: no"])
    assert "| sampler | 5 | 10 |" in text and "| edm |  | 19 |" in text and "- clip: no" in text
