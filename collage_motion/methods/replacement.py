"""The autoregressive baseline by replacement (DiffCollage Table 3 and appendix C.3)."""

from torch import Tensor

from collage_motion import conditioning
from collage_motion.methods.job import Job
from collage_motion.methods.sliding import slide


def replacement(job: Job) -> Tensor:
    """Sliding windows whose known half is replaced in every prediction (DiffCollage Algorithm 4).

    New frames beside it follow within `job.spread` frames, which the paper has not; with 0 it is the paper's.
    Raises CollageError for a loop.
    """
    job.refuse("replacement")
    return slide(job, conditioning.replacement, job.spread)
