"""Training losses: the paper's x0 loss and a loss on the joints' true displacement from frame to frame."""

import torch
from torch import Tensor

from collage_motion.skeleton import FEET, N_JOINTS


def joint_displacements(features: Tensor) -> Tensor:
    """Displacement of each joint from frame t to t+1 in the heading frame of t+1, in metres.

    `features` (B, T, 263) are de-normalised; the result is (B, T-1, 22, 3). It is the difference of the joints that
    recovery (spec c.4) yields, without its sum over time: local position at t+1, plus the root's step, minus the
    local position at t turned by the heading's step. Jitter and sliding feet show here and nowhere else as clearly.
    """
    root = torch.zeros_like(features[..., :3])
    root[..., 1] = features[..., 3]
    local = torch.cat((root[..., None, :], features[..., 4:67].unflatten(-1, (N_JOINTS - 1, 3))), dim=-2)
    before, after = local[:, :-1], local[:, 1:]
    turn = 2 * features[:, :-1, 0:1]  # the feature is half the yaw step
    cos, sin = torch.cos(turn), torch.sin(turn)
    x = cos * before[..., 0] + sin * before[..., 2]
    z = cos * before[..., 2] - sin * before[..., 0]
    step = features[:, :-1, 1:3]
    moved = torch.stack((after[..., 0] - x, after[..., 1] - before[..., 1], after[..., 2] - z), dim=-1)
    moved[..., 0] += step[..., 0:1]
    moved[..., 2] += step[..., 1:2]
    return moved


class MotionLoss:
    """Per-sample loss of a predicted x0: masked mean square error plus the error of joint displacements.

    The first term is Algorithm 2 of the DiffCollage paper (spec b.7). The second is ours: at low noise it decides
    jerk and foot sliding. Feet count `foot_weight` times. Its errors are measured in units of `scale` metres a frame;
    with `quiet_scale`, a clip whose own joints move less than that is measured in units of their root mean square
    (at least `quiet_scale`), because a tremor that running hides is plain to see in somebody who stands still. This
    holds where little noise is left: under much noise many clips are possible, weights that differ between them
    move the mean that the network should predict (towards standing still), and the unit is `scale` for all.
    """

    def __init__(
        self,
        mean: Tensor,
        std: Tensor,
        displacement: float = 1.0,
        scale: float = 0.02,
        foot_weight: float = 4.0,
        quiet_scale: float | None = None,
    ) -> None:
        self.mean, self.std = mean, std
        self.displacement = displacement
        self.scale = scale
        self.quiet_scale = quiet_scale
        weights = torch.ones(N_JOINTS)
        weights[list(FEET)] = foot_weight
        self.joint_weights = weights / weights.mean()

    def to(self, device: torch.device) -> "MotionLoss":
        """Move the constants to a device."""
        self.mean, self.std = self.mean.to(device), self.std.to(device)
        self.joint_weights = self.joint_weights.to(device)
        return self

    def __call__(
        self, predicted: Tensor, target: Tensor, lengths: Tensor, clearness: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the x0 term (B,) and the displacement term (B,) of normalised features (B, T, 263).

        clearness: (B,) share of the signal in the variance of the network's input (alpha-bar), 0 to 1.
        """
        frames = torch.arange(target.shape[1], device=target.device)
        valid = (frames < lengths[:, None]).to(target.dtype)
        x0 = ((predicted - target).square().mean(-1) * valid).sum(1) / lengths
        if self.displacement == 0:
            return x0, torch.zeros_like(x0)
        moved = joint_displacements(target * self.std + self.mean)
        error = joint_displacements(predicted * self.std + self.mean) - moved
        square = error.square().mean(-1) @ self.joint_weights / N_JOINTS
        pairs = valid[:, 1:]
        count = pairs.sum(1).clamp(min=1)
        return x0, self.displacement * (square * pairs).sum(1) / count / self._unit(
            moved, pairs, count, clearness
        ) ** 2

    def _unit(self, moved: Tensor, pairs: Tensor, count: Tensor, clearness: Tensor) -> Tensor | float:
        if self.quiet_scale is None:
            return self.scale
        motion = ((moved.square().mean((-1, -2)) * pairs).sum(1) / count).sqrt()
        return self.scale * (motion.clamp(self.quiet_scale, self.scale) / self.scale) ** clearness


class NoiseLevelBalance:
    """Running mean loss per noise level; its inverse weights the levels so that each teaches about equally.

    The idea is the uncertainty weighting of EDM2 (Karras et al. 2024, sec. 2.3), as a running average instead of a
    network. `spread` bounds the ratio of the largest weight to the smallest.
    """

    def __init__(self, levels: int, bins: int = 50, decay: float = 0.99, spread: float = 100.0) -> None:
        self.levels, self.decay, self.spread = levels, decay, spread
        self.mean_loss = torch.ones(bins)

    def bins_of(self, timesteps: Tensor) -> Tensor:
        """Bin of each timestep."""
        return (timesteps.cpu() * len(self.mean_loss)) // self.levels

    def weights(self, timesteps: Tensor, loss: Tensor) -> Tensor:
        """Record the losses (B,) and return the weights (B,) for them."""
        bins = self.bins_of(timesteps)
        values = loss.detach().float().cpu()
        keep = self.decay ** torch.bincount(bins, minlength=len(self.mean_loss)).float()
        sums = torch.zeros_like(self.mean_loss).index_add_(0, bins, values)
        counts = torch.bincount(bins, minlength=len(self.mean_loss)).clamp(min=1)
        self.mean_loss = keep * self.mean_loss + (1 - keep) * sums / counts
        inverse = 1 / self.mean_loss.clamp(min=1e-6)
        inverse = inverse.clamp(max=float(inverse.min()) * self.spread)
        return (inverse / inverse.mean())[bins].to(loss.device)
