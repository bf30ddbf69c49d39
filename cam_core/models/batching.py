"""Batches that fit: how many rows to try at once, what happens at memory's end, and what is learned from it."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from cam_core.models import resuming
from cam_core.models.devices import wait_for
from cam_core.types import CamError, DeviceError

# Most elements of one batch's widest tensor. On a CPU a batch should stay near the cache: past some eight images of
# 224² pixels, networks with wide, cheap layers slow down by half, and none gains any more. A GPU it should fill; Metal
# refuses tensors of 4 GB, which some networks make of a fraction of it.
_BATCH_ELEMENTS = {"cpu": 6 << 20, "mps": 1 << 26, "cuda": 1 << 28}
_MOST_ROWS = 512

# Bytes that must be free for each of these elements: so many tensors of four bytes an element are alive at once,
# the workspaces of convolutions among them.
_BYTES_PER_ELEMENT = 4 * 16

# Beside Python's own, the errors in which memory's end is told: by CUDA, by its libraries, which also say so when no
# algorithm of theirs has room enough, by Metal, and by the allocators of CPUs.
_OUT_OF_MEMORY = (
    "out of memory",
    "allocate memory",
    "not enough memory",
    "cudnn_status_alloc_failed",
    "cublas_status_alloc_failed",
    "unable to find an engine",
    "invalid buffer size",
)

T = TypeVar("T")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is not enough memory, by whatever name."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    told = isinstance(error, RuntimeError | OSError) and not isinstance(error, CamError)
    return told and any(name in str(error).lower() for name in _OUT_OF_MEMORY)


def batch_rows(elements_per_row: int, device: torch.device) -> int:
    """How many rows to try at once, for rows whose widest tensor has `elements_per_row` elements.

    Powers of two of the device's free memory: as it comes and goes, batches keep their size, for which kernels are
    chosen or compiled.
    """
    budget = _BATCH_ELEMENTS.get(device.type, _BATCH_ELEMENTS["cpu"])
    free = _free_bytes(device)
    if free is not None:
        budget = min(budget, _power_of_two(free // _BYTES_PER_ELEMENT))
    return max(1, min(_MOST_ROWS, budget // max(1, elements_per_row)))


def _free_bytes(device: torch.device) -> int | None:
    """Memory that a batch may take, what torch keeps in reserve among it; None on a CPU, whose batches stay small."""
    if device.type == "cuda":
        reserve = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + reserve
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    return None


def _power_of_two(number: int) -> int:
    """The largest that is no larger than `number`, and 1 at least."""
    return 1 << max(1, number).bit_length() - 1


class Rows:
    """How many rows to try at once: no more than fitted when memory ran out before.

    Args:
        most: rows to try where memory never ran out.
        fitted: what fitted of each kind of row; whoever shares it learns from the others.
        kind: what tells these rows from other kinds.
    """

    def __init__(self, most: int, fitted: dict[Hashable, int] | None = None, kind: Hashable = None) -> None:
        self._most = most
        self._fitted = {} if fitted is None else fitted
        self._kind = kind

    @property
    def count(self) -> int:
        """As many as may be tried now."""
        return min(self._most, self._fitted.get(self._kind, self._most))

    def learn(self, fitting: int) -> None:
        """Try no more than `fitting` from now on.

        What did not fit once is not tried again as long as the runner lives, even where memory has come free since.
        """
        self._fitted[self._kind] = min(fitting, self._fitted.get(self._kind, fitting))

    def at_most(self, count: int) -> Rows:
        """The same rows, fewer at once."""
        return Rows(min(count, self._most), self._fitted, self._kind)

    def heavier(self, times: int) -> Rows:
        """Rows that take so many times the memory. What fits of them is learned apart."""
        return Rows(max(1, self._most // times), self._fitted, (self._kind, times))


# By the half of a network, which lives on one device, or whatever else runs the rows.
_fitted: WeakKeyDictionary[object, dict[Hashable, int]] = WeakKeyDictionary()


def remembered_rows(runner: object, kind: Hashable, most: int) -> Rows:
    """Rows of one kind that `runner` runs. What fitted is remembered as long as the runner lives."""
    return Rows(most, _fitted.setdefault(runner, {}), kind)


_limit: ContextVar[Callable[[], float | None] | None] = ContextVar("limit", default=None)


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
    rows: Rows | int,
    advance: Callable[[int], None] = lambda done: None,
) -> Tensor:
    """Concatenate `function(start, stop)` over 0 … count: see `batches`.

    Work that was stopped goes on where it was: see `cam_core.models.resuming`.

    Returns:
        (count, …)
    """
    record = resuming.current()
    if record is None:
        return torch.cat(list(batches(function, count, rows, advance)))
    known, others = record.call(function, count)
    done = sum(map(len, known))
    if done:
        advance(done)
    return torch.cat([*known, *batches(others, count - done, rows, advance)])


def batches(
    function: Callable[[int, int], T],
    count: int,
    rows: Rows | int,
    advance: Callable[[int], None] = lambda done: None,
    *,
    first: int | None = None,
) -> Iterator[T]:
    """`function(start, stop)` over 0 … count in batches of at most `rows`, one after the other.

    On out-of-memory the batch halves and the work goes on from where it was. Batches have few sizes, because each new
    one costs a choice of kernels, or a compilation: `first`, all of `rows`, what is left over at the end, and powers
    of two while somebody waits.

    Args:
        function: computes rows start … stop.
        advance: told after each batch how many rows it had; may raise to stop.
        first: size of the first batch, for whoever watches to see something soon.
    Raises:
        DeviceError: one row alone does not fit.
    """
    rows = rows if isinstance(rows, Rows) else Rows(rows)
    start, seconds = 0, None
    while start < count:
        most = min(rows.count, first) if first and not start else rows.count
        stop = min(start + _rows_in_time(most, seconds), count)
        began = time.perf_counter()
        result = _unless_out_of_memory(function, start, stop)
        if result is None:
            if stop - start == 1:
                raise DeviceError("out of memory even for one image: choose the CPU, a smaller model or a later layer")
            rows.learn((stop - start) // 2)
            continue
        seconds = (time.perf_counter() - began) / (stop - start)
        advance(stop - start)
        start = stop
        yield result[0]


def _rows_in_time(rows: int, seconds: float | None) -> int:
    """As many of `rows` as fit into the limit where each takes so many seconds; few where that is not known yet."""
    limit = _seconds_allowed()
    if limit is None:
        return rows
    return min(rows, _power_of_two(int(limit / seconds) if seconds else rows // 4))


def _seconds_allowed() -> float | None:
    limit = _limit.get()
    return None if limit is None else limit()


def _unless_out_of_memory(function: Callable[[int, int], T], start: int, stop: int) -> tuple[T] | None:
    try:
        result = function(start, stop)
        if isinstance(result, Tensor) and _limit.get() is not None:
            wait_for(result.device)  # it takes orders faster than it carries them out
        return (result,)
    except (RuntimeError, MemoryError, OSError) as error:
        if not is_out_of_memory(error):
            raise
    # Outside the except block, so that the traceback no longer holds the failed batch's tensors.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
    return None
