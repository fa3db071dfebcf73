"""Peak memory of a piece of work: seen when it is large, and not left over for the next piece."""

import numpy as np
import pytest
import torch

from collage_motion.eval.memory import watched_memory

CPU = torch.device("cpu")
MB = 2**20


def peak_of(megabytes: int) -> int:
    with watched_memory(CPU) as peak:
        block = np.ones(megabytes * MB // 8)
        block *= 2
        del block
    if peak.extra is None:
        pytest.skip("this system does not tell the peak of a process")
    return peak.extra


@pytest.mark.slow
def test_the_peak_is_that_of_the_block_alone() -> None:
    large, small, between = peak_of(200), peak_of(1), peak_of(60)
    assert 195 * MB < large < 230 * MB
    assert small < 20 * MB
    assert 55 * MB < between < 80 * MB


@pytest.mark.slow
def test_memory_that_tensors_give_back_does_not_count_for_the_next() -> None:
    many = [torch.ones(2000) for _ in range(20_000)]  # small blocks, which an allocator likes to keep
    del many
    assert peak_of(30) > 25 * MB


def test_a_device_without_a_meter_has_no_figure() -> None:
    with watched_memory(torch.device("meta")) as peak:
        pass
    assert peak.extra is None


@pytest.mark.gpu
def test_on_cuda_it_is_what_torch_has_allocated() -> None:
    device = torch.device("cuda")
    kept = torch.ones(10 * MB // 4, device=device)
    with watched_memory(device) as peak:
        torch.ones(50 * MB // 4, device=device)
    assert peak.extra is not None and 50 * MB <= peak.extra < 52 * MB
    assert kept.sum() > 0
