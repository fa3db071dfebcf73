"""MDM as a denoiser of windows: the only place that knows timesteps and the (batch, 263, 1, frames) layout."""

import torch
from torch import Tensor

from collage_motion.models.mdm import MDM
from collage_motion.schedule import DiscreteSchedule, vp_scale


class MdmDenoiser:
    """A `WindowDenoiser` over an MDM network (DiffCollage eq. 1 on one side, spec a.1 and b.1 on the other).

    `text` (P, W, E) or (P, E) and `text_mask` (P, W) are the encoded prompts that rows name by index; row -1 is
    the null prompt, a zero text feature. A network trained without a frame mask ignores `lengths`. Gradients
    flow to x when it asks for them (the weights of a loaded model do not); callers switch them off as a whole.
    """

    def __init__(
        self,
        network: MDM,
        schedule: DiscreteSchedule,
        text: Tensor,
        text_mask: Tensor | None,
        mask_frames: bool,
    ) -> None:
        self.network, self.schedule, self.mask_frames = network, schedule, mask_frames
        # Row -1 of the tables is the null prompt, so that one gather serves all rows.
        self.text = torch.cat(
            (text, torch.zeros_like(text[:1]) if len(text) else text.new_zeros(1, *text.shape[1:]))
        )
        self.text_mask = None
        if text_mask is not None:
            null = torch.zeros_like(self.text[:1, :, 0], dtype=torch.bool)
            null[:, 0] = True  # all null words are alike, so one of them is enough
            self.text_mask = torch.cat((text_mask, null))

    def __call__(self, x: Tensor, sigma: float, prompts: Tensor, lengths: Tensor) -> Tensor:
        """Predict x0 (B, T, 263) of windows x = x0 + sigma * noise (B, T, 263), prompts (B,), lengths (B,)."""
        timesteps = torch.full((len(x),), self.schedule.timestep(sigma), device=x.device)
        rows = prompts.to(self.text.device)
        mask = None if self.text_mask is None else self.text_mask[rows]
        predicted = self.network(
            (x * vp_scale(sigma)).transpose(1, 2)[:, :, None],
            timesteps,
            self.text[rows],
            mask,
            lengths if self.mask_frames else None,
        )
        return predicted[:, :, 0].transpose(1, 2)
