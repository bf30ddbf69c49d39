"""The report of channels that are taken away: which go first, and what the network then says beside what φ predicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cam_core.analysis.channels import ChannelReport
from cam_core.metrics.base import Values
from cam_core.shapley import ChannelEstimate, Removal

Side = Literal["either", "for", "against"]
"""Which channels go: all that say something, or those that speak for, or against, the class."""


@dataclass(frozen=True)
class RemovalReport:
    """The network's answer after 0, 1, … n channels were set to 0.

    Attributes:
        logit, predicted, probability: (n + 1,) of the explained class; predicted is the logit less the φ of what went.
            Of another target its value, and no probability unless it is one.
        best: (n + 1,) label of the most probable class.
        kept: (n + 1,) whether that is the explained class; of another target whether it is the one that it was.
    """

    logit: Values
    predicted: Values
    probability: Values | None
    best: tuple[str, ...]
    kept: tuple[bool, ...]


def removal_order(report: ChannelReport, side: Side = "either", most: int | None = None) -> list[int]:
    """The channels to be removed, the largest |φ| first; channels without φ stay."""
    wanted = {"either": report.phi != 0, "for": report.phi > 0, "against": report.phi < 0}[side]
    return [channel for channel in report.order if wanted[channel]][:most]


def removal_report(removal: Removal, estimate: ChannelEstimate, labels: Sequence[str]) -> RemovalReport:
    """The outcome of the removal beside the estimate. `labels` are those of all classes."""
    best = removal.best.tolist()
    kept = estimate.target if isinstance(estimate.target, int) else best[0]
    return RemovalReport(
        removal.logit.numpy(),
        removal.predicted(estimate).numpy(),
        None if removal.probability is None else removal.probability.numpy(),
        tuple(labels[index] for index in best),
        tuple(index == kept for index in best),
    )
