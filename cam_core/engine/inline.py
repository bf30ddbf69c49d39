"""The engine without workers elsewhere: one, in the calling thread, which nothing that kills it leaves alive."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from cam_core.engine.base import Engine
from cam_core.engine.tasks import Event, Task
from cam_core.engine.worker import Worker
from cam_core.types import Progress


class Inline(Engine):
    """Tasks one after the other; errors that concern all of a task are raised as they are.

    Args:
        tell: called as `tell(done, total)` while a task is done, also within its pieces; may raise to stop.
    """

    def __init__(self, tell: Progress | None = None) -> None:
        self.worker = Worker()
        self.tell = tell
        self._waiting: deque[Task] = deque()

    def submit(self, task: Task) -> None:
        """See `Engine`."""
        self._waiting.append(task)

    def events(self) -> Iterator[tuple[Task | None, Event]]:
        """See `Engine`."""
        while self._waiting:
            task = self._waiting.popleft()
            for event in task.run(self.worker, self.tell):
                yield task, event

    def cancel(self) -> None:
        """See `Engine`."""
        self._waiting.clear()
