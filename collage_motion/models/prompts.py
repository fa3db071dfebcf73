"""Encoded prompts as a table that rows of a batch name by index, and rows that lie between two of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from collage_motion.errors import ModelError


@dataclass(frozen=True, eq=False)
class PromptTable:
    """Text features as a network reads them: words (P, W, E) with mask (P, W), or pooled (P, E) without one."""

    features: Tensor
    mask: Tensor | None

    def __len__(self) -> int:
        return len(self.features)

    def between(self, rows: Sequence[tuple[int, int, float]]) -> "PromptTable":
        """A table of rows (i, j, t): the fraction t of the way from prompt i to prompt j, spherically.

        The interpolation of DiffCollage Fig. 6: directions by slerp, lengths in proportion. t = 0 and t = 1 are
        the prompts themselves. Of prompts with words, the shorter is stretched to as many words as the longer by
        repeating words, which attention hardly feels, and interpolated word by word. Raises ModelError for a
        row that is not there or a fraction outside 0 to 1.
        """
        for first, second, share in rows:
            if not (0 <= first < len(self) and 0 <= second < len(self) and 0.0 <= share <= 1.0):
                raise ModelError(
                    f"prompt between: got ({first}, {second}, {share:g}); allowed: rows 0 to {len(self) - 1} and "
                    "a fraction from 0 to 1"
                )
        made = [self._row(*row) for row in rows]
        if self.mask is None:
            return PromptTable(torch.stack(made) if made else self.features[:0], None)
        width = max((len(row) for row in made), default=1)
        features = self.features.new_zeros(len(made), width, self.features.shape[-1])
        mask = self.mask.new_zeros(len(made), width)
        for number, row in enumerate(made):
            features[number, : len(row)] = row
            mask[number, : len(row)] = True
        return PromptTable(features, mask)

    def _row(self, first: int, second: int, share: float) -> Tensor:
        """(E,) without a mask, else (words, E)."""
        if share in (0.0, 1.0) or first == second:
            return self._words(second if share == 1.0 else first)
        a, b = self._words(first), self._words(second)
        if self.mask is None:
            return slerp(a, b, share)
        width = max(len(a), len(b))
        places = torch.arange(width, device=a.device)
        return slerp(a[places * len(a) // width], b[places * len(b) // width], share)

    def _words(self, row: int) -> Tensor:
        return self.features[row] if self.mask is None else self.features[row][self.mask[row]]


def slerp(a: Tensor, b: Tensor, share: float) -> Tensor:
    """Vectors (..., E) at the fraction `share` of the arc from a to b, their lengths in proportion too.

    Opposite, parallel or zero vectors, which have no single arc, are interpolated along the straight line.
    """
    p, q = a.double(), b.double()
    long_p, long_q = p.norm(dim=-1, keepdim=True), q.norm(dim=-1, keepdim=True)
    tiny = torch.finfo(torch.float64).tiny
    unit_p, unit_q = p / long_p.clamp(min=tiny), q / long_q.clamp(min=tiny)
    # The arc tangent keeps its precision for small angles, where the arc cosine has none left.
    angle = 2 * torch.atan2(
        (unit_q - unit_p).norm(dim=-1, keepdim=True), (unit_q + unit_p).norm(dim=-1, keepdim=True)
    )
    sine = angle.sin()
    line = (sine < 1e-6) | (long_p == 0) | (long_q == 0)
    safe = torch.where(line, torch.ones_like(sine), sine)
    direction = (((1 - share) * angle).sin() * unit_p + (share * angle).sin() * unit_q) / safe
    arc = direction * ((1 - share) * long_p + share * long_q)
    return torch.where(line, (1 - share) * p + share * q, arc).to(a.dtype)
