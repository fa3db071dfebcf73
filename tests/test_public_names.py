"""The package's face: every public name is there, and none of them loads torch before it is used."""

import subprocess
import sys

import collage_motion


def test_every_public_name_resolves() -> None:
    for name in collage_motion.__all__:
        assert getattr(collage_motion, name) is not None
    assert set(collage_motion._HOMES) == set(collage_motion.__all__) - {"__version__"}


def test_plans_do_not_load_torch() -> None:
    code = "import sys, collage_motion as c; c.plan_from_prompts(['walk']); c.Motion; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(collage_motion, "utils")
