"""A bar for long work in a notebook, where nobody asked to be told of its progress."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from cam_core.types import Progress


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


@contextmanager
def watched(progress: Progress | None, what: str) -> Iterator[Progress | None]:
    """The callback that was given; where none was, one that moves a bar, in a notebook. The bar is gone in the end.

    Args:
        what: stands before the bar.
    """
    if progress is not None or not in_notebook():
        yield progress
        return
    with warnings.catch_warnings():  # that there are no widgets here: the bar is of letters then
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm

        bar = tqdm(desc=what, leave=False)

    def tell(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    with bar:
        yield tell
