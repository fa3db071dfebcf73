"""Consensus averaging: windows agree on the mean of what they say of a frame (MultiDiffusion)."""

from torch import Tensor

from collage_motion.compose import average
from collage_motion.methods.job import Job


def consensus(job: Job) -> Tensor:
    """Sample the frame-by-frame mean of the windows' predictions (Bar-Tal et al. 2023, eq. 5 with equal weights).

    Variables are not evaluated. One round of the network a step.
    """
    return job.sample(average(job.graph, job.windows(), job.padding, job.guidance))
