"""The report of a layer's channels: SHAP values, and what methods say of the same channels beside them.

    report = channel_report(estimate, coefficients_of(explanations))
    report.order[0], report.phi, report.stderr, report.shap.ranks
    report.methods["contributions"][0].similarity.cosine

Plain data: the page, the command line and the figure only format it.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt

from cam_core.analysis.shapley_fidelity import Fidelity, Similarity, cosine, similarity
from cam_core.methods import title_of
from cam_core.metrics.base import Values
from cam_core.notebooks.drawn import Drawn
from cam_core.numbers import decimals
from cam_core.palette import REFERENCE
from cam_core.shapley import ChannelEstimate, Estimate
from cam_core.targets.asking import Measure
from cam_core.types import Explanation, FloatArray

Table = tuple[list[str], list[list[object]]]
"""Column names, and rows."""

Reading = Literal["coefficients", "contributions"]
"""How a method's coefficients are read: α as it is, or α · mean A."""


@dataclass(frozen=True)
class ChannelValues:
    """One value per channel, said by SHAP or by a method.

    Attributes:
        name: `palette.REFERENCE`, or the method's key.
        values: (K,) in their own unit.
        unit: (K,) the same scaled to an L2 norm of 1 over all channels, since units differ.
        ranks: (K,) 1 for the value largest in magnitude.
    """

    name: str
    values: Values
    unit: Values
    ranks: npt.NDArray[np.int64]


@dataclass(frozen=True)
class MethodValues(ChannelValues):
    """A method's word on every channel, and how close to SHAP that is.

    Attributes:
        similarity: to SHAP over the live channels.
        best: whether no other method comes closer by a thousandth; False where all are as close, or there is no other.
    """

    similarity: Similarity
    best: bool


@dataclass(frozen=True)
class Step:
    """One step of the way from v(∅) to the score.

    Attributes:
        start, change: in the score's unit.
        channel: its number; None where the step is no single channel.
    """

    label: str
    start: float
    change: float
    channel: int | None = None


@dataclass(frozen=True)
class Checkpoint:
    """How an estimate stood after so many tail passes.

    Attributes:
        cosine: to the estimate that came last.
        noise: ‖stderr‖ / ‖phi‖; infinite while it is unknown.
    """

    passes: int
    cosine: float
    noise: float


@dataclass(frozen=True)
class ChannelReport(Drawn):
    """The report of the channels of one layer for one image.

    Attributes:
        model, layer, target, label, probability, measure: what is explained, as of `ChannelEstimate`.
        trained: whether the network has learnt its weights.
        estimator, budget, passes, exact, converged: how, and how far, φ was estimated.
        noise, ceiling: ‖stderr‖ / ‖φ‖, and the cosine to expect of the true values; infinite and None while unknown.
        v_all, v_empty, span, phi_sum: the score, that without any channel, their difference, and Σ φ.
        gap, relative_gap: Σ φ less the span, and as a share of it: the failure of efficiency.
        phi, stderr, mean_activation: (K,); errors are infinite while they are unknown.
        live: (K,) bool: channels that are not 0 everywhere; `dead` is how many others the estimator left out.
        activations: (K, h, w), the layer's output.
        order: all channels, the largest |φ| first.
        shap: φ as it is set beside methods.
        methods: what each method says, in the order asked for, by the reading of its coefficients.
        convergence: the estimates that led to this one, and this one.
    """

    model: str
    trained: bool
    layer: str
    target: int | str
    label: str
    probability: float | None
    measure: Measure
    estimator: str
    budget: int
    passes: int
    exact: bool
    converged: bool
    noise: float
    ceiling: float | None
    v_all: float
    v_empty: float
    span: float
    phi_sum: float
    gap: float
    relative_gap: float
    dead: int
    phi: Values
    stderr: Values
    mean_activation: Values
    live: npt.NDArray[np.bool_]
    activations: FloatArray
    order: tuple[int, ...]
    shap: ChannelValues
    methods: Mapping[Reading, tuple[MethodValues, ...]]
    convergence: tuple[Checkpoint, ...]

    @property
    def channels(self) -> int:
        """The number of channels of the layer."""
        return len(self.phi)

    def closest(self, reading: Reading) -> list[MethodValues]:
        """The methods, the one closest to SHAP first; of equals the one asked for first."""
        return sorted(self.methods[reading], key=lambda said: -said.similarity.cosine)

    def scaled(self, channels: Sequence[int], reading: Reading) -> dict[str, Values]:
        """SHAP's and the methods' values of some channels on one scale, by name; empty where there is no method."""
        said = self.methods[reading]
        return {values.name: values.unit[list(channels)] for values in (self.shap, *said)} if said else {}


def channel_report(
    estimate: ChannelEstimate, beside: Mapping[str, npt.ArrayLike] | None = None, trail: Sequence[Estimate] = ()
) -> ChannelReport:
    """The report of an estimate, which may still be getting better.

    Args:
        beside: method → (K,) its coefficients in their own unit.
        trail: the estimates that led to this one, which is the last of them.
    """
    phi, live = estimate.phi.numpy(), estimate.live.numpy()
    stderr, means = estimate.stderr.numpy(), estimate.mean_activation.double().numpy()
    read = {method: np.asarray(alpha, dtype=np.float64) for method, alpha in (beside or {}).items()}
    close = {method: channel_fidelity(alpha, estimate) for method, alpha in read.items()}
    methods: dict[Reading, tuple[MethodValues, ...]] = {
        "coefficients": _said({m: (alpha, close[m].coefficients) for m, alpha in read.items()}),
        "contributions": _said({m: (contributions(a, estimate), close[m].contributions) for m, a in read.items()}),
    }
    return ChannelReport(
        model=estimate.model,
        trained=estimate.trained,
        layer=estimate.layer,
        target=estimate.target,
        label=estimate.label,
        probability=estimate.probability,
        measure=estimate.measure,
        estimator=estimate.name,
        budget=estimate.budget,
        passes=estimate.passes,
        exact=estimate.exact,
        converged=estimate.converged,
        noise=estimate.noise,
        ceiling=estimate.expected_cosine if math.isfinite(estimate.noise) else None,
        v_all=estimate.v_all,
        v_empty=estimate.v_empty,
        span=estimate.v_all - estimate.v_empty,
        phi_sum=float(estimate.phi.sum()),
        gap=estimate.gap,
        relative_gap=estimate.relative_gap,
        dead=estimate.dead,
        phi=phi,
        stderr=stderr,
        mean_activation=means,
        live=live,
        activations=estimate.activations[0].float().numpy(),
        order=tuple(largest(phi, len(phi))),
        shap=ChannelValues(REFERENCE, phi, unit_norm(phi), ranks(phi)),
        methods=MappingProxyType(methods),
        convergence=tuple(convergence(trail or [estimate])),
    )


def _said(methods: Mapping[str, tuple[Values, Similarity]]) -> tuple[MethodValues, ...]:
    written = {name: decimals(close.cosine, 3) for name, (_, close) in methods.items()}
    best = decimals(max((close.cosine for _, close in methods.values()), default=0.0), 3)
    return tuple(
        MethodValues(
            name,
            values,
            unit_norm(values),
            ranks(values),
            close,
            len(set(written.values())) > 1 and written[name] == best,
        )
        for name, (values, close) in methods.items()
    )


def coefficients_of(explanations: Iterable[Explanation]) -> dict[str, Values]:
    """Method → α (K,) in its own unit, of those that have one coefficient per channel."""
    return {made.method: made.coefficients.astype(np.float64) for made in explanations if made.coefficients is not None}


def largest(values: npt.ArrayLike, count: int) -> list[int]:
    """Positions of the `count` values largest in magnitude, the largest first; of equals the first."""
    return [int(i) for i in np.argsort(-np.abs(np.asarray(values)), kind="stable")[:count]]


def ranks(values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """(K,): 1 for the value largest in magnitude, 2 for the next; of equals the first is ahead."""
    order = largest(values, np.size(values))
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(1, len(order) + 1)
    return places


def unit_norm(values: npt.ArrayLike) -> Values:
    """Scaled to an L2 norm of 1, so that coefficients in different units can stand side by side; 0 stays 0."""
    array = np.asarray(values, dtype=np.float64)
    norm = float(np.linalg.norm(array))
    return array / norm if norm > 0 else array


def contributions(coefficients: npt.ArrayLike, estimate: ChannelEstimate) -> Values:
    """(K,) α_k · mean A_k: logits per unit of activation become logits."""
    means: Values = estimate.mean_activation.double().numpy()
    return np.asarray(coefficients, dtype=np.float64) * means


def channel_fidelity(coefficients: npt.ArrayLike, estimate: ChannelEstimate) -> Fidelity:
    """A method's coefficients (K,) and their contributions against phi, over the live channels."""
    live, phi = estimate.live.numpy(), estimate.phi.numpy()
    alpha = np.asarray(coefficients, dtype=np.float64)
    return Fidelity(
        similarity(alpha[live], phi[live]), similarity(contributions(coefficients, estimate)[live], phi[live])
    )


def waterfall(report: ChannelReport, count: int) -> list[Step]:
    """From v(∅) to v(all): the `count` largest channels one by one, all others together, and the efficiency gap.

    The gap is what the estimates leave unexplained, v(all) − v(∅) − Σ phi: a step of its own where they are not exact.
    """
    live = report.channels - report.dead
    shown = report.order[: min(count, live)]
    steps: list[Step] = []
    at = report.v_empty
    for channel in shown:
        steps.append(Step(f"channel {channel}", at, float(report.phi[channel]), channel))
        at += float(report.phi[channel])
    others = live - len(steps)
    if others:
        rest = float(np.delete(report.phi, list(shown)).sum())
        steps.append(Step(f"the other {others}", at, rest))
        at += rest
    if not report.exact:
        steps.append(Step("unexplained", at, report.v_all - at))
    return steps


def convergence(trail: Sequence[Estimate]) -> list[Checkpoint]:
    """How a streamed estimate came about; the last checkpoint's cosine is 1 by definition (0 if phi is 0)."""
    return [Checkpoint(estimate.passes, cosine(estimate.phi, trail[-1].phi), estimate.noise) for estimate in trail]


def channel_table(report: ChannelReport) -> Table:
    """One row per channel, the largest |phi| first; then the coefficients of methods, in their own units.

    The last column names the network where it has learnt nothing: nobody shall take its numbers for a trained one's.
    """
    said = report.methods["coefficients"]
    columns = [report.phi, report.stderr, report.mean_activation, *(values.values for values in said)]
    untrained = [] if report.trained else [report.model]
    rows: list[list[object]] = [
        [rank, channel, *(float(column[channel]) for column in columns), *untrained]
        for rank, channel in enumerate(report.order, 1)
    ]
    names = ["rank", "channel", "phi", "stderr", "mean activation", *(title_of(values.name) for values in said)]
    return [*names, *(["network"] if untrained else [])], rows


def channel_csv(report: ChannelReport) -> bytes:
    """`channel_table` as comma-separated values: see `table_csv`."""
    return table_csv(channel_table(report))


def table_csv(table: Table) -> bytes:
    """A table as comma-separated values in UTF-8; an error that is unknown, and so infinite, is an empty field."""
    columns, rows = table
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(["" if entry == math.inf else entry for entry in row] for row in rows)
    return text.getvalue().encode()
