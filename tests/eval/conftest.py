"""A small run of the evaluation, made once for each file of tests that asks for it."""

import shutil

import pytest


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a model, an evaluator and a prepared file."""
    from beds import write_evaluator, write_prepared  # these load torch, which few tests need
    from tiny_model import write_tiny_model

    folder = tmp_path_factory.mktemp("place")
    write_tiny_model(folder / "tiny")
    write_evaluator(folder / "judge")
    write_prepared(folder / "data.npz")
    return folder


@pytest.fixture
def undisturbed(place, tmp_path, monkeypatch):
    """Nothing of this machine's own has a say in a run."""
    monkeypatch.setenv("COLLAGE_DATA", str(place / "data.npz"))
    monkeypatch.setattr("collage_motion.eval.classifier.DEFAULT_PATH", tmp_path / "no-classifier")
    monkeypatch.setenv("HOME", str(tmp_path))  # the same for processes of their own
    for name in ("RANK", "WORLD_SIZE", "COLLAGE_DEBUG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def request_(place, undisturbed, tmp_path):
    """A small run in a new folder."""
    from tiny_runs import small

    return small(place, tmp_path / "run")


@pytest.fixture(scope="module")
def whole(place, tmp_path_factory):
    """The figures of an undisturbed run, its folder, and what it said."""
    from tiny_runs import Silent, figures, small

    from collage_motion.eval.command import run_request
    from collage_motion.eval.parts import Share

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLLAGE_DATA", str(place / "data.npz"))
        patch.setattr("collage_motion.eval.classifier.DEFAULT_PATH", place / "no-classifier")
        folder, watch = tmp_path_factory.mktemp("whole"), Silent()
        return figures(run_request(small(place, folder), watch, Share())), folder, watch


@pytest.fixture
def copied(request_, whole):
    """The request of that run in a copy of its folder."""
    shutil.copytree(whole[1], request_.output)
    return request_
