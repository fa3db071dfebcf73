"""NPZ without pickled objects: every array of a motion, its prompts, seams and settings."""

import json
import zipfile
import zlib
from pathlib import Path

import numpy as np

from collage_motion.errors import DataError
from collage_motion.motion import MAX_METRES, Motion

KEYS = ("joints", "rotations", "offsets", "features", "fps", "prompt", "seams", "settings")
MAX_FEATURE = 1e4
"""The largest feature that is read: metres and radians, of one body and from frame to frame."""


def write_npz(motion: Motion, path: Path) -> None:
    """Write all of a motion: `prompt` one string a frame, `settings` one JSON text; same bytes every time."""
    with path.open("wb") as file:
        np.savez_compressed(
            file,
            joints=motion.joints,
            rotations=motion.rotations,
            offsets=motion.offsets,
            features=motion.features,
            fps=np.int64(motion.fps),
            prompt=np.array(motion.prompts, dtype=np.str_),
            seams=np.array(motion.seams, dtype=np.int64),
            settings=np.array(json.dumps(motion.settings, ensure_ascii=False, sort_keys=True)),
        )


def read_npz(path: str | Path) -> Motion:
    """The motion that `write_npz` stored; never unpickles; DataError for a missing or broken file."""
    source = Path(path)
    try:
        # Opened here, because numpy leaves the file open when the archive is broken.
        with source.open("rb") as file:
            if file.read(2) not in (b"PK", b"\x93N"):  # what numpy says of others is advice to trust them
                raise DataError(f"{source}: is no .npz file; need one made by this program")
            file.seek(0)
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError(f"{source}: is one array, not a motion; need an .npz made by this program")
            missing = [key for key in KEYS if key not in archive.files]
            if missing:
                raise DataError(f"{source}: lacks {', '.join(missing)}; need an .npz made by this program")
            held = {key: archive[key] for key in KEYS}
    except FileNotFoundError as error:
        raise DataError(f"{source}: no such file") from error
    except IsADirectoryError as error:
        raise DataError(f"{source}: is a folder, not a file; name a file inside it") from error
    except (
        OSError,
        ValueError,
        EOFError,
        KeyError,
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
    ) as error:
        raise DataError(f"{source}: is not a readable .npz motion ({_one_line(error)})") from error
    try:
        settings = json.loads(str(held["settings"]))
        if not isinstance(settings, dict):
            raise DataError("settings is not a JSON object; need an .npz made by this program")
        for name, most in (("joints", MAX_METRES), ("offsets", MAX_METRES), ("features", MAX_FEATURE)):
            if (largest := np.abs(held[name]).max(initial=0.0)) > most:
                raise DataError(f"{name} hold {largest:.3g}; allowed: up to {most:g}; the file is broken")
        return Motion(
            features=held["features"],
            joints=held["joints"],
            rotations=held["rotations"],
            offsets=held["offsets"],
            fps=held["fps"].item(),
            prompts=tuple(str(prompt) for prompt in held["prompt"]),
            seams=tuple(held["seams"].tolist()),
            settings=settings,
        )
    except DataError as error:
        raise DataError(f"{source}: {error}") from error
    except (TypeError, ValueError) as error:
        raise DataError(f"{source}: holds values of a wrong kind ({_one_line(error)})") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
