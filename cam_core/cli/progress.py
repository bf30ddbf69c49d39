"""Progress bars with the time left, on stderr, for people: where stderr is no terminal there are none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich import filesize
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from cam_core import types


@contextmanager
def watching(what: str, *, in_bytes: bool = False) -> Iterator[types.Progress]:
    """A bar that is gone when the block ends; it moves as the callback that the block receives is called.

    Args:
        what: stands before the bar.
        in_bytes: whether the callback counts bytes, as of a download.
    """
    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        _Amount(in_bytes),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(what, total=None)

        def progress(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total or None)

        yield progress


class _Amount(ProgressColumn):
    """ "12/2048", or "3.1 MB/46.8 MB"; nothing while the total is unknown."""

    def __init__(self, in_bytes: bool) -> None:
        super().__init__()
        self._in_bytes = in_bytes

    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text("")
        numbers = (int(task.completed), int(task.total))
        return Text("/".join(filesize.decimal(number) if self._in_bytes else str(number) for number in numbers))
