"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside the place, then put it there in one step: whoever opens `path` finds all of it or what was before.

    Args:
        path: in a folder that exists; of a symbolic link, what it points to is replaced.
        write: fills the file whose path it is given. Where it fails, nothing is left behind.
    Raises:
        OSError: the file cannot be written.
    """
    target = path.resolve()
    # Of a name of their own, since other processes and threads may be writing the same file; never longer than `target`
    # by so much that a file system would refuse it.
    draft = target.with_name(f".{target.name[:100]}.{os.getpid()}.{threading.get_ident()}.unfinished")
    try:
        write(draft)
        with draft.open("rb") as file:
            os.fsync(file.fileno())  # a machine that stops now shall not leave an empty file under the new name
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
