"""The same engine on pictures whose answer is known: Gaussian fields on a grid and on the six faces of a cube.

Each window knows its own part of the field exactly. What the composed sampler makes of noise is then a matrix, and its
covariance is compared with the field's.

python scripts/examples/12_gaussian_fields.py out
"""

from argparse import ArgumentParser
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from collage_motion.compose import compose
from collage_motion.graph import Graph, Region
from collage_motion.samplers import get_sampler
from collage_motion.schedule import DiscreteSchedule
from collage_motion.topology import cubemap, grid
from collage_motion.topology.cube import positions


def sampled(graph: Graph, field: Tensor, steps: int) -> Tensor:
    """Covariance (F, F) of the samples: what becomes of unit vectors, one in each channel."""

    def windows(x: Tensor, sigma: float, prompts: Tensor, lengths: Tensor) -> Tensor:
        out = torch.zeros_like(x)  # E[x0 | x] = C (C + sigma^2)^-1 x with C the field's block of each region
        for row, region in enumerate(graph.regions):
            block, n = field[list(region.frames)][:, list(region.frames)], len(region.frames)
            noisy = block + sigma**2 * torch.eye(n, dtype=block.dtype)
            out[row, :n] = block @ torch.linalg.solve(noisy, x[row, :n])
        return out

    sigmas = DiscreteSchedule.cosine(1000).sigmas(steps)
    noise = sigmas[0] * torch.eye(graph.n_frames, dtype=field.dtype)[None]
    gain = get_sampler("gddim")(compose(graph, windows), noise, sigmas)[0]
    return gain @ gain.T


def main(folder: Path, steps: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.stack(np.mgrid[:11, :11], axis=-1).reshape(-1, 2)
    plane = torch.tensor(
        np.abs(pixels[:, None] - pixels).sum(-1), dtype=torch.float64
    )  # along rows and columns
    points = torch.tensor(positions(4) * 2.0)  # a pixel has size 1
    fields = {
        "grid": (grid(3, 3, (5, 5), (2, 2)), torch.exp(-plane / 5.0)),
        "cube": (cubemap(4), torch.exp(-torch.cdist(points, points) / 5.0)),
    }
    for name, (graph, field) in fields.items():
        alone = Graph(len(field), (Region(tuple(range(len(field))), None, 1),), ())
        print(
            f"{name}: {len(field)} pixels, {len(graph.windows)} windows, {len(graph.variables)} shared pieces"
        )
        for what, used in (("composed", graph), ("one window that sees all", alone)):
            covariance = sampled(used, field, steps)
            distance = float((covariance - field).norm() / field.norm())
            print(f"  {what}: {100 * distance:.1f} % from the field's covariance")
            np.save(folder / f"12_{name}_{'one' if used is alone else 'composed'}.npy", covariance.numpy())


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write")
    parser.add_argument("--steps", type=int, default=100, help="denoising steps (default: %(default)s)")
    main(**vars(parser.parse_args()))
