"""Where the test vectors and the data of the neighbouring folder are."""

import os
from pathlib import Path

import pytest

# Two workers share two cores: more threads in each would only wait for one another, and sums would vary with them.
os.environ.setdefault("OMP_NUM_THREADS", "1")

TESTS = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of the reference implementations' vectors: `COLLAGE_GOLDEN`, by default `tests/golden`."""
    return Path(os.environ.get("COLLAGE_GOLDEN") or TESTS / "golden")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of data that is not part of the project: `COLLAGE_SHARED`, by default beside the repository."""
    folder = Path(os.environ.get("COLLAGE_SHARED") or TESTS.parent.parent / "shared")
    if not folder.is_dir():
        pytest.skip(f"no folder of shared data at {folder}; set COLLAGE_SHARED")
    return folder


@pytest.fixture(scope="session")
def made_home(tmp_path_factory):
    """A home with one small random model, called tiny."""
    from tiny_model import write_tiny_model  # loads torch, which few tests need

    home = tmp_path_factory.mktemp("home")
    write_tiny_model(home / "models" / "tiny")
    return home


@pytest.fixture
def home(made_home, tmp_path, monkeypatch):
    """That home, and an empty working folder."""
    monkeypatch.setenv("COLLAGE_MOTION_HOME", str(made_home))
    monkeypatch.delenv("COLLAGE_DEBUG", raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return made_home


@pytest.fixture
def command(home, capfd):
    """Run the command in this process: exit code, stdout, stderr."""
    from collage_motion.cli import main

    def call(*arguments):
        code = main(list(map(str, arguments)))
        said = capfd.readouterr()
        return code, said.out, said.err

    return call
