"""The one interface of everything numeric, denoise(x, sigma) -> x0, and the wrappers that keep it."""

from collections.abc import Callable
from typing import Final, Protocol

import torch
from torch import Tensor

from collage_motion.errors import CollageError

MIXED_ABOVE: Final = 1.0
"""Noise level: a rounding error of 0.2 % of the features' spread is far below what is uncertain there."""

Denoiser = Callable[[Tensor, float], Tensor]
"""What samplers see: (S, F, C) at noise level sigma -> posterior mean of x0 (S, F, C)."""


class WindowDenoiser(Protocol):
    """A batch of windows with prompts of their own; what networks and memory budgets look like."""

    def __call__(self, x: Tensor, sigma: float, prompts: Tensor, lengths: Tensor) -> Tensor:
        """Posterior mean of x0 (B, T, C) for x = x0 + sigma * noise (B, T, C) (DiffCollage eq. 1).

        prompts: (B,) int64, rows of the prompt table the denoiser was made with, -1 for the null prompt.
        lengths: (B,) int64; frames from there on are padding: zeros in x, anything in the result.
        """
        ...


def add_noise(x0: Tensor, sigma: float, noise: Tensor) -> Tensor:
    """x at noise level sigma: x0 + sigma * noise (DiffCollage eq. 1)."""
    return x0 + sigma * noise


def x0_to_noise(x: Tensor, sigma: float, x0: Tensor) -> Tensor:
    """Noise that a prediction of x0 implies: (x - x0) / sigma."""
    return (x - x0) / sigma


def noise_to_x0(x: Tensor, sigma: float, noise: Tensor) -> Tensor:
    """x0 that a prediction of the noise implies: x - sigma * noise."""
    return x - sigma * noise


def x0_to_score(x: Tensor, sigma: float, x0: Tensor) -> Tensor:
    """Score of the noisy distribution at x: (x0 - x) / sigma^2 (Tweedie's formula)."""
    return (x0 - x) / sigma**2


def score_to_x0(x: Tensor, sigma: float, score: Tensor) -> Tensor:
    """x0 that a score implies: x + sigma^2 * score."""
    return x + sigma**2 * score


def mixed(denoiser: WindowDenoiser, above: float = MIXED_ABOVE) -> WindowDenoiser:
    """The same denoiser, computing in bfloat16 at noise levels from `above` on, where rounding drowns in noise.

    Takes and gives float32. What the last steps say stays in the motion, so they are computed in float32.
    """

    def denoise(x: Tensor, sigma: float, prompts: Tensor, lengths: Tensor) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=sigma >= above):
            return denoiser(x, sigma, prompts, lengths).to(x.dtype)

    return denoise


def budgeted(denoiser: WindowDenoiser, max_tokens: int, max_waste: float | None = None) -> WindowDenoiser:
    """Split a batch by a memory budget, and by length where padding would cost more than further calls.

    A batch of at most `max_tokens` padded frames (rows * frames) goes through in exactly one call,
    untouched, unless `max_waste` is set: then rows are sorted by length and cut into runs whose share of
    padding is at most `max_waste`, which pays on a CPU. Each run is trimmed to its own longest row; a row
    longer than the budget goes alone. Raises CollageError for a budget below one frame or a share outside
    0..1.
    """
    if max_tokens < 1:
        raise CollageError(f"memory budget: got {max_tokens} frames; allowed: 1 or more")
    if max_waste is not None and not 0.0 <= max_waste <= 1.0:
        raise CollageError(f"share of padding: got {max_waste:g}; allowed: 0 to 1")

    def denoise(x: Tensor, sigma: float, prompts: Tensor, lengths: Tensor) -> Tensor:
        if max_waste is None and x.shape[0] * x.shape[1] <= max_tokens:
            return denoiser(x, sigma, prompts, lengths)
        parts = _runs(lengths.tolist(), max_tokens, max_waste)
        if len(parts) == 1 and max(lengths.tolist()) == x.shape[1]:
            return denoiser(x, sigma, prompts, lengths)
        out = torch.zeros_like(x)
        for rows, longest in parts:
            at = torch.tensor(rows, device=x.device)
            out[at, :longest] = denoiser(x[at, :longest], sigma, prompts[at], lengths[at])
        return out

    return denoise


def _runs(lengths: list[int], max_tokens: int, max_waste: float | None) -> list[tuple[list[int], int]]:
    """Rows, longest first, in runs within the budget, with the longest length of each run."""
    runs: list[tuple[list[int], int]] = []
    rows: list[int] = []
    longest = content = 0
    for row in sorted(range(len(lengths)), key=lambda r: -lengths[r]):
        padded = longest * (len(rows) + 1)
        wasteful = max_waste is not None and padded - content - lengths[row] > max_waste * padded
        if rows and (padded > max_tokens or wasteful):
            runs.append((rows, longest))
            rows = []
        if not rows:
            longest, content = lengths[row], 0
        rows.append(row)
        content += lengths[row]
    return [*runs, (rows, longest)] if rows else runs
