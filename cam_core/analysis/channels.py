"""SHAP values of channels set beside what methods say of the same channels: ranks, steps, convergence, a table."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cam_core.analysis.shapley_fidelity import Fidelity, similarity
from cam_core.methods import title_of
from cam_core.metrics.base import Values
from cam_core.shapley import ChannelEstimate, Estimate
from cam_core.types import Explanation

Table = tuple[list[str], list[list[object]]]
"""Column names, and rows."""


@dataclass(frozen=True)
class Step:
    """One step of the way from v(∅) to the logit.

    Attributes:
        start, change: in logits.
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


def coefficients_of(explanations: Iterable[Explanation]) -> dict[str, Values]:
    """Method → α (K,) in its own units, of those that have one coefficient a channel."""
    return {one.method: one.coefficients.astype(np.float64) for one in explanations if one.coefficients is not None}


def largest(values: npt.ArrayLike, count: int) -> list[int]:
    """Positions of the `count` values largest in magnitude, the largest first; of equals the first."""
    return [int(i) for i in np.argsort(-np.abs(np.asarray(values)), kind="stable")[:count]]


def ranks(values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """(K,): 1 for the value largest in magnitude, 2 for the next; of equals the first is ahead."""
    order = largest(values, np.size(values))
    found = np.empty(len(order), dtype=np.int64)
    found[order] = np.arange(1, len(order) + 1)
    return found


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


def waterfall(estimate: Estimate, count: int) -> list[Step]:
    """From v(∅) to v(all): the `count` largest channels one by one, all others together, and the efficiency gap.

    The gap is what the estimates leave unexplained, v(all) − v(∅) − Σ phi: a step of its own where they are not exact.
    """
    phi = estimate.phi.numpy()
    shown = largest(phi, min(count, len(phi) - estimate.dead))
    steps: list[Step] = []
    at = estimate.v_empty
    for channel in shown:
        steps.append(Step(f"channel {channel}", at, float(phi[channel]), channel))
        at += float(phi[channel])
    others = len(phi) - estimate.dead - len(steps)
    if others:
        rest = float(np.delete(phi, shown).sum())
        steps.append(Step(f"{others} others", at, rest))
        at += rest
    if not estimate.exact:
        steps.append(Step("gap", at, estimate.v_all - at))
    return steps


def convergence(trail: Sequence[Estimate]) -> list[Checkpoint]:
    """How a streamed estimate came about; the last checkpoint's cosine is 1 by definition (0 if phi is 0)."""
    return [Checkpoint(one.passes, similarity(one.phi, trail[-1].phi).cosine, one.noise) for one in trail]


def channel_table(estimate: ChannelEstimate, beside: Mapping[str, npt.ArrayLike]) -> Table:
    """One row a channel, the largest |phi| first; `beside` adds the coefficients of methods, in their own units."""
    phi, stderr, means = estimate.phi.tolist(), estimate.stderr.tolist(), estimate.mean_activation.tolist()
    columns = [np.asarray(values, dtype=np.float64).tolist() for values in beside.values()]
    rows: list[list[object]] = [
        [rank, channel, phi[channel], stderr[channel], means[channel], *(column[channel] for column in columns)]
        for rank, channel in enumerate(largest(estimate.phi, len(phi)), 1)
    ]
    return ["rank", "channel", "phi", "stderr", "mean activation", *map(title_of, beside)], rows


def channel_csv(estimate: ChannelEstimate, beside: Mapping[str, npt.ArrayLike]) -> bytes:
    """`channel_table` as comma-separated values in UTF-8; an error that is unknown is an empty field."""
    columns, rows = channel_table(estimate, beside)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(["" if entry == math.inf else entry for entry in row] for row in rows)
    return text.getvalue().encode()
