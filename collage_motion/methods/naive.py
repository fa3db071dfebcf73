"""Naive long denoising: the whole canvas as one window, however long (baseline of DiffCollage Table 3)."""

from torch import Tensor

from collage_motion.compose import compose
from collage_motion.graph import Graph, Region
from collage_motion.methods import check_method
from collage_motion.methods.job import Job
from collage_motion.methods.lines import check_line


def naive(job: Job) -> Tensor:
    """Sample the canvas as a single window, with the different prompts in one sentence, ", then " between them.

    The network was trained on windows of at most `limits.max_frames` frames. Behind those its positional table
    holds rows that training never used (5,000 of them for MDM; the table grows beyond), and attention costs
    the square of the length; that it can be called at all does not mean that it knows what to do there. Where
    a network must be padded to a length, a longer canvas goes in as it is. Raises CollageError for a loop, and
    PlanError when the text encoder cannot read so long a sentence.
    """
    check_line(job.graph, "method naive")
    check_method("naive", loop=job.graph.cyclic)
    said = [job.graph.prompts[r.prompt] for r in job.graph.windows if r.prompt is not None]
    sentence = ", then ".join(dict.fromkeys(said))
    prompts = (sentence,) if sentence else ()
    frames = tuple(range(job.graph.n_frames))
    whole = Graph(len(frames), (Region(frames, 0 if prompts else None, 1),), prompts, job.graph.segments)
    padding = None if job.padding is not None and len(frames) > job.padding.frames else job.padding
    return job.sample(compose(whole, job.bind(prompts), padding, job.guidance))
