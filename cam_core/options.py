"""Options: what accompanies work of every kind, from whoever asks for it down to whoever does it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from cam_core.types import Progress


@dataclass(frozen=True)
class Options:
    """How to compute, whatever is computed. `**vars(options)` gives all of it to a public function, as its keywords.

    Attributes:
        seed: of everything random; the same seed gives the same result.
        precision: "float32"; "tf32" or "bfloat16" (explicit: they deviate); or "float64". Not every device has each
            of them: see `cam_core.models.precision`.
        compiled: compile the network first, which takes up to a minute: pays where thousands of passes follow.
        progress: called as `progress(done, total)`; may raise `Cancelled`.
    """

    seed: int = 0
    precision: str = "float32"
    compiled: bool = False
    progress: Progress | None = None

    def part(self, index: int, count: int, steps: int = 1000) -> Options:
        """The same for piece `index` of `count`, whose progress is told as that of the whole.

        Args:
            steps: how finely, per piece. What is told is done / total = (steps · index + …) / (steps · count); it never
                goes back, also where the piece finds out on its way that it has more to do.
        """
        if self.progress is None:
            return self
        return replace(self, progress=_part(self.progress, index, count, steps))


DEFAULTS: Final = Options()


def _part(progress: Progress, index: int, count: int, steps: int) -> Progress:
    furthest = 0

    def tell(done: int, total: int) -> None:
        nonlocal furthest
        furthest = max(furthest, steps * done // max(total, 1))
        progress(steps * index + furthest, steps * count)

    return tell
