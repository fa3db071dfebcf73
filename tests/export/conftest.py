"""The motion that the export tests write."""

import pytest
from made_motion import make_motion

from collage_motion.motion import Motion


@pytest.fixture(scope="session")
def motion() -> Motion:
    """24 frames, 1.2 s, of two prompts."""
    return make_motion()
