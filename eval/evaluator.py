"""The text-motion evaluator of Guo et al.: movement encoder and two recurrent encoders, under the official
keys.

Text and motion meet in one space where distance means mismatch. Motions must be normalised with the
evaluator's own statistics (`t2m_mean.npy`, `t2m_std.npy`), which are not those of the data set. Embeddings
come back in input order; the reference returns the same ones sorted by motion length.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from collage_motion.data.humanml import UNIT, WINDOW_FRAMES
from collage_motion.errors import DataError
from collage_motion.skeleton import N_FEATURES

from .words import CaptionVectors

N_CONTACTS: Final = 4
"""Foot contacts, the last features of a row, which the movement encoder does not see."""

BehindEnd = Literal["zero", "keep"]
"""What the movement encoder finds behind a clip's last frame; it looks up to three frames past it.

"zero": zeros in normalised space, as the reference has it for real clips and T2M for all. "keep": the frames
that are there, as MDM's evaluation of its own samples has it. The choice changes the last movement code, so a
report has to state it.
"""


@dataclass(frozen=True)
class EvaluatorSizes:
    """Widths of the three networks; the defaults are those of the released files."""

    movement_in: int = N_FEATURES - N_CONTACTS
    movement_hidden: int = 512
    movement: int = 512
    motion_hidden: int = 1024
    word: int = 300
    pos: int = 15
    text_hidden: int = 512
    embedding: int = 512


class MovementEncoder(nn.Module):
    """Four frames become one movement code: (B, T, movement_in) -> (B, T / 4, movement)."""

    def __init__(self, sizes: EvaluatorSizes) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv1d(sizes.movement_in, sizes.movement_hidden, 4, stride=2, padding=1),
            nn.Dropout(0.2),
            nn.LeakyReLU(0.2),
            nn.Conv1d(sizes.movement_hidden, sizes.movement, 4, stride=2, padding=1),
            nn.Dropout(0.2),
            nn.LeakyReLU(0.2),
        )
        self.out_net = nn.Linear(sizes.movement, sizes.movement)

    def forward(self, frames: Tensor) -> Tensor:
        codes: Tensor = self.out_net(self.main(frames.transpose(1, 2)).transpose(1, 2))
        return codes


class RecurrentEncoder(nn.Module):
    """Bidirectional GRU over exactly `lengths` steps, from a learned start: (B, L, width) -> (B,
    embedding)."""

    def __init__(self, width: int, hidden: int, embedding: int) -> None:
        super().__init__()
        self.hidden = nn.Parameter(torch.randn(2, 1, hidden))
        self.input_emb = nn.Linear(width, hidden)
        self.gru = nn.GRU(hidden, hidden, batch_first=True, bidirectional=True)
        self.output_net = nn.Sequential(
            nn.Linear(2 * hidden, hidden),
            nn.LayerNorm(hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, embedding),
        )

    def forward(self, steps: Tensor, lengths: Tensor) -> Tensor:
        start = self.hidden.expand(-1, len(steps), -1).contiguous()
        packed = nn.utils.rnn.pack_padded_sequence(
            self.input_emb(steps), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        _, last = self.gru(packed, start)  # (2, B, hidden), forward then backward
        embeddings: Tensor = self.output_net(torch.cat([last[0], last[1]], dim=-1))
        return embeddings


class TextBiGru(RecurrentEncoder):
    """Embeds a caption: words (B, W, word), one-hot classes (B, W, pos), lengths (B,) -> (B, embedding)."""

    def __init__(self, sizes: EvaluatorSizes) -> None:
        super().__init__(sizes.word, sizes.text_hidden, sizes.embedding)
        self.pos_emb = nn.Linear(sizes.pos, sizes.word)

    def forward(self, words: Tensor, pos: Tensor, lengths: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(words + self.pos_emb(pos), lengths)


class MotionBiGru(RecurrentEncoder):
    """Embeds movement codes (B, T / 4, movement) with lengths (B,) in codes -> (B, embedding)."""

    def __init__(self, sizes: EvaluatorSizes) -> None:
        super().__init__(sizes.movement, sizes.motion_hidden, sizes.embedding)


class Evaluator:
    """The three networks in evaluation mode with the statistics they were trained with.

    `mean`, `std`: (263,), the evaluator's own. Methods take and return NumPy arrays, in input order.
    """

    def __init__(
        self,
        sizes: EvaluatorSizes,
        mean: ArrayLike,
        std: ArrayLike,
        *,
        device: str | torch.device = "cpu",
        batch: int = 256,
    ) -> None:
        self.sizes = sizes
        self.mean = np.asarray(mean, dtype=np.float64)
        self.std = np.asarray(std, dtype=np.float64)
        self.device = torch.device(device)
        self.batch = batch
        self.movement_encoder = MovementEncoder(sizes).to(self.device).eval().requires_grad_(False)
        self.text_encoder = TextBiGru(sizes).to(self.device).eval().requires_grad_(False)
        self.motion_encoder = MotionBiGru(sizes).to(self.device).eval().requires_grad_(False)
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values.shape != (sizes.movement_in + N_CONTACTS,):
                raise DataError(
                    f"evaluator {name} has shape {values.shape}; expected ({sizes.movement_in + N_CONTACTS},)"
                )

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The networks under the names that the released file gives them."""
        return {
            "movement_encoder": self.movement_encoder,
            "text_encoder": self.text_encoder,
            "motion_encoder": self.motion_encoder,
        }

    def normalise(
        self, clips: Sequence[ArrayLike], lengths: Sequence[int] | None = None, n_frames: int = WINDOW_FRAMES
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Normalise raw clips with the evaluator's statistics, then pad them with zeros to `n_frames`.

        `clips`: (n_i, 263) each, in the data set's units (metres, not normalised). `lengths`: frames of each
        that count, all of them when None; frames behind stay, so that "keep" of `embed_motion` can show them.
        Returns (B, n_frames, 263) and lengths (B,). The padding belongs to the definition: a clip that ended
        where its array ends would get another last code. Raises DataError for a wrong shape, a wrong length
        or NaN.
        """
        wanted = [len(np.asarray(clip)) for clip in clips] if lengths is None else [int(n) for n in lengths]
        if not clips or len(wanted) != len(clips):
            raise DataError(
                f"{len(clips)} motions with {len(wanted)} lengths; give one length a motion, at least one"
            )
        padded = np.zeros((len(clips), n_frames, len(self.mean)))
        for index, (clip, length) in enumerate(zip(clips, wanted, strict=True)):
            features = np.asarray(clip, dtype=np.float64)
            if features.ndim != 2 or features.shape[1] != len(self.mean):
                raise DataError(
                    f"motion {index} has shape {features.shape}; expected (frames, {len(self.mean)})"
                )
            if not UNIT <= length <= min(len(features), n_frames):
                raise DataError(
                    f"motion {index} has {len(features)} frames and length {length}; "
                    f"lengths from {UNIT} to {min(len(features), n_frames)} are possible"
                )
            features = features[:n_frames]
            _refuse_non_finite(features, f"motion {index}")
            padded[index, : len(features)] = (features - self.mean) / self.std
        return padded, np.array(wanted, dtype=np.int64)

    def embed_motion(
        self, motions: ArrayLike, lengths: ArrayLike, *, behind_end: BehindEnd
    ) -> NDArray[np.float32]:
        """Embed normalised motions (B, T, 263) with lengths (B,) in frames: (B, embedding).

        `behind_end`: see `BehindEnd`. An incomplete unit of four frames at a clip's end is not read by the
        GRU.
        """
        if behind_end not in ("zero", "keep"):
            raise DataError(f"behind_end is '{behind_end}'; 'zero' and 'keep' are possible")
        frames = np.array(motions, dtype=np.float32)
        counts = np.asarray(lengths, dtype=np.int64)
        width = self.sizes.movement_in + N_CONTACTS
        if (
            frames.ndim != 3
            or frames.shape[2] != width
            or counts.shape != frames.shape[:1]
            or not len(frames)
        ):
            raise DataError(
                f"motions {frames.shape} with lengths {counts.shape}; expected (B, T, {width}) and (B,)"
            )
        _check_lengths(counts, UNIT, frames.shape[1] // UNIT * UNIT, "motion")
        _refuse_non_finite(frames, "motions")
        if behind_end == "zero":
            frames[np.arange(frames.shape[1]) >= counts[:, None]] = 0.0
        embeddings = []
        with torch.inference_mode():
            for start in range(0, len(frames), self.batch):
                rows = slice(start, start + self.batch)
                codes = self.movement_encoder(torch.from_numpy(frames[rows, :, :-N_CONTACTS]).to(self.device))
                embeddings.append(
                    self.motion_encoder(codes, torch.from_numpy(counts[rows] // UNIT)).cpu().numpy()
                )
        return np.concatenate(embeddings)

    def embed_text(self, words: ArrayLike, pos: ArrayLike, lengths: ArrayLike) -> NDArray[np.float32]:
        """Embed words (B, W, word) and classes (B, W, pos) with lengths (B,) in words: (B, embedding)."""
        vectors, classes = np.array(words, dtype=np.float32), np.array(pos, dtype=np.float32)
        counts = np.asarray(lengths, dtype=np.int64)
        if (
            vectors.ndim != 3
            or not len(vectors)
            or vectors.shape[2] != self.sizes.word
            or classes.shape != (*vectors.shape[:2], self.sizes.pos)
            or counts.shape != vectors.shape[:1]
        ):
            raise DataError(
                f"words {vectors.shape}, classes {classes.shape}, lengths {counts.shape}; "
                f"expected (B, W, {self.sizes.word}), (B, W, {self.sizes.pos}), (B,)"
            )
        _check_lengths(counts, 1, vectors.shape[1], "caption")
        _refuse_non_finite(vectors, "word vectors")
        embeddings = []
        with torch.inference_mode():
            for start in range(0, len(vectors), self.batch):
                rows = slice(start, start + self.batch)
                inputs = (torch.from_numpy(array[rows]).to(self.device) for array in (vectors, classes))
                embeddings.append(self.text_encoder(*inputs, torch.from_numpy(counts[rows])).cpu().numpy())
        return np.concatenate(embeddings)

    def embed_captions(self, captions: CaptionVectors) -> NDArray[np.float32]:
        """Embed captions that `WordVectoriser.captions` prepared: (B, embedding)."""
        return self.embed_text(captions.words, captions.pos, captions.lengths)


def _check_lengths(lengths: NDArray[np.int64], least: int, most: int, noun: str) -> None:
    bad = np.flatnonzero((lengths < least) | (lengths > most))
    if len(bad):
        raise DataError(
            f"{noun} {bad[0]} has length {lengths[bad[0]]}; lengths from {least} to {most} are possible"
        )


def _refuse_non_finite(values: NDArray[Any], what: str) -> None:
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        place = [int(index) for index in bad[0]]
        raise DataError(f"{what}: {values[tuple(place)]} at {place}; nothing can be measured on it")
