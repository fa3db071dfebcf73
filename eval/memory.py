"""How much memory a piece of work takes at its peak, on the processor or an accelerator."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

_STATUS: Final = Path("/proc/self/status")
_RESET: Final = Path("/proc/self/clear_refs")
_HIGH_WATER: Final = "5"  # what makes Linux forget the highest resident size so far (man 5 proc)


@dataclass
class Peak:
    """What the work took beyond what was in use before it, in bytes; None where it cannot be known."""

    extra: int | None = None


@contextmanager
def watched_memory(device: torch.device) -> Iterator[Peak]:
    """Measure the peak of the block; the figure is there when the block has ended.

    On the processor this is the resident size of the process, whose high-water mark Linux resets on request;
    memory that an earlier piece of work left with the allocator is handed back first, so that work of the
    same kind counts the same whichever comes first. On CUDA it is what torch has allocated.
    """
    peak = Peak()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield peak
        torch.cuda.synchronize(device)
        peak.extra = torch.cuda.max_memory_allocated(device) - before
        return
    resident = _reset_high_water() if device.type == "cpu" else None
    yield peak
    if resident is not None:
        peak.extra = max(0, _status("VmHWM") - resident)


def _reset_high_water() -> int | None:
    """Forget the highest resident size; the present one in bytes, None where there is no such thing."""
    with suppress(OSError, AttributeError):  # not every C library has it
        ctypes.CDLL(None).malloc_trim(0)
    try:
        _RESET.write_text(_HIGH_WATER)
        return _status("VmRSS")
    except (OSError, LookupError):
        return None


def _status(name: str) -> int:
    line = next((line for line in _STATUS.read_text().splitlines() if line.startswith(name + ":")), None)
    if line is None:
        raise LookupError(name)
    return int(line.split()[1]) * 1024
