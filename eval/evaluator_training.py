"""Training of the benchmark's own evaluator on the training split: contrastive, and with an eye for bad motion.

Loss: InfoNCE in both directions over the matched pairs of a batch (van den Oord et al. 2018), with minus half the
squared distance as similarity, so that the metrics' Euclidean distance is what is learnt; pairs of the same meaning
are left out of the negatives. The original was trained with a margin loss on pairs instead (Guo et al.).

A network that only has to find captions learns to overlook shaking and sliding, and FID would with it (measured: noise
of 20 mm on every joint left it where it was). So batches hold spoiled copies of motions too (`corruption.LEARNT`),
which linear layers have to tell from real ones and from each other by the embedding. They take no part in
the contrastive loss: as negatives of every caption they would make FID a detector of the smallest fault and
R-precision another (measured: noise of 5 mm then gave 570 times the floor and a top 3 of 0.36).
"""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from collage_motion.data.batches import Recording
from collage_motion.errors import DataError
from collage_motion.features import POSITIONS, group_statistics

from .benchmark import draw_caption
from .corruption import LEARNT
from .evaluator import N_CONTACTS, UNIT, Evaluator, EvaluatorSizes, MovementEncoder
from .meaning import meaning_of
from .own_evaluator import MAX_FRAMES, MIN_FRAMES, CaptionRows
from .words import CaptionVectors

SIZES: Final = EvaluatorSizes(
    movement_hidden=256, movement=256, motion_hidden=320, word=96, text_hidden=256, embedding=96
)
"""3.1 million parameters; an embedding of 96 keeps FID's covariance well determined by some hundred clips."""

STATE: Final = "state.pt"

POOL: Final = 4
"""Batches that are drawn together and dealt out by length."""


@dataclass(frozen=True)
class EvaluatorSettings:
    """What a run is made of; stored with its state."""

    steps: int = 1000
    batch: int = 48
    corrupted: int = 32
    """Spoiled copies of clips in a batch."""
    corruption_weight: float = 0.5
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.02
    warmup_steps: int = 50
    evenness: float = 0.6
    """Meanings are drawn with their number of clips to this power (1: as in the data, 0: all alike)."""
    whole_share: float = 0.4
    """Share of clips that are shown from the first frame to the last; of the others a random part."""
    window_share: float = 0.15
    """Share of random 60-frame windows, the length of a transition."""
    word_noise: float = 0.05
    word_dropout: float = 0.03
    precision: str = "bfloat16"
    seed: int = 0

    def rate(self, step: int) -> float:
        """Learning rate at a step: linear warm-up, then half a cosine down to zero."""
        warm = min(1.0, (step + 1) / self.warmup_steps)
        return self.learning_rate * warm * 0.5 * (1 + float(np.cos(np.pi * min(1.0, step / self.steps))))


class EvaluatorBatch(NamedTuple):
    """Normalised motions of B pairs and C spoiled ones behind them (B + C, T, 259), lengths, captions,
    classes.

    `kinds` (B + C,): 0 for real, k for the k-th of `corruption.LEARNT`. `same` (B, B): pairs of one meaning.
    """

    motions: Tensor
    lengths: Tensor
    captions: CaptionVectors
    same: Tensor
    kinds: Tensor


class EvaluatorBatches:
    """Draws training batches; number n of a seed is always the same, so a resumed run goes on as it was."""

    def __init__(self, recordings: Sequence[Recording], settings: EvaluatorSettings) -> None:
        self.settings = settings
        self.recordings = [r for r in recordings if len(r.features) >= MIN_FRAMES]
        if len(self.recordings) < settings.batch:
            raise DataError(f"{len(self.recordings)} clips to learn from; a batch needs {settings.batch}")
        self.mean, self.std = group_statistics(r.features for r in self.recordings)
        self.meanings = [meaning_of(r) for r in self.recordings]
        members: dict[str, list[int]] = defaultdict(list)
        for index, meaning in enumerate(self.meanings):
            members[meaning].append(index)
        share = np.array([len(members[m]) ** (settings.evenness - 1.0) for m in self.meanings])
        self.probability = share / share.sum()
        self.rows = CaptionRows()
        self._block: tuple[int, list[tuple[list[int], list[NDArray[np.float32]]]]] | None = None

    def crop(self, rows: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """The whole clip, a 60-frame window or a random part of at least half; at most 196 frames."""
        longest = min(len(rows), MAX_FRAMES)
        chance = rng.random()
        if chance < self.settings.whole_share:
            length = longest
        elif chance < self.settings.whole_share + self.settings.window_share:
            length = min(longest, 60)
        else:
            length = int(rng.integers(max(MIN_FRAMES, longest // 2), longest + 1))
        start = int(rng.integers(len(rows) - length + 1))
        return rows[start : start + length]

    def make(self, number: int) -> EvaluatorBatch:
        """Batch number `number`; those of one block have clips of similar lengths each, which saves padding."""
        block, place = divmod(number, POOL)
        if self._block is None or self._block[0] != block:
            self._block = block, self._draw(np.random.default_rng((self.settings.seed, block)))
        chosen, crops = self._block[1][place]
        return self._collate(chosen, crops, np.random.default_rng((self.settings.seed, block, place)))

    def _draw(self, rng: np.random.Generator) -> list[tuple[list[int], list[NDArray[np.float32]]]]:
        count = self.settings.batch
        pool = min(POOL, len(self.recordings) // count)
        chosen = rng.choice(len(self.recordings), count * pool, replace=False, p=self.probability)
        crops = [self.crop(self.recordings[i].features, rng) for i in chosen]
        order = np.argsort([len(crop) for crop in crops], kind="stable").reshape(pool, count)
        groups = [order[k % pool] for k in rng.permutation(POOL)]
        return [([int(chosen[i]) for i in group], [crops[i] for i in group]) for group in groups]

    def _collate(
        self, chosen: list[int], crops: list[NDArray[np.float32]], rng: np.random.Generator
    ) -> EvaluatorBatch:
        captions = self._blur(self.rows([draw_caption(self.recordings[i], rng) for i in chosen]), rng)
        spoilers = list(LEARNT.values())
        kinds = rng.integers(len(spoilers), size=min(self.settings.corrupted, len(crops)))
        sources = rng.permutation(len(crops))[: len(kinds)]
        spoiled = [spoilers[k](crops[i], rng) for i, k in zip(sources, kinds, strict=True)]
        same = np.array([[self.meanings[i] == self.meanings[j] for j in chosen] for i in chosen])
        rows = [*crops, *spoiled]
        return EvaluatorBatch(
            self.pad(rows),
            torch.tensor([len(row) for row in rows]),
            captions,
            torch.from_numpy(same),
            torch.from_numpy(np.concatenate([np.zeros(len(crops), np.int64), kinds + 1])),
        )

    def pad(self, rows: Sequence[NDArray[np.float32]]) -> Tensor:
        """Normalised rows without contacts (B, T, 259), zeros behind each for at least one unit of four frames."""
        longest = -(-max(map(len, rows)) // (2 * UNIT)) * 2 * UNIT + UNIT
        out = np.zeros((len(rows), longest, len(self.mean) - N_CONTACTS), np.float32)
        for place, row in zip(out, rows, strict=True):
            place[: len(row)] = ((row - self.mean) / self.std)[:, :-N_CONTACTS]
        return torch.from_numpy(out)

    def _blur(self, captions: CaptionVectors, rng: np.random.Generator) -> CaptionVectors:
        # Noise and missing words stand for the synonyms that users will write.
        words = (
            captions.words + rng.standard_normal(captions.words.shape, np.float32) * self.settings.word_noise
        )
        keep = rng.random(words.shape[:2]) >= self.settings.word_dropout
        return captions._replace(words=words * keep[..., None])


def contrastive_loss(text: Tensor, motion: Tensor, same: Tensor) -> Tensor:
    """InfoNCE of text (B, D) and motion (B, D), both ways, without negatives of the same meaning (`same` (B, B))."""
    logits = -0.5 * torch.cdist(text.float(), motion.float()).square()
    own = torch.eye(len(text), dtype=torch.bool)
    logits = logits.masked_fill(same & ~own, -torch.inf)
    target = torch.arange(len(text))
    return 0.5 * (nn.functional.cross_entropy(logits, target) + nn.functional.cross_entropy(logits.T, target))


@torch.no_grad()
def begin_with_jerk(encoder: MovementEncoder, share: float = 0.25, gain: float = 4.0) -> None:
    """Let a share of the first layer's filters begin as third differences of the joints' positions.

    Shaking shows in the size of the third difference, whatever the motion. From random filters training does
    not find it in a thousand steps: the size of all other responses says what the motion is, and hides it.
    """
    weight = next(encoder.main.parameters())
    first = weight[: int(share * len(weight))]
    directions = torch.zeros(first.shape[:2])
    directions[:, POSITIONS] = torch.randn(len(first), POSITIONS.stop - POSITIONS.start)
    directions /= directions.norm(dim=1, keepdim=True)
    first.copy_(gain * directions[:, :, None] * torch.tensor([1.0, -3.0, 3.0, -1.0]))


class EvaluatorTrainer:
    """One training run with its state in a folder."""

    def __init__(self, batches: EvaluatorBatches, folder: Path, sizes: EvaluatorSizes = SIZES) -> None:
        self.batches, self.folder, self.settings = batches, folder, batches.settings
        torch.manual_seed(self.settings.seed)
        self.evaluator = Evaluator(sizes, batches.mean, batches.std)
        begin_with_jerk(self.evaluator.movement_encoder)
        self.judges = nn.ModuleList(nn.Linear(n, 1 + len(LEARNT)) for n in (sizes.embedding, sizes.movement))
        self.networks = nn.ModuleDict({**self.evaluator.networks, "judges": self.judges})
        self.networks.requires_grad_(True)
        self.optimiser = torch.optim.AdamW(
            self.networks.parameters(),
            self.settings.learning_rate,
            weight_decay=self.settings.weight_decay,
            fused=True,
        )
        self.step = 0
        folder.mkdir(parents=True, exist_ok=True)

    def train_step(self, batch: EvaluatorBatch) -> tuple[float, float]:
        """One optimiser step; returns the contrastive loss and that of the spoiled motions."""
        torch.manual_seed((self.settings.seed << 32) + self.step)  # dropout of a resumed run
        self.networks.train()
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.rate(self.step)
        words, pos, lengths, _ = batch.captions
        with torch.autocast("cpu", torch.bfloat16, enabled=self.settings.precision == "bfloat16"):
            codes = self.evaluator.movement_encoder(batch.motions)
            motion = self.evaluator.motion_encoder(codes, batch.lengths // UNIT)
            text = self.evaluator.text_encoder(
                torch.from_numpy(words), torch.from_numpy(pos), torch.from_numpy(lengths)
            )
        match = contrastive_loss(text, motion[: len(text)], batch.same)
        spoiled = self._spoiled_loss(codes.float(), motion.float(), batch)
        loss = match + self.settings.corruption_weight * spoiled
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.networks.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        return float(match.detach()), float(spoiled.detach())

    def _spoiled_loss(self, codes: Tensor, motion: Tensor, batch: EvaluatorBatch) -> Tensor:
        """Cross entropy of the embedding's judge, and of one that sees the mean movement code.

        The second one shows the movement encoder what to look for; through the recurrent network alone the
        first learns nothing for a thousand steps.
        """
        units = batch.lengths // UNIT
        inside = (torch.arange(codes.shape[1]) < units[:, None])[..., None]
        views = motion, (codes * inside).sum(1) / units[:, None]
        losses = [
            nn.functional.cross_entropy(judge(view), batch.kinds)
            for judge, view in zip(self.judges, views, strict=True)
        ]
        return torch.stack(losses).mean()

    def run(self, every: int = 100) -> Iterator[tuple[int, float, float]]:
        """Train to the end; yields step and losses after each step, saves every `every` steps and when left."""
        try:
            while self.step < self.settings.steps:
                losses = self.train_step(self.batches.make(self.step))
                if self.step % every == 0 or self.step == self.settings.steps:
                    self.save()
                yield self.step, *losses
        except (KeyboardInterrupt, GeneratorExit):
            self.save()
            raise

    def save(self) -> Path:
        """Write the whole state under a temporary name, then rename it."""
        path = self.folder / STATE
        temporary = path.with_suffix(f".tmp{os.getpid()}")
        torch.save(self._state(), temporary)
        temporary.replace(path)
        return path

    def _state(self) -> dict[str, Any]:
        return {
            "networks": self.networks.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "settings": asdict(self.settings),
            "sizes": asdict(self.evaluator.sizes),
        }

    def resume(self) -> bool:
        """Go on from the folder's state if there is one; raises DataError when it belongs to another run."""
        path = self.folder / STATE
        if not path.is_file():
            return False
        state = torch.load(path, map_location="cpu", weights_only=True)
        for name, wanted in (("settings", asdict(self.settings)), ("sizes", asdict(self.evaluator.sizes))):
            if state[name] != wanted:
                changed = sorted(key for key in wanted if state[name].get(key) != wanted[key])
                raise DataError(f"{path}: of a run with other {', '.join(changed)}; use another folder")
        self.networks.load_state_dict(state["networks"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = int(state["step"])
        return True
