"""The helpers with which OpenMP computes: each thread has its own, and who waits for a device shall not keep any.

While there are more helpers than processors, GNU's OpenMP sends them to sleep between any two operations, those of the
thread that computes too, and small operations then take half as long again.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Final

import torch  # noqa: F401  (it brings OpenMP, and makes its functions known to the process)

_SOFTLY: Final = 1  # what was set stays as it is: `omp_pause_soft`


def dismiss_helpers() -> None:
    """End the calling thread's helpers; when it computes again it gets new ones, within a tenth of a millisecond.

    Between two operations only. Where there is no GNU OpenMP, nothing happens.
    """
    if sys.platform == "linux" and (pause := getattr(ctypes.CDLL(None), "omp_pause_resource_all", None)):
        pause(_SOFTLY)
