"""Counting what a method costs, whatever it does."""

from dataclasses import dataclass

from torch import Tensor

from collage_motion.denoiser import WindowDenoiser


@dataclass
class Tally:
    """Calls of the network with their rows and padded frames, and rounds: calls that wait for one another.

    A round is one evaluation of all windows that a step needs at once; guidance doubles its rows and a memory
    budget splits it into several calls, which could run side by side.
    """

    rounds: int = 0
    calls: int = 0
    rows: int = 0
    frames: int = 0

    def round(self, denoiser: WindowDenoiser) -> WindowDenoiser:
        """The same denoiser, its calls counted as rounds; goes around guidance and memory budget."""

        def denoise(x: Tensor, sigma: float, prompts: Tensor, lengths: Tensor) -> Tensor:
            self.rounds += 1
            return denoiser(x, sigma, prompts, lengths)

        return denoise

    def network(self, denoiser: WindowDenoiser) -> WindowDenoiser:
        """The same denoiser, its calls, rows and frames counted; goes around the network itself."""

        def denoise(x: Tensor, sigma: float, prompts: Tensor, lengths: Tensor) -> Tensor:
            self.calls += 1
            self.rows += x.shape[0]
            self.frames += x.shape[0] * x.shape[1]
            return denoiser(x, sigma, prompts, lengths)

        return denoise
