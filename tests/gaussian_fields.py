"""Gaussian fields in closed form: what regions predict, what they compose to, and what samplers make of it.

Everything is linear, x0 = M(sigma) x with zero means, so a deterministic run from noise of deviation sigmas[0] ends
in samples of covariance sigmas[0]^2 T T', T being the product of its steps. Covariances are (F, F) in float64.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from collage_motion.graph import Graph, Region

Operator = Callable[[float], Tensor]
"""The matrix M(sigma) of a linear denoiser."""


# --- fields: covariances from distances; the exponential of a distance is one on lines, trees and in space ---


def decaying(distances: np.ndarray, length: float) -> Tensor:
    """Covariance exp(-distance / length): Markov on a line and on a tree."""
    return torch.tensor(np.exp(-np.asarray(distances, np.float64) / length))


def markov(n: int, correlation: float = 0.8) -> Tensor:
    """A Markov line of unit variance whose neighbours have this correlation."""
    return decaying(line_distances(n), -1.0 / np.log(correlation))


def line_distances(n: int) -> np.ndarray:
    return np.abs(np.subtract.outer(np.arange(n), np.arange(n)))


def cycle_field(n: int, length: float) -> Tensor:
    """The Markov field around a cycle: a line that decays both ways, folded, with variance one."""
    steps = line_distances(n)
    folded = np.exp(-steps / length) + np.exp(-(n - steps) / length)
    return torch.tensor(folded / (1 + np.exp(-n / length)))


def tree_distances(ways: Sequence[Sequence[int]], n: int) -> np.ndarray:
    """Steps between frames along the branches of a tree; `ways` lead from its root to its ends."""
    depth = np.zeros(n, np.int64)
    common = np.zeros((n, n), np.int64)  # depth at which the ways to two frames part
    for way in ways:
        depth[list(way)] = np.arange(len(way))
    for one in ways:
        for other in ways:
            shared = sum(a == b for a, b in zip(one, other, strict=False))  # they part once
            nearest = np.minimum.outer(np.arange(len(one)), np.arange(len(other)))
            common[np.ix_(one, other)] = np.minimum(nearest, shared - 1)
    return depth[:, None] + depth - 2 * common


def plane_field(height: int, width: int, length: float) -> Tensor:
    """The product of a Markov line down and one across; pixel (row, column) is frame row * width + column."""
    return torch.kron(decaying(line_distances(height), length), decaying(line_distances(width), length))


def block_field(atoms: Sequence[Sequence[int]], n: int, seed: int = 2) -> Tensor:
    """Blocks independent of one another, each with a random covariance; `atoms` are their frames."""
    generator = torch.Generator().manual_seed(seed)
    covariance = torch.zeros(n, n, dtype=torch.float64)
    for atom in atoms:
        size = len(atom)
        root = torch.randn(size, size, generator=generator, dtype=torch.float64)
        at = torch.tensor(list(atom))
        covariance[at[:, None], at] = root @ root.T / size + 0.1 * torch.eye(size, dtype=torch.float64)
    return covariance


def atoms_of(graph: Graph) -> list[list[int]]:
    """The frames that lie in the same regions, for each set of regions."""
    holders: dict[int, list[int]] = {frame: [] for frame in range(graph.n_frames)}
    for number, region in enumerate(graph.regions):
        for frame in region.frames:
            holders[frame].append(number)
    atoms: dict[tuple[int, ...], list[int]] = {}
    for frame, numbers in holders.items():
        atoms.setdefault(tuple(numbers), []).append(frame)
    return list(atoms.values())


# --- denoisers ---


def posterior(covariance: Tensor, sigma: float) -> Tensor:
    """The matrix that takes x = x0 + sigma * noise to E[x0 | x] under N(0, covariance)."""
    noisy = covariance + sigma**2 * torch.eye(len(covariance), dtype=covariance.dtype)
    return torch.linalg.solve(noisy, covariance)  # both are symmetric and commute


def posterior_mean(covariance: Tensor, x: Tensor, sigma: float) -> Tensor:
    """E[x0 | x] for x (..., F, C) with independent channels."""
    return posterior(covariance, sigma) @ x


def gaussian(covariance: Tensor):
    """The exact denoiser of a field: (S, F, C), sigma -> x0."""
    return lambda x, sigma: posterior_mean(covariance, x, sigma)


def stationary_windows(means: Sequence[float] = (0.0,), correlation: float = 0.8):
    """The exact denoiser of windows of a Markov line; prompt p shifts the mean to means[p], null to 0."""

    def denoise(x: Tensor, sigma: float, prompts: Tensor, lengths: Tensor) -> Tensor:
        out = torch.zeros_like(x)
        mean = torch.tensor([*means, 0.0], dtype=x.dtype)[prompts][:, None, None]
        for length in lengths.unique().tolist():
            rows = lengths == length
            block = gaussian(markov(length, correlation).to(x.dtype))
            out[rows, :length] = mean[rows] + block(x[rows, :length] - mean[rows], sigma)
        return out

    return denoise


def gaussian_windows(regions: Sequence[Region], covariance: Tensor):
    """The exact denoiser of each region: a marginal of the field is a block of its covariance.

    Rows come as `compose` sends them, all regions of a sample after those of the sample before.
    """
    frames = [list(region.frames) for region in regions]

    def denoise(x: Tensor, sigma: float, prompts: Tensor, lengths: Tensor) -> Tensor:
        out = torch.zeros_like(x)
        for k, own in enumerate(frames):
            rows = slice(k, None, len(frames))
            out[rows, : len(own)] = posterior_mean(covariance[own][:, own], x[rows, : len(own)], sigma)
        return out

    return denoise


def composed(graph: Graph, covariance: Tensor) -> Operator:
    """The formula: the matrices of the regions, each counted and put in its place (DiffCollage eq. 6)."""

    def matrix(sigma: float) -> Tensor:
        total = torch.zeros_like(covariance)
        for region in graph.regions:
            at = torch.tensor(region.frames)
            total[at[:, None], at] += region.count * posterior(covariance[at][:, at], sigma)
        return total

    return matrix


def exact(covariance: Tensor) -> Operator:
    """The denoiser that knows the whole field."""
    return lambda sigma: posterior(covariance, sigma)


# --- samples ---


def levels(steps: int, top: float = 60.0, bottom: float = 0.01) -> list[float]:
    """Falling noise levels, even in their logarithm, then zero."""
    return [*np.geomspace(top, bottom, steps).tolist(), 0.0]


def sampled_by_euler(denoiser: Operator, sigmas: Sequence[float]) -> Tensor:
    """Covariance of the samples that Euler's method makes: the map of every step, multiplied out."""
    n = len(denoiser(sigmas[0]))
    gain = sigmas[0] * torch.eye(n, dtype=torch.float64)
    for sigma, lower in pairwise(sigmas):
        kept = lower / sigma
        step = kept * torch.eye(n, dtype=torch.float64) + (1 - kept) * denoiser(sigma)
        gain = step @ gain
    return gain @ gain.T


def sampled_by(sampler, denoiser: Operator, sigmas: Sequence[float]) -> Tensor:
    """Covariance of the samples of any deterministic sampler: its map, found from the unit vectors."""
    n = len(denoiser(sigmas[0]))
    units = sigmas[0] * torch.eye(n, dtype=torch.float64)[None]
    gain = sampler(lambda x, sigma: denoiser(sigma) @ x, units, sigmas)[0]
    return gain @ gain.T


def deviations(samples: Tensor, covariance: Tensor) -> Tensor:
    """How many standard errors the covariance of samples (N, F), of mean zero, is off, entry by entry.

    Both are turned so that the covariance becomes the identity, and the entries independent.
    """
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(covariance), samples.T, upper=False)
    identity = torch.eye(len(covariance), dtype=torch.float64)
    return (white @ white.T / len(samples) - identity) / ((1 + identity) / len(samples)).sqrt()


def relative(covariance: Tensor, other: Tensor) -> float:
    """Distance of two covariances, as a share of the second."""
    return ((covariance - other).norm() / other.norm()).item()


def score_error(graph: Graph, covariance: Tensor, sigma: float) -> float:
    """Root mean square error of the composed score over all x of the noisy field, as a share of the score's."""
    noisy = covariance + sigma**2 * torch.eye(len(covariance), dtype=covariance.dtype)
    root = torch.linalg.cholesky(noisy)
    wrong = (composed(graph, covariance)(sigma) - posterior(covariance, sigma)) @ root
    true = (posterior(covariance, sigma) - torch.eye(len(covariance), dtype=covariance.dtype)) @ root
    return (wrong.norm() / true.norm()).item()
