"""Reports of training: one after each epoch, a result at the end, a log to be read by anything."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cam_core.models.trainable.baseline import Baseline
from cam_core.types import FloatArray

LOGGED: Final = ("epoch", "loss", "train_accuracy", "accuracy", "learning_rate", "seconds")


@dataclass(frozen=True)
class EpochReport:
    """One epoch.

    Attributes:
        epoch: from 1 to `epochs`.
        loss, train_accuracy: over the epoch's batches, as they were trained on; a share.
        accuracy: on the held-out images, a share.
        learning_rate: of the last step.
        seconds: wall time.
        best: whether no earlier epoch was as accurate: its network is the one that is kept.
        attention: (n, h, w) in [0, 1], maps of the data's `previews`; None where the network has none.
    """

    epoch: int
    epochs: int
    loss: float
    train_accuracy: float
    accuracy: float
    learning_rate: float
    seconds: float
    best: bool
    attention: FloatArray | None = None

    def row(self) -> dict[str, Any]:
        """The part of it that the log keeps."""
        return {name: getattr(self, name) for name in LOGGED}


@dataclass(frozen=True)
class TrainResult:
    """The end of a run.

    Attributes:
        network: that of the best epoch, in evaluation mode on the CPU.
        card: of its checkpoint.
        path: of its checkpoint.
        history: one report per epoch, without maps.
        complete: whether all epochs were run; not so where the run was asked to end, or patience did.
    """

    network: Baseline
    card: dict[str, Any]
    path: Path
    history: tuple[EpochReport, ...]
    complete: bool

    @property
    def accuracy(self) -> float:
        """On the held-out images, a share."""
        return float(self.card["accuracy"])

    @property
    def seconds(self) -> float:
        """Wall time of all epochs together."""
        return sum(report.seconds for report in self.history)


def as_csv(history: Sequence[EpochReport]) -> str:
    """The log: a header and one line per epoch."""
    text = io.StringIO()
    writer = csv.DictWriter(text, LOGGED, lineterminator="\n")
    writer.writeheader()
    writer.writerows(report.row() for report in history)
    return text.getvalue()
