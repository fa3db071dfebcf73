"""The folder of reference vectors as a whole: no file that no test reads, and the published statistics."""

from pathlib import Path

import numpy as np
import pytest

from collage_motion.features import CONTACTS, GROUPS, Normaliser

pytestmark = pytest.mark.golden
READ = {
    "mdm_trans_enc": "models/test_mdm_golden.py",
    "mdm_trans_dec": "models/test_mdm_golden.py",
    "diffusion_schedule": "test_schedule.py, test_samplers_golden.py, test_training.py",
    "humanml_recover": "test_features.py",
    "humanml_extract": "test_extraction.py",
    "evaluator": "eval/test_evaluator.py",
    "text_tokens": "eval/test_words.py",
    "metrics": "eval/test_metrics.py",
    "diffcollage": "test_compose_golden.py, test_schedule.py",
    "humanml_stats": "here",
}
FEATURE_BIAS = 5.0


def test_every_file_is_read_by_a_test(golden: Path) -> None:
    there = {path.stem for path in golden.glob("*.npz")}
    assert there
    assert not there - READ.keys(), "files no test knows"
    for tests in READ.values():
        for test in tests.split(", ") if tests != "here" else ():
            assert (Path(__file__).parent / test).is_file()


@pytest.fixture
def statistics(golden: Path) -> dict[str, np.ndarray]:
    """Statistics that others published; they are not shipped with the tests."""
    path = golden / "humanml_stats.npz"
    if not path.is_file():
        pytest.skip("no published statistics in the folder of vectors; set COLLAGE_GOLDEN")
    return dict(np.load(path))


def test_the_two_published_normalisations(statistics: dict[str, np.ndarray]) -> None:
    wanted = {f"{space}_{kind}" for space in ("dataset", "evaluator") for kind in ("mean", "std")}
    assert statistics.keys() == wanted, "arrays no test knows, or that are missing"
    assert {array.shape for array in statistics.values()} == {(263,)}
    ours, theirs = statistics["dataset_std"], statistics["evaluator_std"]
    for group in GROUPS.values():
        assert np.ptp(ours[group]) == 0 and np.ptp(theirs[group]) < 1e-6
    biased = np.r_[0:4, CONTACTS]  # the evaluator's were divided by the bias twice (spec c.6)
    np.testing.assert_allclose(ours[biased] / theirs[biased], FEATURE_BIAS**2, rtol=0.02)
    others = np.setdiff1d(np.arange(263), biased)
    np.testing.assert_allclose(ours[others] / theirs[others], 1, rtol=0.01)


def test_a_sample_goes_from_the_models_space_to_the_evaluators(statistics: dict[str, np.ndarray]) -> None:
    ours, theirs = (
        Normaliser(statistics[f"{space}_mean"], statistics[f"{space}_std"])
        for space in ("dataset", "evaluator")
    )
    z = np.random.default_rng(0).normal(size=(9, 263)).astype(np.float32)
    raw = z * statistics["dataset_std"].astype(float) + statistics["dataset_mean"]
    wanted = (raw - statistics["evaluator_mean"]) / statistics["evaluator_std"]
    np.testing.assert_allclose(theirs.normalise(ours.denormalise(z)), wanted, rtol=1e-5, atol=1e-3)


def test_they_are_those_beside_the_published_clips(statistics: dict[str, np.ndarray], shared: Path) -> None:
    folder = shared / "data/humanml3d-samples"
    files = {"dataset_mean": "HumanML3D/Mean.npy", "dataset_std": "HumanML3D/Std.npy",
             "evaluator_mean": "t2m_mean.npy", "evaluator_std": "t2m_std.npy"}  # fmt: skip
    for name, file in files.items():
        np.testing.assert_array_equal(np.load(folder / file), statistics[name], err_msg=name)
