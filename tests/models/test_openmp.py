"""Who waits keeps none of OpenMP's helpers, and computes on afterwards."""

import ctypes
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
import torch

from cam_core.models.openmp import can_share, dismiss_helpers, take_processors

T = TypeVar("T")
HELPERS = 3

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "omp_pause_resource_all"), reason="no GNU OpenMP"
)


def in_a_thread(work: Callable[[], T]) -> T:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def threads() -> set[str]:
    return set(os.listdir("/proc/self/task"))


def compute() -> torch.Tensor:
    torch.set_num_threads(1 + HELPERS)  # the calling thread's own number
    return torch.arange(1_000_000.0).sqrt().sum()


def test_helpers_end_and_come_again() -> None:
    def counted() -> list[int]:
        before, counts = threads(), []
        for _ in range(2):
            compute()
            counts.append(len(threads() - before))
            dismiss_helpers()
            counts.append(len(threads() - before))
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


def test_a_thread_takes_a_part_of_the_processors_and_all_others_keep_theirs() -> None:
    here, elsewhere = torch.get_num_threads(), in_a_thread(torch.get_num_threads)

    def sharing() -> list[tuple[int, int]]:
        before, seen = threads(), []
        for processors in (1 + HELPERS, 1, 1 + HELPERS, 2):
            take_processors(processors)
            torch.rand(1_000_000).relu_()  # nothing of MKL's, which goes by what a test has set for all threads
            seen.append((torch.get_num_threads(), len(threads() - before)))
        return seen

    assert can_share()
    assert in_a_thread(sharing) == [(1 + HELPERS, HELPERS), (1, 0), (1 + HELPERS, HELPERS), (2, 1)]
    assert torch.get_num_threads() == here
    assert in_a_thread(torch.get_num_threads) == elsewhere, "that of a thread that begins afterwards"


def test_a_thread_that_has_none_may_ask() -> None:
    in_a_thread(dismiss_helpers)
