"""The judge of actions: blind to place, heading and padding, able to learn, safe on disk."""

from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic_motion import stepping, turned

from collage_motion.data.dataset import Dataset, PreparedClip
from collage_motion.errors import DataError, ModelError, OutputError
from collage_motion.eval.classifier import (
    N_INPUTS,
    ContentClassifier,
    ContentNet,
    classifier_inputs,
    load_classifier,
    pad_inputs,
    same_family,
)
from collage_motion.eval.classifier_training import known_contents, score_classifier, train_classifier


def clip(content: str, number: int, split: int, seed: int) -> PreparedClip:
    """A walk, or a walk backward, of random speed and length."""
    rng = np.random.default_rng(seed)
    joints = stepping(int(rng.integers(14, 26)), int(rng.integers(30, 60)))
    if content == "walk-back":
        joints = joints[::-1]
    joints = turned(joints * rng.uniform(0.9, 1.1), rng.uniform(-3, 3)) + rng.normal(size=(1, 1, 3)) * [
        1,
        0,
        1,
    ]
    name = f"{content}-{number}"
    return PreparedClip(name, name, "made", content, "normal", "", split, joints.astype(np.float32))


def small_dataset() -> Dataset:
    """Two contents that only differ in the direction of time, and one with too few clips."""
    rows = [
        clip(content, k, 0 if k < 16 else 2, seed=100 * place + k)
        for place, content in enumerate(("walk", "walk-back"))
        for k in range(20)
    ]
    return Dataset([*rows, clip("kick", 0, 0, 999)])


@pytest.fixture(scope="module")
def trained() -> ContentClassifier:
    """A classifier trained for a few seconds."""
    return train_classifier(small_dataset(), epochs=8, batch_size=16, width=24, seed=1)


def test_inputs_forget_place_and_heading_but_not_the_side() -> None:
    joints = stepping(20, 40)
    inputs = classifier_inputs(joints)
    assert inputs.shape == (40, N_INPUTS)
    moved = turned(joints, 2.5) + np.array([3.0, 0.7, -8.0])
    np.testing.assert_allclose(classifier_inputs(moved), inputs, atol=1e-4)
    joints[:, 20, 1] += 0.4
    other = classifier_inputs(joints * [-1, 1, 1])
    assert np.abs(other - classifier_inputs(joints)).max() > 0.1


def test_padding_and_company_do_not_change_an_answer() -> None:
    torch.manual_seed(0)
    net = ContentNet(3).eval()
    rows = [classifier_inputs(stepping(20, length)) for length in (12, 40, 77)]
    together = net(*pad_inputs(rows))
    for row, logits in zip(rows, together, strict=True):
        torch.testing.assert_close(net(*pad_inputs([row]))[0], logits, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_contents_with_fewer_than_ten_clips_are_not_learnt(trained: ContentClassifier) -> None:
    assert known_contents(small_dataset()) == trained.contents == ("walk", "walk-back")


def test_it_learns_what_only_time_tells(trained: ContentClassifier) -> None:
    score = score_classifier(trained, small_dataset().clips("test"))
    assert score.accuracy >= 0.9
    assert set(score.per_content) == {"walk", "walk-back"}
    probabilities = trained.probabilities([stepping(20, 50)])
    assert probabilities.shape == (1, 2)
    assert probabilities.sum() == pytest.approx(1.0, abs=1e-5)


def test_a_score_counts_confusions() -> None:
    class Stubborn(ContentClassifier):
        def classify(self, motions: object) -> list[str]:
            return ["run"] * len(list(motions))  # type: ignore[call-overload]

    rows = [clip("run", 0, 2, 1), clip("dash", 0, 2, 2), clip("walk", 0, 2, 3)]
    score = score_classifier(
        Stubborn(ContentNet(3), ("run", "dash", "walk"), {}), Dataset(rows).clips("test")
    )
    assert score.accuracy == pytest.approx(1 / 3)
    assert score.family_accuracy == pytest.approx(2 / 3)
    assert score.balanced == pytest.approx(1 / 3)
    assert score.confusions == {("dash", "run"): 2, ("walk", "run"): 2}


def test_a_family_joins_what_the_body_does_alike() -> None:
    assert same_family("bye", "wave-left-hand") and same_family("wave-right-hand", "bye")
    assert same_family("byebye", "wave-both-hands") and same_family("run", "dash")
    assert not same_family("wave-left-hand", "wave-right-hand")
    assert not same_family("bye", "byebye") and not same_family("walk", "run")


def test_it_comes_back_from_disk_unchanged(trained: ContentClassifier, tmp_path: Path) -> None:
    path = trained.save(tmp_path / "deep" / "judge.safetensors")
    again = load_classifier(path)
    assert again.contents == trained.contents and again.report == trained.report
    motions = [stepping(18, 33), stepping(25, 60)]
    np.testing.assert_array_equal(again.probabilities(motions), trained.probabilities(motions))
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_broken_files_are_named_with_the_cure(trained: ContentClassifier, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no classifier here; make it with scripts/train_classifier.py"):
        load_classifier(tmp_path / "none.safetensors")
    path = trained.save(tmp_path / "judge.safetensors")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match="not a classifier"):
        load_classifier(path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        trained.save(tmp_path / "folder")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["folder", "judge.safetensors"]


def test_what_is_no_motion_is_refused() -> None:
    with pytest.raises(DataError, match=r"joints \(2, 22, 3\)"):
        classifier_inputs(np.zeros((2, 22, 3)))
    with pytest.raises(DataError, match="not finite"):
        classifier_inputs(np.full((9, 22, 3), np.nan))
    with pytest.raises(DataError, match="fewer than two contents"):
        train_classifier(Dataset([clip("walk", k, 0, k) for k in range(12)]), epochs=1)
