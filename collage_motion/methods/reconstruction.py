"""The autoregressive baseline by reconstruction (DiffCollage Table 3 and appendix C.3)."""

from torch import Tensor

from collage_motion import conditioning
from collage_motion.methods.job import Job
from collage_motion.methods.sliding import slide


def reconstruction(job: Job) -> Tensor:
    """Sliding windows drawn towards their known half by a gradient through the network (DiffCollage Algorithm 5).

    `job.weight` is the weight of `conditioning.reconstruction`. What is known already is kept as it was made;
    the gradient only draws the new frames. Raises CollageError for a loop.
    """
    job.refuse("reconstruction")
    return slide(job, lambda denoise, past: conditioning.reconstruction(denoise, past, job.weight))
