"""The seam: an engine takes tasks, tells of them as they are done, and can be stopped."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from cam_core.engine.tasks import Event, Task


class Engine(ABC):
    """Where workers live. Closed at the end of a `with` block."""

    @abstractmethod
    def submit(self, task: Task) -> None:
        """Take a task; it is begun when somebody listens to `events`."""

    @abstractmethod
    def events(self) -> Iterator[tuple[Task | None, Event]]:
        """What happens, until each task is done or cannot be.

        Of each task, or of those that take its place after it killed a worker, comes `Done` or `Failed` at last. What
        an attempt told before its worker died is told anew by the next one. None stands before what concerns no task.

        Raises:
            DeviceError: workers differ, or none can be had.
        """

    @abstractmethod
    def cancel(self) -> None:
        """Forget all tasks, those that are being done among them."""

    def close(self) -> None:
        """Let go of all workers."""
        self.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
