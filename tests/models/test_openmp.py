"""Who waits keeps none of OpenMP's helpers, and computes on afterwards."""

import ctypes
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
import torch

from cam_core.models.openmp import dismiss_helpers

T = TypeVar("T")
HELPERS = 3

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "omp_pause_resource_all"), reason="no GNU OpenMP"
)


def in_a_thread(work: Callable[[], T]) -> T:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def threads() -> int:
    return len(os.listdir("/proc/self/task"))


def compute() -> torch.Tensor:
    torch.set_num_threads(1 + HELPERS)  # the calling thread's own number
    return torch.arange(1_000_000.0).sqrt().sum()


def test_helpers_end_and_come_again() -> None:
    def counted() -> list[int]:
        before, counts = threads(), []
        for _ in range(2):
            compute()
            counts.append(threads() - before)
            dismiss_helpers()
            counts.append(threads() - before)
        return counts

    assert in_a_thread(counted) == [HELPERS, 0, HELPERS, 0]


def test_results_and_the_number_of_threads_stay() -> None:
    def twice() -> tuple[torch.Tensor, torch.Tensor, int]:
        first = compute()
        dismiss_helpers()
        threads = torch.get_num_threads()
        return first, compute(), threads

    first, second, threads = in_a_thread(twice)
    assert first == second and threads == 1 + HELPERS


def test_a_thread_that_has_none_may_ask() -> None:
    in_a_thread(dismiss_helpers)
