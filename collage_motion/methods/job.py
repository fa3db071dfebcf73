"""What every method is given: the graph, the network's windows, a sampler, noise; and what methods are."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from math import inf
from typing import Protocol

from torch import Tensor

from collage_motion.card import Limits
from collage_motion.compose import PLAIN, Guidance
from collage_motion.denoiser import Denoiser, WindowDenoiser
from collage_motion.errors import CollageError
from collage_motion.graph import Graph
from collage_motion.methods import check_method
from collage_motion.methods.lines import check_line
from collage_motion.padding import Padding
from collage_motion.samplers.steps import Progress, Sampler


class Method(Protocol):
    """A job done: the canvas at noise level zero, x0 (S, F, C) in the network's space."""

    def __call__(self, job: "Job") -> Tensor:
        """Do the job."""
        ...


class CanvasNoise(Protocol):
    """Standard normal noise that belongs to frames of the canvas, whoever asks for it."""

    def __call__(self, stream: int, start: int = 0, count: int | None = None) -> Tensor:
        """Noise (S, count, C) of frames from `start` on, to the end of the canvas without a count."""
        ...


@dataclass(frozen=True)
class Job:
    """One canvas for S samples.

    graph: windows and what they share. bind: makes the denoiser of windows for a table of prompts, with a memory
    budget. sigmas: falling noise levels. noise: stream 0 is the start, 1 + k belongs to step k. limits:
    lengths of the network's windows. share: of the sum in `blend`. weight: of the gradient in `reconstruction`.
    taper: frames over which windows set in, in `collage` and `blend`. apart_above: the noise level above which windows
    do not overlap, in `collage` of what is no loop; infinity: they always do. stagger_below: the level below which
    windows of the prompts `travelling` (their numbers) lie half a window further on, in `collage`; 0: they never do.
    spread: frames around known ones that follow them, in `replacement`.
    start: x0 (S, F, C) of an existing motion, put under noise sigmas[0]; None starts from noise alone. condition:
    a wrapper around the denoiser of the canvas.
    """

    graph: Graph
    bind: Callable[[Sequence[str]], WindowDenoiser]
    sampler: Sampler
    sigmas: Sequence[float]
    noise: CanvasNoise
    limits: Limits
    padding: Padding | None = None
    share: float = 0.5
    weight: float = 1.0
    taper: int = 0
    apart_above: float = inf
    stagger_below: float = 0.0
    travelling: Collection[int] = ()
    spread: float = 0.0
    guidance: Guidance = PLAIN
    start: Tensor | None = None
    condition: Callable[[Denoiser], Denoiser] | None = None
    progress: Progress | None = None

    def windows(self) -> WindowDenoiser:
        """The denoiser of windows for the graph's own prompts."""
        return self.bind(self.graph.prompts)

    def sample(self, denoise: Denoiser, progress: Progress | None = None) -> Tensor:
        """Run the sampler on the whole canvas with a denoiser of the canvas."""
        x = self.noise(0) * self.sigmas[0]
        if self.start is not None:
            x = x + self.start
        if self.condition is not None:
            denoise = self.condition(denoise)
        return self.sampler(denoise, x, self.sigmas, lambda k: self.noise(k + 1), progress or self.progress)

    def refuse(self, name: str) -> None:
        """Raise CollageError for what a method that goes window by window cannot do."""
        check_line(self.graph, f"method {name}")
        check_method(name, loop=self.graph.cyclic)
        if self.start is not None or self.condition is not None:
            raise CollageError(
                f"method {name}: it does not see the whole canvas at once, so it cannot be conditioned or edit a "
                "motion; use collage, consensus or blend"
            )
