"""Conditioning without training: wrappers around a denoiser that hold it to a linear measurement.

The denoiser may be the plain network or a whole graph of windows; the sampler learns of neither.
"""

from collage_motion.conditioning.condition import SPREAD_S, Condition, known, together
from collage_motion.conditioning.operators import Dense, Known, Operator, OverTime, low_pass
from collage_motion.conditioning.reconstruction import SCALINGS, reconstruction
from collage_motion.conditioning.replacement import replacement
from collage_motion.conditioning.sdedit import noised, remaining

__all__ = [
    "SCALINGS",
    "SPREAD_S",
    "Condition",
    "Dense",
    "Known",
    "Operator",
    "OverTime",
    "known",
    "low_pass",
    "noised",
    "reconstruction",
    "remaining",
    "replacement",
    "together",
]
