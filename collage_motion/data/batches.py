"""Training batches: clips become normalised features, random crops, captions and word vectors."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from collage_motion.data.captions import sample_caption, sample_caption_cmu
from collage_motion.data.dataset import Clip
from collage_motion.extraction import extract_features
from collage_motion.text import TextEncoder

MIN_CROP = 10
"""Shortest crop in frames; a variable window of the graph may be as short (half a second)."""


@dataclass(frozen=True)
class Batch:
    """Padded features x0 (B, T, 263), lengths (B,), word vectors (B, W, D), word mask (B, W)."""

    x0: Tensor
    lengths: Tensor
    words: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Recording:
    """One clip as feature rows (T, 263), not normalised, with what its captions are made from."""

    features: NDArray[np.float32]
    content: str
    style: str
    description: str
    mirrored: bool = False

    def caption(self, rng: np.random.Generator) -> str:
        """One of the clip's captions; the labels of a mirror image are mirrored already."""
        if self.content:
            return sample_caption(self.content, self.style, rng, mirrored=self.mirrored)
        return sample_caption_cmu(self.description, rng)

    @property
    def kind(self) -> str:
        """The group whose members share their chance of being drawn."""
        return self.content or "described in words only"


def to_recordings(
    clips: list[Clip], track: Callable[[Iterable[Clip]], Iterable[Clip]] = iter
) -> list[Recording]:
    """Extract the features of clips (heading flip mended, rotations free of it); the first row is dropped.

    Row 0 absorbs the jump from the identity to the smoothed heading (spec c.5), which is no motion of the body.
    `track` may wrap the clips to show progress.
    """
    return [
        Recording(
            extract_features(clip.joints, mend_flip=True, heading_free=True)[1:],
            clip.content,
            clip.style,
            clip.description,
            clip.mirrored,
        )
        for clip in track(clips)
        if len(clip.joints) >= MIN_CROP + 2
    ]


class BatchMaker:
    """Draws batches as Algorithm 6 of the DiffCollage paper: half of the clips cropped to a random shorter length.

    A kind of action is drawn with its number of clips to the power `evenness` (1: as in the data, 0: all alike),
    so that rare ones are learnt too. Clips of one batch have similar lengths: `pool` batches are drawn together
    and sorted, which saves most of the padding.
    Block k of a seed is always the same, so that a resumed run continues as the killed one would have.
    """

    def __init__(
        self,
        recordings: list[Recording],
        encoder: TextEncoder,
        mean: NDArray[np.float32],
        std: NDArray[np.float32],
        batch_size: int,
        *,
        seed: int = 0,
        max_frames: int = 196,
        crop_probability: float = 0.5,
        word_noise: float = 0.1,
        word_dropout: float = 0.05,
        evenness: float = 0.4,
        pool: int = 8,
    ) -> None:
        self.rows = [((r.features - mean) / std).astype(np.float32) for r in recordings]
        self.recordings = recordings
        self.encoder = encoder
        self.batch_size, self.pool, self.seed, self.max_frames = batch_size, pool, seed, max_frames
        self.crop_probability, self.word_noise, self.word_dropout = crop_probability, word_noise, word_dropout
        kinds = sorted({r.kind for r in recordings})
        members = {kind: [i for i, r in enumerate(recordings) if r.kind == kind] for kind in kinds}
        share = np.array([len(members[r.kind]) ** (evenness - 1) for r in recordings])
        self.probability = share / share.sum()

    def _crop(self, row: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        length = min(len(row), self.max_frames)
        if rng.random() < self.crop_probability:
            length = int(rng.integers(MIN_CROP, length + 1))
        start = int(rng.integers(0, len(row) - length + 1))
        return row[start : start + length]

    def collate(self, rows: list[NDArray[np.float32]], captions: list[str]) -> Batch:
        """Pad rows to the longest, rounded up, and encode their captions.

        Few different shapes: the CPU's matrix library compiles a kernel for each new one and keeps it.
        """
        lengths = np.array([len(row) for row in rows])
        x0 = np.zeros((len(rows), -(-int(lengths.max()) // 8) * 8, rows[0].shape[1]), np.float32)
        for i, row in enumerate(rows):
            x0[i, : len(row)] = row
        words = self.encoder.encode(captions)
        spare = -words.mask.shape[1] % 4
        features = np.pad(words.features, ((0, 0), (0, spare), (0, 0)))
        mask = np.pad(words.mask, ((0, 0), (0, spare)))
        return Batch(*(torch.from_numpy(a) for a in (x0, lengths, features, mask)))

    def _blur_words(self, batch: Batch, rng: np.random.Generator) -> Batch:
        # Noise and missing words stand for the synonyms and other sentences that users will write.
        noise = rng.standard_normal(batch.words.shape, dtype=np.float32) * self.word_noise
        keep = torch.from_numpy(rng.random(batch.mask.shape) >= self.word_dropout) & batch.mask
        keep = torch.where(keep.any(1, keepdim=True), keep, batch.mask)
        return Batch(batch.x0, batch.lengths, batch.words + torch.from_numpy(noise) * keep[..., None], keep)

    def blocks(self, first: int = 0) -> Iterator[Batch]:
        """Batches without end; `first` is the number of batches an earlier run has taken."""
        block = first // self.pool
        skip = first % self.pool
        while True:
            rng = np.random.default_rng((self.seed, block))
            chosen = rng.choice(len(self.rows), self.batch_size * self.pool, p=self.probability)
            crops = [self._crop(self.rows[i], rng) for i in chosen]
            captions = [self.recordings[i].caption(rng) for i in chosen]
            order = np.argsort([len(crop) for crop in crops], kind="stable")
            groups = order.reshape(self.pool, self.batch_size)
            rng.shuffle(groups)
            for group in groups[skip:]:
                batch = self.collate([crops[i] for i in group], [captions[i] for i in group])
                yield self._blur_words(batch, rng)
            block, skip = block + 1, 0
