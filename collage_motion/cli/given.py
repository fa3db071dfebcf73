"""The motions that `bridge` and `edit` are given: read, and held against what the model can do with them."""

from pathlib import Path
from typing import TYPE_CHECKING

from collage_motion.card import ModelCard
from collage_motion.errors import DataError
from collage_motion.skeleton import FPS

if TYPE_CHECKING:
    from collage_motion.motion import Motion


def read_given(path: Path, card: ModelCard, prompt: str = "") -> "Motion":
    """The motion in a file; raises DataError, naming it, also for another frame rate than the model's."""
    from collage_motion.recordings import read_motion  # loads scipy, which other commands need not wait for

    motion = read_motion(path, prompt)
    if motion.fps != card.fps:
        cure = f"give it as .bvh, which is read at {FPS}" if card.fps == FPS else "use a model of its rate"
        raise DataError(
            f"{path}: has {motion.fps} frames a second, model '{card.name}' makes {card.fps}; {cure}"
        )
    return motion


def check_length(path: Path, motion: "Motion", card: ModelCard) -> None:
    """Raise DataError for a motion that is shorter than any window of the model."""
    if motion.n_frames < card.min_frames:
        raise DataError(
            f"{path}: lasts {motion.duration_s:g} s ({motion.n_frames} frames); model '{card.name}' edits "
            f"{card.min_frames / card.fps:g} s or more; give a longer motion"
        )
