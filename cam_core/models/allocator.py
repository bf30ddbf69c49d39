"""The memory that results of operations lie in, where the C library is GNU's (Linux): kept by the process between two.

That library gives large blocks back to the system as soon as they are free, and the system fills each page of the next
one with zeros before it is written to: half a million pages, a fifth of the time, of a Score-CAM on a CPU; twice as
many where a thread other than the first computes, which has memory of its own.

It is one setting for all that a process does, so only programs change it: the app, the command line, workers.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any, Final

# Of <malloc.h>.
_TRIM_THRESHOLD: Final = -1
_MMAP_MAX: Final = -4
_ARENA_MAX: Final = -8

_ALL: Final = 2**31 - 1  # bytes: what `mallopt` takes at most


def keep_freed_memory() -> bool:
    """Keep what is freed for what comes next, whichever thread needs it; from now on, in the whole process.

    To be called before there are threads that compute: what threads hold already stays as it is.

    Returns:
        whether the C library lets itself be told.
    """
    tell = _function("mallopt")
    # One store for all threads; no block too large for it; and nothing is given back unasked.
    settings = ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, _ALL))
    return tell is not None and all(tell(name, value) for name, value in settings)


def give_back_freed_memory() -> None:
    """Give the system what is free, for when nothing is computed for a while: whoever asks for memory meanwhile waits.

    Where there is no GNU C library, nothing happens.
    """
    if trim := _function("malloc_trim"):
        trim(ctypes.c_size_t(0))


def _function(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
