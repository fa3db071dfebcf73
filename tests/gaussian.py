"""Gaussian data, where the posterior mean is known in closed form, with its gradients."""

import torch
from torch import Tensor


def markov(n: int, correlation: float = 0.8) -> Tensor:
    """Covariance (n, n) of a Gauss-Markov chain of unit variance."""
    place = torch.arange(n, dtype=torch.float64)
    return correlation ** (place[:, None] - place).abs()


def gaussian(covariance: Tensor):
    """The exact denoiser of N(0, covariance) over frames, channels independent: (S, F, C), sigma -> x0."""

    def denoise(x: Tensor, sigma: float) -> Tensor:
        noisy = covariance + sigma**2 * torch.eye(len(covariance), dtype=covariance.dtype)
        return covariance @ torch.linalg.solve(noisy, x)

    return denoise


def gaussian_windows(means=(0.0,), correlation: float = 0.8):
    """The exact window denoiser of a stationary chain; prompt p shifts the mean to means[p], null to 0."""

    def denoise(x: Tensor, sigma: float, prompts: Tensor, lengths: Tensor) -> Tensor:
        out = torch.zeros_like(x)
        mean = torch.tensor([*means, 0.0], dtype=x.dtype)[prompts][:, None, None]
        for length in lengths.unique().tolist():
            rows = lengths == length
            block = gaussian(markov(length, correlation).to(x.dtype))
            out[rows, :length] = mean[rows] + block(x[rows, :length] - mean[rows], sigma)
        return out

    return denoise


def levels(steps: int, top: float = 60.0, bottom: float = 0.01) -> list[float]:
    """Falling noise levels, even in their logarithm, then zero."""
    return [*torch.logspace(*(torch.tensor([top, bottom]).log10().tolist()), steps).tolist(), 0.0]
