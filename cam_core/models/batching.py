"""Batches that fit: how many rows to try at once, and what happens at memory's end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from cam_core.types import DeviceError

# Elements of one batch's widest tensor. On a CPU a batch should stay near the cache: past some eight images of 224²
# pixels, networks with wide, cheap layers slow down by half, and none gains any more. A GPU it should fill.
_BATCH_ELEMENTS = {"cpu": 6 << 20, "cuda": 1 << 28}

# As PyTorch says it on a CPU, on Windows, on GPUs, and as cuBLAS and cuDNN do.
_OUT_OF_MEMORY = ("allocate memory", "not enough memory", "out of memory", "alloc_failed")


def batch_rows(elements_per_row: int, device: torch.device) -> int:
    """How many rows to try at once, for rows whose widest tensor has `elements_per_row` elements."""
    budget = _BATCH_ELEMENTS.get(device.type, _BATCH_ELEMENTS["cpu"])
    return max(1, min(512, budget // max(1, elements_per_row)))


_limit: ContextVar[Callable[[], float | None]] = ContextVar("limit", default=lambda: None)


@contextmanager
def batches_within(seconds: Callable[[], float | None]) -> Iterator[None]:
    """Batches inside the block, in this thread, last about `seconds()` at most; None for as large as they may be.

    Asked before every batch: for work that others wait behind now, and not later.
    """
    token = _limit.set(seconds)
    try:
        yield
    finally:
        _limit.reset(token)


def in_batches(
    function: Callable[[int, int], Tensor],
    count: int,
    rows: int,
    advance: Callable[[int], None] = lambda done: None,
) -> Tensor:
    """Concatenate `function(start, stop)` over 0 … count in batches of at most `rows`.

    On out-of-memory the batch halves and the work goes on from where it was.

    Args:
        function: computes rows start … stop, first dimension stop − start.
        advance: told after each batch how many rows it had; may raise to stop.
    Returns:
        (count, …)
    Raises:
        DeviceError: one row alone does not fit.
    """
    parts: list[Tensor] = []
    start, seconds = 0, None
    while start < count:
        stop = min(start + _rows_in_time(rows, seconds), count)
        began = time.perf_counter()
        result = _unless_out_of_memory(function, start, stop)
        seconds = (time.perf_counter() - began) / (stop - start)
        if result is None:
            if stop - start == 1:
                raise DeviceError("out of memory even for one image: choose the CPU, a smaller model or a later layer")
            rows = (stop - start) // 2
            continue
        parts.append(result)
        advance(stop - start)
        start = stop
    return torch.cat(parts)


def _rows_in_time(rows: int, seconds: float | None) -> int:
    """As many of `rows` as fit into the limit where each takes so many seconds; few where that is not known yet."""
    limit = _limit.get()()
    if limit is None:
        return rows
    return max(1, min(rows, int(limit / seconds) if seconds else rows // 4))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was no memory left, by any of the names that Python, PyTorch and the libraries below it have."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError | OSError) and any(words in str(error).lower() for words in _OUT_OF_MEMORY)


def _unless_out_of_memory(function: Callable[[int, int], Tensor], start: int, stop: int) -> Tensor | None:
    try:
        return function(start, stop)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    # Outside the except block, so that the traceback no longer holds the failed batch's tensors.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None
