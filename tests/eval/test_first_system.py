"""The measurements of the first system, on makers whose motions are known."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from synthetic_motion import standing, stepping

from collage_motion.data.caption_table import ACTION_NAMES
from collage_motion.data.captions import ACTIONS, CONTENTS, known_content
from collage_motion.data.dataset import Clip
from collage_motion.eval import first_system
from collage_motion.eval.classifier import ContentClassifier, ContentNet
from collage_motion.features import features_to_joints
from collage_motion.kinematics import forward_kinematics, solve_rotations
from collage_motion.motion import Motion
from collage_motion.plan import Plan
from collage_motion.skeleton import FPS

LEARNT = {content for content in CONTENTS if ACTION_NAMES[content] in ACTIONS}


def as_motion(joints: NDArray[np.floating], seams: Sequence[int] = ()) -> Motion:
    """Joints as a motion; what the measurement does not look at is still."""
    n_frames = len(joints)
    rotations = np.zeros((n_frames, 22, 4), np.float32)
    rotations[..., 0] = 1
    return Motion(
        features=np.zeros((n_frames, 263), np.float32),
        joints=np.asarray(joints, np.float32),
        rotations=rotations,
        offsets=np.zeros((22, 3), np.float32),
        fps=FPS,
        prompts=("",) * n_frames,
        seams=tuple(seams),
    )


def as_clip(content: str, joints: NDArray[np.floating]) -> Clip:
    """Joints as a real clip."""
    return Clip(content, np.asarray(joints, np.float32), content, "normal", "made", "", False)


class Echo(ContentClassifier):
    """Answers by the height of the pelvis: place in the list of contents."""

    def classify(self, motions: Sequence[NDArray[np.floating]]) -> list[str]:
        return [self.contents[round(float(joints[0, 0, 1])) - 1] for joints in motions]


def test_no_unseen_prompt_is_in_the_caption_table_and_every_learnt_content_is_asked_for() -> None:
    entries = first_system.read_prompts("unseen")["prompts"]
    texts = [entry["prompt"] for entry in entries]
    assert len(set(texts)) == len(texts) == 40
    assert [text for text in texts if known_content(text)] == []
    assert {content for entry in entries for content in entry["contents"]} == LEARNT
    assert {entry["contents"][0] for entry in entries} == LEARNT


def test_the_long_plans_have_eight_segments_of_what_they_claim() -> None:
    plans = first_system.read_prompts("plans")
    assert len(plans["eight"]) * 5 == 20 == len(plans["loops"]) * 5
    for rows in plans["eight"]:
        assert len(rows) == 8
        assert [known_content(row["prompt"]) for row in rows] == [row["content"] for row in rows]
        assert min(row["seconds"] for row in rows) >= 3  # so that a seam's window stays in the motion
    for row in (row for rows in plans["loops"] for row in rows):
        assert known_content(row["prompt"]) in LEARNT


def test_long_motions_are_measured_at_their_seams_and_inside() -> None:
    def make(plan: Plan, seeds: Sequence[int]) -> list[Motion]:
        bounds = np.cumsum([round(segment.seconds * FPS) for segment in plan.segments])
        joints = standing(int(bounds[-1]))
        t = np.arange(len(joints))
        joints[:, :, 0] += 0.02 * t[:, None]  # 0.4 m/s, sliding all the time
        joints[:, 5, 1] += 0.002 * t.astype(float) ** 3 / 6
        for seam in bounds[:-1]:
            joints[seam:, 20, 1] += 0.5
        return [as_motion(joints, bounds[:-1]) for _ in seeds]

    real = standing(100)
    real[:, :, 2] += 0.01 * np.arange(100)[:, None]
    real[:, 5, 1] += 0.001 * np.arange(100.0) ** 3 / 6
    clips = [as_clip(content, real) for content in LEARNT if content not in ("bow", "guide")]
    report = first_system.measure_long(make, clips, range(8))
    assert (report["motions"], report["motions_with_nan"], report["seams"]) == (8, 0, 56)
    assert report["foot_slide_m_per_s"]["generated"] == pytest.approx(0.4, rel=1e-3)
    assert report["foot_slide_m_per_s"]["ratio"] == pytest.approx(2.0, rel=1e-3)
    assert report["foot_slide_m_per_s"]["matched_ratio"] == pytest.approx(2.0, rel=1e-3)
    assert report["lower_toe_median_m"] == pytest.approx({"generated": 0.02, "real": 0.02})
    assert report["seam_jerk_p95"]["generated"] == pytest.approx(1.0, rel=0.01)
    assert report["seam_jerk_p95"]["real"] == pytest.approx(0.001, rel=0.05)
    assert set(report["inner_jerk_median"]) <= {clip.content for clip in clips}
    assert report["inner_jerk_median"]["walk"]["ratio"] == pytest.approx(2.0, rel=0.1)


def test_actions_are_counted_by_content_and_by_family() -> None:
    contents = ("dash", "run", "walk")

    def make(plan: Plan, seeds: Sequence[int]) -> list[Motion]:
        assert plan.seconds == pytest.approx(2.5)
        asked = known_content(plan.segments[0].prompt)
        # A sprint comes out as a run, everything else as asked.
        height = {"dash": 2, "run": 2, "walk": 3}[str(asked)]
        return [as_motion(np.full((50, 22, 3), float(height))) for _ in seeds]

    judge = Echo(ContentNet(3), contents, {"test_accuracy": 1.0})
    clips = [as_clip(content, standing(50)) for content in contents]
    report = first_system.measure_contents(make, judge, clips, range(10), prompts=3)
    assert report["accuracy"] == pytest.approx(2 / 3)
    assert report["family_accuracy"] == 1.0
    assert report["contents"]["dash"]["answers"] == {"run": 10}
    assert len(report["contents"]["walk"]["prompts"]) == 3


def test_unseen_prompts_count_any_content_they_allow() -> None:
    contents = tuple(sorted(LEARNT))

    def make(plan: Plan, seeds: Sequence[int]) -> list[Motion]:
        height = 1.0 + contents.index("wave-both-hands")
        return [as_motion(np.full((50, 22, 3), height)) for _ in seeds]

    judge = Echo(ContentNet(len(contents)), contents, {})
    clips = [as_clip(content, standing(60)) for content in contents]
    report = first_system.measure_unseen(make, judge, clips, range(2))
    allowed = [
        entry
        for entry in first_system.read_prompts("unseen")["prompts"]
        if "wave-both-hands" in entry["contents"]
    ]
    assert report["accuracy"] == pytest.approx(len(allowed) / 40)
    assert sum(row["right"] for row in report["prompts"]) == 2 * len(allowed)


def test_typical_lengths_are_medians_within_limits() -> None:
    clips = [as_clip("walk", standing(n)) for n in (40, 70, 90)] + [as_clip("dash", standing(14))]
    assert first_system.typical_seconds(clips) == {"walk": 3.5, "dash": 2.0}


def test_loops_that_close_are_told_from_those_that_do_not() -> None:
    def make(plan: Plan, seeds: Sequence[int]) -> list[Motion]:
        assert plan.loop
        return [as_motion(stepping(20, 80 if seed % 2 == 0 else 90), (0,)) for seed in seeds]

    report = first_system.measure_loops(make, range(8))
    assert (report["loops"], report["closed"]) == (8, 4)
    assert {row["seed"] for row in report["rows"] if row["closed"]} == {0, 2, 4, 6}


def test_the_solve_is_measured_against_the_raw_joints(golden: Path) -> None:
    with np.load(golden / "humanml_recover.npz") as file:
        features = file["features"][0]
    raw = features_to_joints(features)
    rotations, offsets = solve_rotations(raw)

    def make(plan: Plan, seeds: Sequence[int]) -> list[Motion]:
        joints = forward_kinematics(rotations, offsets, raw[:, 0])
        motion = Motion(features, joints, rotations, offsets, FPS, ("",) * len(raw))
        return [motion for _ in seeds]

    report = first_system.measure_solve(make, [as_clip("walk", raw)], range(4))
    assert report["generated"]["motions"] == 4
    assert report["generated"]["mean_m"] == pytest.approx(report["real"]["mean_m"], rel=1e-3)
    assert report["generated"]["worst_m"] == pytest.approx(report["real"]["worst_m"], rel=1e-3)
    assert 0 < report["real"]["mean_m"] < report["real"]["worst_m"]
