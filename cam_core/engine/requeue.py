"""What becomes of a task whose worker died: one policy for all engines whose workers live elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from cam_core.engine.tasks import Task

DEATHS_APART: Final = 2
"""Workers that die over a task before it is taken apart."""
DEATHS_ALONE: Final = 3
"""Workers that die over a piece before it is given up."""


class Requeue:
    """Two deaths take a task apart; a piece by itself that has killed three workers is given up.

    Where memory ran out the task is tried elsewhere, once; from then on that counts as a death.
    """

    def __init__(self) -> None:
        self._deaths: Counter[Task] = Counter()
        self._moved: set[Task] = set()

    def again(self, task: Task, *, short_of_memory: bool) -> Sequence[Task]:
        """The tasks to try in place of one that killed its worker; none where it is given up."""
        if short_of_memory and task not in self._moved:
            self._moved.add(task)
            return [task]
        self._deaths[task] += 1
        halves = task.halves()
        if halves:
            return halves if self._deaths[task] >= DEATHS_APART else [task]
        return [] if self._deaths[task] >= DEATHS_ALONE else [task]

    def forget(self, task: Task) -> None:
        """The task is done."""
        self._deaths.pop(task, None)
        self._moved.discard(task)
