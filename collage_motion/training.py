"""Training of the node denoiser: Algorithms 2 and 6 of the DiffCollage paper, resumable and atomic."""

import csv
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from collage_motion.data.batches import Batch
from collage_motion.errors import DataError
from collage_motion.losses import MotionLoss, NoiseLevelBalance
from collage_motion.models.mdm import MDM
from collage_motion.schedule import DiscreteSchedule


@dataclass(frozen=True)
class TrainSettings:
    """What a run is made of; stored in its checkpoints."""

    learning_rate: float = 5e-4
    warmup_steps: int = 300
    warmup_from: int = 0
    """Step at which the learning rate begins to rise: where a run goes on from given weights, as the optimiser has not
    met them yet."""
    anneal_from: int = 0
    """Step at which the learning rate begins to fall; 0: never."""
    anneal_steps: int = 2000
    null_probability: float = 0.1
    low_noise_share: float = 0.3
    """Share of timesteps drawn as the square of a uniform, towards low noise, where jitter is decided."""
    high_noise_share: float = 0.4
    """Share of timesteps drawn as one minus the cube of a uniform: content and style are decided in the noisiest tenth
    (below it a motion shows through its noise, and the prompt hardly lowers the loss)."""
    ema_decay: float = 0.999
    clip_norm: float = 1.0
    precision: str = "bfloat16"
    """`bfloat16` (autocast; also the faster one on CPUs with AVX512-BF16) or `float32`."""
    seed: int = 0

    def __post_init__(self) -> None:
        low, high = self.low_noise_share, self.high_noise_share
        if low < 0 or high < 0 or low + high > 1:
            raise DataError(
                f"low_noise_share and high_noise_share: got {low:g} and {high:g}; allowed: none below 0, 1 together"
            )

    def rate(self, step: int) -> float:
        """Learning rate at a step: linear warm-up, constant, linear fall to a fiftieth."""
        rate = self.learning_rate * min(1.0, max(1, step - self.warmup_from + 1) / self.warmup_steps)
        if self.anneal_from and step >= self.anneal_from:
            rate *= max(0.02, 1 - (step - self.anneal_from) / self.anneal_steps)
        return rate


class WeightAverage:
    """Exponential moving average of a network's weights (EMA), shorter at the start."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {name: p.detach().clone() for name, p in network.named_parameters()}

    def update(self, network: nn.Module, step: int) -> None:
        """Move the average towards the network's weights after an optimiser step."""
        decay = min(self.decay, (1 + step) / (10 + step))
        average = list(self.weights.values())
        torch._foreach_lerp_(average, [p.detach() for p in network.parameters()], 1 - decay)


class Trainer:
    """One training run: network, optimiser, average, noise levels, log and checkpoint in one folder."""

    def __init__(
        self,
        network: MDM,
        schedule: DiscreteSchedule,
        loss: MotionLoss,
        settings: TrainSettings,
        folder: Path,
        device: torch.device | str = "cpu",
        validation_loss: MotionLoss | None = None,
    ) -> None:
        """`validation_loss` keeps the validation curves of runs with different training losses comparable."""
        self.device = torch.device(device)
        self.network = network.to(self.device)
        self.settings, self.folder = settings, folder
        self.loss = loss.to(self.device)
        self.validation_loss = (validation_loss or loss).to(self.device)
        alphas = torch.as_tensor(schedule.alphas_cumprod, dtype=torch.float32)
        self.signal, self.noise = alphas.sqrt().to(self.device), (1 - alphas).sqrt().to(self.device)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=settings.learning_rate, weight_decay=0.0, fused=True
        )
        self.average = WeightAverage(self.network, settings.ema_decay)
        self.balance = NoiseLevelBalance(len(alphas))
        self.step = 0
        self.seconds = 0.0
        folder.mkdir(parents=True, exist_ok=True)

    def timesteps(self, count: int, generator: torch.Generator) -> Tensor:
        """Timesteps (count,): uniform, or for a share of them each drawn towards low or towards high noise."""
        u = torch.rand(count, generator=generator)
        group = torch.rand(count, generator=generator)
        low, high = self.settings.low_noise_share, self.settings.high_noise_share
        place = torch.where(group < low, u.square(), torch.where(group < low + high, 1 - u**3, u))
        return (place * len(self.signal)).long().clamp(max=len(self.signal) - 1)

    def predict(
        self, batch: Batch, timesteps: Tensor, noise: Tensor, keep_text: Tensor
    ) -> tuple[Tensor, Tensor]:
        """x0 loss and displacement loss (B,), (B,) of the network on a noised batch."""
        x0, lengths = batch.x0.to(self.device), batch.lengths.to(self.device)
        words, mask = batch.words.to(self.device), batch.mask.to(self.device)
        t = timesteps.to(self.device)
        x = self.signal[t][:, None, None] * x0 + self.noise[t][:, None, None] * noise.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16"):
            text = self.network.encode_words(words, mask) * keep_text.to(self.device)[:, None, None]
            out = self.network(x.transpose(1, 2)[:, :, None], t, text, mask, lengths)
        loss = self.loss if self.network.training else self.validation_loss
        return loss(out[:, :, 0].transpose(1, 2).float(), x0, lengths, self.signal[t].square())

    def train_step(self, batch: Batch) -> tuple[float, float]:
        """One optimiser step; returns the mean x0 loss and displacement loss."""
        started = time.perf_counter()
        generator = torch.Generator().manual_seed((self.settings.seed << 32) + self.step)
        count = len(batch.lengths)
        timesteps = self.timesteps(count, generator)
        keep = (torch.rand(count, generator=generator) >= self.settings.null_probability).float()
        noise = torch.randn(batch.x0.shape, generator=generator)
        self.network.train()
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.rate(self.step)
        x0_loss, displacement = self.predict(batch, timesteps, noise, keep)
        total = x0_loss + displacement
        loss = (self.balance.weights(timesteps, total) * total).mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip_norm)
        self.optimiser.step()
        self.average.update(self.network, self.step)
        self.step += 1
        self.seconds += time.perf_counter() - started
        return float(x0_loss.mean().detach()), float(displacement.mean().detach())

    @torch.inference_mode()
    def validate(self, batches: list[Batch]) -> tuple[float, float]:
        """Mean losses of the averaged weights over fixed batches, noise and evenly spread noise levels."""
        raw = {name: p.detach().clone() for name, p in self.network.named_parameters()}
        self.load_weights(self.average.weights)
        self.network.eval()
        generator = torch.Generator().manual_seed(1234)
        sums = torch.zeros(2)
        for batch in batches:
            count = len(batch.lengths)
            t = (((torch.arange(count) + 0.5) / count) * len(self.signal)).long()
            noise = torch.randn(batch.x0.shape, generator=generator)
            sums += torch.stack(
                [part.mean().cpu() for part in self.predict(batch, t, noise, torch.ones(count))]
            )
        self.load_weights(raw)
        x0_loss, displacement = (sums / len(batches)).tolist()
        return x0_loss, displacement

    @torch.no_grad()
    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Copy named weights into the network."""
        for name, parameter in self.network.named_parameters():
            parameter.copy_(weights[name])

    def save(self) -> Path:
        """Write the whole state to `state.pt` under a temporary name, then rename it."""
        path = self.folder / "state.pt"
        temporary = path.with_suffix(f".tmp{os.getpid()}")
        state = {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average.weights,
            "balance": self.balance.mean_loss,
            "step": self.step,
            "seconds": self.seconds,
            "settings": asdict(self.settings),
            "architecture": self.network.config.as_dict(),
        }
        torch.save(state, temporary)
        temporary.replace(path)
        return path

    def resume(self) -> bool:
        """Continue from `state.pt` if there is one; raises `DataError` when it belongs to another network."""
        path = self.folder / "state.pt"
        if not path.exists():
            return False
        state = torch.load(path, map_location=self.device, weights_only=True)
        if state["architecture"] != self.network.config.as_dict():
            raise DataError(
                f"{path}: written by a network of other sizes {state['architecture']}; use another folder"
            )
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.average.weights = {k: v.clone() for k, v in state["average"].items()}
        self.balance.mean_loss = state["balance"].cpu()
        self.step, self.seconds = state["step"], state["seconds"]
        self.settings = replace(self.settings, warmup_from=state["settings"].get("warmup_from", 0))
        return True

    def begin_from(self, weights: Mapping[str, Tensor], step: int, seconds: float) -> None:
        """Take a packed model's weights, and the steps and seconds it has had, before the first step.

        The rest of a run's state is not packed: optimiser, mean losses of noise levels and the learning rate's warm-up
        begin anew. Raises `DataError` for weights of another network.
        """
        own = {name: tuple(p.shape) for name, p in self.network.named_parameters()}
        wrong = sorted(own.items() ^ {name: tuple(w.shape) for name, w in weights.items()}.items())
        if wrong:
            raise DataError(
                f"weights to begin from: those of a network of other sizes, such as {wrong[0][0]}"
            )
        self.load_weights({name: weight.float() for name, weight in weights.items()})
        self.average = WeightAverage(self.network, self.settings.ema_decay)
        self.step, self.seconds = step, seconds
        self.settings = replace(self.settings, warmup_from=step)

    def log(self, row: dict[str, float]) -> None:
        """Append a row to `log.csv`."""
        path = self.folder / "log.csv"
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(row))
            if new:
                writer.writeheader()
            writer.writerow({k: f"{v:.6g}" for k, v in row.items()})

    def run(
        self,
        batches: Iterator[Batch],
        validation: list[Batch],
        until: int,
        every: int = 500,
        progress: Callable[[int, dict[str, float]], None] | None = None,
    ) -> None:
        """Train to step `until`; validate, log and save every `every` steps and at the end or on an interrupt."""
        sums = [0.0, 0.0, 0]
        try:
            while self.step < until:
                x0_loss, displacement = self.train_step(next(batches))
                sums = [sums[0] + x0_loss, sums[1] + displacement, sums[2] + 1]
                row = {"step": self.step, "x0": sums[0] / sums[2], "displacement": sums[1] / sums[2]}
                if self.step % every == 0 or self.step == until:
                    val_x0, val_displacement = self.validate(validation)
                    row |= {"val_x0": val_x0, "val_displacement": val_displacement}
                    row |= {"seconds": self.seconds, "rate": self.settings.rate(self.step)}
                    self.log(row)
                    self.save()
                    sums = [0.0, 0.0, 0]
                if progress is not None:
                    progress(self.step, row)
        except KeyboardInterrupt:
            self.save()
            raise
