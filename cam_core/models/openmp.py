"""The helpers with which OpenMP computes, where that is GNU's: each thread has its own.

Who waits for a device shall not keep any, and several who compute at a time share the processors.

While there are more helpers than processors, GNU's OpenMP sends them to sleep between any two operations, those of the
thread that computes too, and small operations then take half as long again.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any, Final

import torch  # it brings OpenMP, and makes its functions known to the process

_SOFTLY: Final = 1  # what was set stays as it is: `omp_pause_soft`


def dismiss_helpers() -> None:
    """End the calling thread's helpers; when it computes again it gets new ones, within a tenth of a millisecond.

    Between two operations only. Where there is no GNU OpenMP, nothing happens.
    """
    if pause := _function("omp_pause_resource_all"):
        pause(_SOFTLY)


def can_share() -> bool:
    """Whether threads that compute at a time can each have a part of the processors."""
    return _function("omp_set_num_threads") is not None


def processors() -> int:
    """The number on which the calling thread computes."""
    return torch.get_num_threads()


def take_processors(number: int) -> None:
    """The calling thread computes on so many from now on; all other threads as before.

    `torch.set_num_threads` would set the number with which threads begin, too. Where there is no GNU OpenMP, nothing
    happens.
    """
    before = processors()  # asked first: at a thread's first operation torch sets its own number
    if number != before and (choose := _function("omp_set_num_threads")):
        if number < before:
            dismiss_helpers()
        choose(number)


def _function(name: str) -> Any:
    """A function of OpenMP; None where that is not there."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
