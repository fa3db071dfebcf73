"""Between the Bethe sum and the consensus average, by one number."""

from torch import Tensor

from collage_motion.compose import weighted
from collage_motion.errors import CollageError
from collage_motion.methods.job import Job
from collage_motion.weights import mean_weights, tapered_weights


def blend(job: Job) -> Tensor:
    """Sample share * Bethe sum + (1 - share) * average: share 1 is the sum of `collage`, 0 `consensus`.

    Both weigh the same predictions, so it costs one round of the network a step as they do. Windows set in over
    `job.taper` frames in the sum. Raises CollageError for a share outside 0 to 1.
    """
    if not 0.0 <= job.share <= 1.0:
        raise CollageError(
            f"blend: got {job.share:g}; allowed: 0 (consensus average) to 1 (the collage's sum)"
        )
    average = mean_weights(job.graph)
    weights = job.share * tapered_weights(job.graph, job.taper)[:, :, 0] + (1.0 - job.share) * average
    return job.sample(weighted(job.graph, job.windows(), weights, job.padding, job.guidance))
