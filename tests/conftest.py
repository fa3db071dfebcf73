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
