"""Batches that fit: how many rows to try at once, and what happens at memory's end."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from cam_core.types import DeviceError

# Elements of one batch's widest tensor. On a CPU a batch should stay near the cache: past some eight images of 224²
# pixels, networks with wide, cheap layers slow down by half, and none gains any more. A GPU it should fill.
_BATCH_ELEMENTS = {"cpu": 6 << 20, "cuda": 1 << 28}


def batch_rows(elements_per_row: int, device: torch.device) -> int:
    """How many rows to try at once, for rows whose widest tensor has `elements_per_row` elements."""
    budget = _BATCH_ELEMENTS.get(device.type, _BATCH_ELEMENTS["cpu"])
    return max(1, min(512, budget // max(1, elements_per_row)))


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
    start = 0
    while start < count:
        stop = min(start + rows, count)
        result = _unless_out_of_memory(function, start, stop)
        if result is None:
            if stop - start == 1:
                raise DeviceError("out of memory even for one image: choose the CPU, a smaller model or a later layer")
            rows = (stop - start) // 2
            continue
        parts.append(result)
        advance(stop - start)
        start = stop
    return torch.cat(parts)


def _unless_out_of_memory(function: Callable[[int, int], Tensor], start: int, stop: int) -> Tensor | None:
    try:
        return function(start, stop)
    except (torch.OutOfMemoryError, MemoryError):
        pass
    except RuntimeError as error:
        if "allocate memory" not in str(error) and "out of memory" not in str(error):
            raise
    # Outside the except blocks, so that the traceback no longer holds the failed batch's tensors.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None
