"""The collage: all windows at once, their overlaps counted once (DiffCollage eq. 6, 7, 10)."""

from collections.abc import Sequence

from torch import Tensor

from collage_motion.compose import compose
from collage_motion.denoiser import Denoiser
from collage_motion.graph import Graph
from collage_motion.methods.apart import pieces
from collage_motion.methods.job import Job
from collage_motion.methods.staggered import staggered


def collage(job: Job) -> Tensor:
    """Sample the Bethe sum of the graph's regions: one round of the network a step, whatever the length.

    Windows set in over `job.taper` frames; with 0 the sum is that of the equations everywhere. Above the noise level
    `job.apart_above` windows do not overlap (`apart.pieces`), as FlowMDM's do not in its first steps (Barquero et al.
    2024): what happens in a window is decided there, and its neighbours have no say in it. Not where the job holds
    known frames, which windows would not see across their ends, and not around a loop, which closes less surely so.
    Below the level `job.stagger_below` windows of one of `job.travelling` prompts lie half a window further on
    (`staggered`): two halves of a walk that do not keep step where windows met are then in the middle of one.
    """
    windows = job.windows()

    def over(graph: Graph, taper: int) -> Denoiser:
        return compose(graph, windows, job.padding, job.guidance, taper)

    together = over(job.graph, job.taper)
    denoisers = [(0.0, together)]
    later = staggered(job.graph, job.limits, job.travelling)
    if later is not job.graph:
        denoisers = [(job.stagger_below, together), (0.0, over(later, job.taper))]
    if job.sigmas[0] > job.apart_above and job.condition is None and not job.graph.cyclic:
        denoisers.insert(0, (job.apart_above, over(pieces(job.graph), 0)))
    return job.sample(changing(denoisers))


def changing(denoisers: Sequence[tuple[float, Denoiser]]) -> Denoiser:
    """The first of these denoisers, each with a noise level, whose level is below the one asked for; else the last."""

    def denoise(x: Tensor, sigma: float) -> Tensor:
        return next((d for level, d in denoisers if sigma > level), denoisers[-1][1])(x, sigma)

    return denoise
