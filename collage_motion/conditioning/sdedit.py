"""SDEdit (Meng et al. 2022): start from an existing motion with noise on it instead of from noise alone."""

from collections.abc import Sequence

from torch import Tensor

from collage_motion.denoiser import add_noise
from collage_motion.errors import CollageError


def remaining(sigmas: Sequence[float], strength: float) -> list[float]:
    """The last share `strength` of a run's steps, as noise levels; at least one step.

    strength: above 0, where nothing changes, to 1, where nothing but noise is left of the motion. Raises
    CollageError outside that.
    """
    if not 0.0 < strength <= 1.0:
        raise CollageError(f"strength: got {strength:g}; allowed: above 0 to 1, usually 0.3 to 0.8")
    steps = max(1, round(strength * (len(sigmas) - 1)))
    return list(sigmas[-steps - 1 :])


def noised(x0: Tensor, sigmas: Sequence[float], strength: float, noise: Tensor) -> tuple[Tensor, list[float]]:
    """Where a sampler starts to change x0 (S, F, C), and its noise levels: x0 + sigma * noise, shorter sigmas.

    Raises CollageError for a strength outside 0 to 1, noise of another shape or an x0 that is not finite.
    """
    levels = remaining(sigmas, strength)
    if x0.shape != noise.shape:
        raise CollageError(f"edit: got noise of shape {tuple(noise.shape)} for a motion of {tuple(x0.shape)}")
    if not x0.isfinite().all():
        raise CollageError(f"edit: {int((~x0.isfinite()).sum())} numbers of the motion are not finite")
    return add_noise(x0, levels[0], noise), levels
