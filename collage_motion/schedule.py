"""Noise levels: the discrete schedules networks are trained with, their sigmas, which of them to visit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collage_motion.errors import ModelError

MAX_BETA = 0.999  # keeps the last cosine step from erasing the signal completely
SPACINGS = ("uniform", "karras", "ddim")


def vp_scale(sigma: float) -> float:
    """Factor from variance-exploding to variance-preserving coordinates: x_vp = x * vp_scale(sigma)."""
    return 1.0 / sqrt(1.0 + sigma * sigma)


def cosine_betas(n: int) -> NDArray[np.float64]:
    """Betas (n,) of the cosine schedule in float64 (mdm-compat b.1; Nichol and Dhariwal 2021, eq. 17)."""
    _check_steps(n, 1, "cosine")
    bar = np.cos((np.arange(n + 1) / n + 0.008) / 1.008 * np.pi / 2) ** 2
    return np.minimum(1.0 - bar[1:] / bar[:-1], MAX_BETA)


def linear_betas(n: int) -> NDArray[np.float64]:
    """Betas (n,) of the linear schedule: 1e-4 to 0.02 at 1000 steps, scaled so that others end as noisy."""
    _check_steps(n, 21, "linear")  # fewer steps would need a beta of one or more
    return np.linspace(0.1 / n, 20.0 / n, n, dtype=np.float64)


def _check_steps(n: int, least: int, name: str) -> None:
    if n < least:
        raise ModelError(f"{name} schedule: got {n} diffusion steps; allowed: {least} or more")


BETAS: dict[str, Callable[[int], NDArray[np.float64]]] = {"cosine": cosine_betas, "linear": linear_betas}


@dataclass(frozen=True, eq=False)
class DiscreteSchedule:
    """The noise levels of a network trained on discrete timesteps, as sigmas of x = x0 + sigma * noise.

    alphas_cumprod: (N,) float64, falling, entry i is the squared signal scale after step i (mdm-compat b.1).
    timesteps: the original timestep of each entry, what the network is told; 0..N-1 unless respaced.
    """

    alphas_cumprod: NDArray[np.float64]
    timesteps: tuple[int, ...]

    @classmethod
    def from_betas(cls, betas: NDArray[np.float64]) -> "DiscreteSchedule":
        """Schedule of N steps with these betas (N,)."""
        return cls(np.cumprod(1.0 - betas, dtype=np.float64), tuple(range(len(betas))))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "DiscreteSchedule":
        """Schedule a model card describes: {"name": "cosine" | "linear", "steps": N}; raises ModelError."""
        name, steps = config.get("name"), config.get("steps")
        if name not in BETAS:
            raise ModelError(f"noise schedule: got name {name!r}; allowed: {', '.join(BETAS)}")
        if not isinstance(steps, int) or isinstance(steps, bool):
            raise ModelError(f"noise schedule: got steps {steps!r}; allowed: a whole number, such as 1000")
        return cls.from_betas(BETAS[name](steps))

    @classmethod
    def cosine(cls, n: int) -> "DiscreteSchedule":
        """The cosine schedule of n steps."""
        return cls.from_betas(cosine_betas(n))

    @classmethod
    def linear(cls, n: int) -> "DiscreteSchedule":
        """The linear schedule of n steps."""
        return cls.from_betas(linear_betas(n))

    def __len__(self) -> int:
        return len(self.timesteps)

    @cached_property
    def betas(self) -> NDArray[np.float64]:
        """Variance added by each step (N,), recomputed from what is left after respacing (mdm-compat b.3)."""
        before = np.concatenate(([1.0], self.alphas_cumprod[:-1]))
        return 1.0 - self.alphas_cumprod / before

    @cached_property
    def levels(self) -> NDArray[np.float64]:
        """Sigma of every entry (N,), rising: sqrt(1 / alphas_cumprod - 1)."""
        return np.sqrt((1.0 - self.alphas_cumprod) / self.alphas_cumprod)

    @cached_property
    def _borders(self) -> NDArray[np.float64]:
        return np.sqrt(self.levels[1:] * self.levels[:-1])

    def timestep(self, sigma: float) -> int:
        """Original timestep whose noise level is nearest to sigma, by ratio; the ends take all beyond."""
        return self.timesteps[int(np.searchsorted(self._borders, sigma))]

    def respaced(self, spec: str) -> "DiscreteSchedule":
        """The schedule reduced to the entries `spec` names (see `respace`)."""
        return self._at(respace(len(self), spec))

    def sigmas(self, steps: int | str) -> list[float]:
        """Falling noise levels of a run, a final zero behind them, for any sampler.

        steps: a number means so many evenly spaced steps, the noisiest level included; a text is a
        respacing as the reference implementations write it: "ddim50" (stride, noisiest level left out) or
        section counts "10,15,20".
        """
        if isinstance(steps, str):
            return self.respaced(steps)._falling()
        return spaced_sigmas(self, steps)

    def _at(self, indices: list[int]) -> "DiscreteSchedule":
        return DiscreteSchedule(self.alphas_cumprod[indices], tuple(self.timesteps[i] for i in indices))

    def _falling(self) -> list[float]:
        return [*self.levels[::-1].tolist(), 0.0]


def respace(n: int, spec: str) -> list[int]:
    """Rising indices that a respacing keeps of n steps (mdm-compat b.3).

    spec: "ddimK" for K indices 0, s, 2s, ... with the smallest stride s that gives K, or comma-separated
    section counts: n is cut into that many runs, and each keeps so many indices, its first and last among
    them. Raises ModelError when n steps cannot be divided so.
    """
    if spec.startswith("ddim"):
        return _stride(n, _count(spec, spec.removeprefix("ddim")))
    kept: set[int] = set()
    counts = [_count(spec, part) for part in spec.split(",")]
    start = 0
    for section, count in enumerate(counts):
        size = n // len(counts) + (section < n % len(counts))
        if count > size:
            raise ModelError(
                f"steps {spec!r}: section {section + 1} has {size} steps, got {count}; ask for fewer"
            )
        gap = (size - 1) / (count - 1) if count > 1 else 0.0
        place = 0.0  # accumulated, not multiplied: rounding of half-way points then agrees with the reference
        for _ in range(count):
            kept.add(start + round(place))
            place += gap
        start += size
    return sorted(kept)


def _count(spec: str, text: str) -> int:
    if not (text.strip().isdecimal() and int(text) > 0):
        raise ModelError(
            f"steps {spec!r}: got {text!r}; allowed: a number, 'ddim50', or counts such as '10,15,20'"
        )
    return int(text)


def _stride(n: int, count: int) -> list[int]:
    stride = next((s for s in range(1, n + 1) if -(-n // s) == count), None)
    if stride is None:
        raise ModelError(
            f"steps 'ddim{count}': no whole stride through {n} steps makes {count}; try ddim{_near(n, count)}"
        )
    return list(range(0, n, stride))


def _near(n: int, count: int) -> int:
    return min((-(-n // s) for s in range(1, n + 1)), key=lambda k: abs(k - count))


def karras_sigmas(sigma_max: float, sigma_min: float, n: int, rho: float = 7.0) -> list[float]:
    """n falling noise levels, both ends included, even in sigma^(1/rho) (Karras et al. 2022, eq. 5)."""
    if n < 2 or not 0.0 < sigma_min < sigma_max or rho <= 0:
        raise ModelError(
            f"karras spacing: got {n} levels from {sigma_max:g} to {sigma_min:g}, rho {rho:g}; "
            "allowed: at least 2 levels, falling, above zero"
        )
    ends = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    inner = [(ends[0] + k / (n - 1) * (ends[1] - ends[0])) ** rho for k in range(1, n - 1)]
    return [sigma_max, *inner, sigma_min]  # the ends exactly


def spaced_sigmas(
    schedule: DiscreteSchedule,
    steps: int,
    spacing: str = "uniform",
    sigma_end: float | None = None,
    sigma_start: float | None = None,
    rho: float = 7.0,
) -> list[float]:
    """Falling noise levels of a run of `steps` steps, a final zero behind them, each a level of the schedule.

    spacing: "uniform", timesteps evenly spaced back from the noisiest one; "karras", even in sigma^(1/rho)
    between the ends, moved to the nearest free level; "ddim", the stride of "ddimN", which leaves the
    noisiest level out. sigma_start: the first level, beside which a motion vanishes; None for the noisiest.
    sigma_end: the last level above zero, from which the last step goes straight to x0; None leaves it to the
    spacing. Where there are too few levels between, those below and then those above are used as well. "ddim" has
    neither. Raises ModelError for more steps than levels, ends that are not in order or an unknown spacing.
    """
    top = len(schedule) - 1
    if spacing not in SPACINGS:
        raise ModelError(f"spacing: got {spacing!r}; allowed: {', '.join(SPACINGS)}")
    if not 1 <= steps <= top + 1:
        raise ModelError(
            f"steps: got {steps}; allowed: 1 to {top + 1}, the noise levels this model was trained on"
        )
    if spacing == "ddim":
        for name, end in (("sigma_start", sigma_start), ("sigma_end", sigma_end)):
            if end is not None:
                raise ModelError(
                    f"{name}: got {end:g} with ddim spacing; use uniform or karras spacing, or none"
                )
        return schedule._at(_stride(len(schedule), steps))._falling()
    low = 0 if sigma_end is None else schedule.timesteps.index(schedule.timestep(sigma_end))
    high = top if sigma_start is None else schedule.timesteps.index(schedule.timestep(sigma_start))
    if low > high:
        raise ModelError(
            f"sigma_start: got {sigma_start:g}; allowed: at least sigma_end, which is {sigma_end:g}"
        )
    low = max(0, min(low, high + 1 - steps))  # so many steps need the levels below `sigma_end` too
    high = max(high, low + steps - 1)
    if spacing == "karras" and steps > 1:
        wanted = karras_sigmas(float(schedule.levels[high]), float(schedule.levels[low]), steps, rho)
        return schedule._at(_distinct(schedule, wanted, low))._falling()
    if sigma_end is None:
        places = [high - (k * (high + 1)) / steps for k in range(steps)]
    else:
        places = [high - k * (high - low) / max(steps - 1, 1) for k in range(steps)]
    return schedule._at([round(place) for place in reversed(places)])._falling()


def _distinct(schedule: DiscreteSchedule, wanted: list[float], low: int) -> list[int]:
    # The last training levels lie far apart (641, then 20291), so several wanted sigmas can share one level.
    nearest = np.searchsorted(schedule._borders, wanted).tolist()
    chosen: list[int] = []
    for k, index in enumerate(nearest):
        below = index if not chosen else min(index, chosen[-1] - 1)
        chosen.append(max(below, low + len(wanted) - 1 - k))
    return chosen[::-1]
