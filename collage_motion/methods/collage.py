"""The collage: all windows at once, their overlaps counted once (DiffCollage eq. 6, 7, 10)."""

from torch import Tensor

from collage_motion.compose import compose
from collage_motion.methods.apart import apart_first
from collage_motion.methods.job import Job


def collage(job: Job) -> Tensor:
    """Sample the Bethe sum of the graph's regions: one round of the network a step, whatever the length.

    Windows set in over `job.taper` frames; with 0 the sum is that of the equations everywhere. Above the noise level
    `job.apart_above` they do not overlap (`apart`).
    """
    windows = job.windows()
    together = compose(job.graph, windows, job.padding, job.guidance, job.taper)
    return job.sample(apart_first(job, windows, together))
