"""The memory that results of operations lie in, where the C library is GNU's (Linux): kept by the process between two.

That library gives large blocks back to the system as soon as they are free, and the system fills each page of the next
one with zeros before it is written to: half a million pages, a fifth of the time, of a Score-CAM on a CPU; twice as
many in a thread other than the first.

It is one setting for all that a process does, so only programs change it: the app, the command line, workers.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any, Final

# Of <malloc.h>.
_TRIM_THRESHOLD: Final = -1
_MMAP_MAX: Final = -4

_ALL: Final = 2**31 - 1  # bytes: what `mallopt` takes at most


def keep_freed_memory() -> bool:
    """Keep what is freed for what comes next in the same thread; from now on, in the whole process.

    Threads other than the first may get memory of their own, of which the C library keeps less. A program that computes
    in many sets M_ARENA_MAX to 1 before it has any: also numpy's, which begin when it is imported.

    Returns:
        whether the C library lets itself be told.
    """
    tell = _function("mallopt")
    # No block is too large to be kept, and nothing is given back unasked.
    return tell is not None and all(tell(name, value) for name, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _ALL)))


def give_back_freed_memory() -> None:
    """Give the system what is free, for when nothing is computed for a while: whoever asks for memory meanwhile waits.

    Where there is no GNU C library, nothing happens.
    """
    if trim := _function("malloc_trim"):
        trim(ctypes.c_size_t(0))


def _function(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
