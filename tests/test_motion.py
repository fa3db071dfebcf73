"""`Motion` checks its parts and cannot be changed."""

import json

import numpy as np
import pytest

from collage_motion.errors import DataError
from collage_motion.motion import Motion


def parts(n_frames: int = 6) -> dict:
    return {
        "features": np.zeros((n_frames, 263)),
        "joints": np.zeros((n_frames, 22, 3)),
        "rotations": np.tile([1.0, 0, 0, 0], (n_frames, 22, 1)),
        "offsets": np.zeros((22, 3)),
        "fps": 20,
        "prompts": ("walk",) * n_frames,
        "seams": (),
        "settings": {"seed": 1},
    }


def test_arrays_are_read_only_copies():
    given = parts()
    motion = Motion(**given)
    given["joints"][0, 0, 0] = 5
    assert motion.joints[0, 0, 0] == 0
    for array in (motion.features, motion.joints, motion.rotations, motion.offsets, motion.root):
        assert array.dtype == np.float32
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_segments_split_at_seams_and_at_changes_of_prompt():
    motion = Motion(**{**parts(), "prompts": ("a", "a", "a", "a", "b", "b"), "seams": (0, 2, 4)})
    assert motion.segments == ((0, 2, "a"), (2, 4, "a"), (4, 6, "b"))
    assert motion.n_frames == 6 and motion.duration_s == pytest.approx(0.3)


def test_settings_are_plain_json_values():
    motion = Motion(**{**parts(), "settings": {"seed": 3, "steps": (1, 2)}})
    assert motion.settings == {"seed": 3, "steps": [1, 2]}
    json.dumps(motion.settings)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("joints", np.zeros((6, 21, 3)), "joints has shape"),
        ("features", np.zeros((5, 263)), "features has shape"),
        ("rotations", np.zeros((6, 22, 4)), "unit quaternions"),
        ("offsets", np.full((22, 3), np.nan), "offsets holds a number that is not finite"),
        ("fps", 0, "fps is 0"),
        ("fps", 12.5, "fps is 12.5"),
        ("prompts", ("walk",), "1 prompts for 6 frames"),
        ("seams", (6,), "seam at frame 6"),
        ("settings", {"model": object()}, "JSON"),
    ],
)
def test_parts_that_do_not_fit_are_refused(name, value, says):
    with pytest.raises(DataError, match=says):
        Motion(**{**parts(), name: value})


def test_no_frames_are_refused():
    with pytest.raises(DataError, match="no frames"):
        Motion(**parts(0))
