"""The report of the channels that tell class A from class B: their SHAP values for either, and for the difference.

    report = channel_contrast(shap_of_a, shap_of_b, shap_of_difference)
    report.order[0], report.phi, report.stderr, report.phi_a, report.phi_b

Plain data: the page and the command line only format it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from cam_core.analysis.channels import Table, largest, table_csv
from cam_core.analysis.contrast import check_classes
from cam_core.metrics.base import Values
from cam_core.shapley import ChannelEstimate
from cam_core.types import FloatArray


@dataclass(frozen=True)
class ChannelContrast:
    """The report of the channels that tell A from B: SHAP values of the layer's K channels for either class.

    Attributes:
        model, trained, layer: the network, whether it has learnt its weights, and where.
        labels: of A and of B.
        phi_a, phi_b: (K,) SHAP values of the logits of A and of B.
        phi: (K,) SHAP values of the logit difference A − B, with their errors `stderr` (infinite while unknown). They
            are phi_a − phi_b, since SHAP values are linear in what is explained.
        span: of the logit difference: on the whole layer less that without any channel, which all of `phi` come to.
        activations, mean_activation: (K, h, w) and (K,), the layer's output.
        order: the live channels, the largest |phi| first.
        estimator, budget, passes: how they were estimated, and in how many tail passes altogether.
        exact, converged: of the difference, as of `ChannelEstimate`.
    """

    model: str
    trained: bool
    layer: str
    labels: tuple[str, str]
    phi_a: Values
    phi_b: Values
    phi: Values
    stderr: Values
    span: float
    activations: FloatArray
    mean_activation: Values
    order: tuple[int, ...]
    estimator: str
    budget: int
    passes: int
    exact: bool
    converged: bool

    def favouring(self, side: Literal["a", "b"]) -> list[int]:
        """The channels that count more for A than for B, or for B than for A; those that do most first."""
        sign = 1 if side == "a" else -1
        return [channel for channel in self.order if sign * self.phi[channel] > 0]

    @property
    def extent(self) -> float:
        """How far from 0 the SHAP values for A and for B go: the scale of bars."""
        return float(np.abs([self.phi_a, self.phi_b]).max())


def channel_contrast(a: ChannelEstimate, b: ChannelEstimate, between: ChannelEstimate) -> ChannelContrast:
    """The report of the estimates for A, for B, and for the target A − B, at one layer with one seed.

    Raises:
        TargetError: A and B are the same class.
    """
    check_classes(a.target, b.target, a.label)
    phi, live = between.phi.numpy(), between.live.numpy()
    return ChannelContrast(
        model=between.model,
        trained=between.trained,
        layer=between.layer,
        labels=(a.label, b.label),
        phi_a=a.phi.numpy(),
        phi_b=b.phi.numpy(),
        phi=phi,
        stderr=between.stderr.numpy(),
        span=between.v_all - between.v_empty,
        activations=between.activations[0].float().numpy(),
        mean_activation=between.mean_activation.double().numpy(),
        order=tuple(channel for channel in largest(phi, len(phi)) if live[channel]),
        estimator=between.name,
        budget=between.budget,
        passes=a.passes + b.passes + between.passes,
        exact=between.exact,
        converged=between.converged,
    )


def contrast_table(report: ChannelContrast) -> Table:
    """One row per live channel, the one that tells the two apart most first.

    The last column names the network where it has learnt nothing: nobody shall take its numbers for a trained one's.
    """
    columns = (report.phi, report.stderr, report.phi_a, report.phi_b, report.mean_activation)
    untrained = [] if report.trained else [report.model]
    a, b = report.labels
    names = ["rank", "channel", f"phi {a} - {b}", "stderr", f"phi {a}", f"phi {b}", "mean activation"]
    rows: list[list[object]] = [
        [rank, channel, *(float(column[channel]) for column in columns), *untrained]
        for rank, channel in enumerate(report.order, 1)
    ]
    return [*names, *(["network"] if untrained else [])], rows


def contrast_csv(report: ChannelContrast) -> bytes:
    """`contrast_table` as comma-separated values: see `table_csv`."""
    return table_csv(contrast_table(report))
