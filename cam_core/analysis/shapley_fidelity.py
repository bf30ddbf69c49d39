"""How close a method's coefficients come to the channels' Shapley values: LIFT-CAM's own criterion.

Jung & Oh 2021, arXiv:2102.05228: cosine between a method's coefficients and SHAP values estimated from permutations.
Here with rank correlations and the overlap of the largest beside it, the noise of the reference stated, and for two
readings of a coefficient: as it is, and times the channel's mean activation, which turns logits per unit of activation
into logits. Only live channels are compared: a channel that is 0 everywhere has no part in any map.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import kendalltau

from cam_core.metrics.base import Values
from cam_core.metrics.similarity import spearman
from cam_core.metrics.statistics import Interval, bootstrap_interval
from cam_core.models.devices import double
from cam_core.shapley import Game
from cam_core.shapley.permutation import repetitions
from cam_core.types import MetricError

TOP = 10


@dataclass(frozen=True)
class Similarity:
    """How alike two vectors of coefficients are; whatever their units, since none of these depends on scale.

    Attributes:
        cosine: in [−1, 1].
        spearman, kendall: rank correlations in [−1, 1] (Kendall's tau-b).
        overlap: share of the `TOP` largest in magnitude that they have in common, in [0, 1].
    """

    cosine: float
    spearman: float
    kendall: float
    overlap: float


@dataclass(frozen=True)
class Fidelity:
    """Similarity to SHAP of a method's coefficients α_k as they are, and of α_k · mean A_k."""

    coefficients: Similarity
    contributions: Similarity


@dataclass(frozen=True)
class ShapReference:
    """Shapley values to compare with, and how sure they are.

    Attributes:
        phi, stderr: (K,) logits; 0 for dead channels.
        live: (K,) bool.
        halves: (2, K), the means over every other repetition; both are `phi` where it is exact.
        exact: whether there is no sampling behind it.
    """

    phi: Values
    stderr: Values
    live: npt.NDArray[np.bool_]
    halves: Values
    exact: bool

    @property
    def split_half(self) -> Similarity:
        """Similarity of the two halves, each of which has half of the repetitions, as it is: not corrected for that."""
        return similarity(self.halves[0][self.live], self.halves[1][self.live])

    @property
    def ceiling(self) -> float:
        """The cosine that the true values can be expected to have to this reference: no method can do better.

        √(2 r / (1 + r)) with r the cosine between the halves (0 if negative). 2 r / (1 + r) is what two references
        with all repetitions each would have (Spearman–Brown); the root, since the true values have no noise.
        """
        r = max(0.0, self.split_half.cosine)
        return math.sqrt(2 * r / (1 + r))


def shap_reference(game: Game, generator: torch.Generator, pairs: int = 100) -> ShapReference:
    """From `pairs` antithetic permutations, or exact where the tail is pooling and one linear layer.

    Raises:
        MetricError: fewer than two pairs, which cannot be halved.
    """
    if game.contributions is not None:
        phi = double(game.contributions).cpu().numpy()
        return ShapReference(phi, np.zeros_like(phi), _live(game), np.stack([phi, phi]), exact=True)
    samples = np.zeros((pairs, game.players))
    for row, sample in zip(samples, islice(repetitions(game, generator), pairs), strict=True):
        row[game.live.numpy()] = sample.numpy()
    return reference_from_samples(samples, _live(game))


def reference_from_samples(samples: Values, live: npt.NDArray[np.bool_]) -> ShapReference:
    """Of independent repetitions (R, K), R ≥ 2.

    Raises:
        MetricError: fewer than two.
    """
    if len(samples) < 2:
        raise MetricError(f"a SHAP reference needs two repetitions to be halved, but got {len(samples)}")
    stderr = samples.std(0, ddof=1) / math.sqrt(len(samples))
    halves = np.stack([samples[::2].mean(0), samples[1::2].mean(0)])
    return ShapReference(samples.mean(0), stderr, live, halves, exact=False)


def fidelity(coefficients: npt.ArrayLike, mean_activations: npt.ArrayLike, reference: ShapReference) -> Fidelity:
    """Of one image: a method's coefficients (K,) and its channels' mean activations (K,) against the reference.

    Raises:
        MetricError: the numbers of channels differ.
    """
    alpha, means = (np.asarray(values, dtype=np.float64) for values in (coefficients, mean_activations))
    if not alpha.shape == means.shape == reference.phi.shape:
        raise MetricError(
            f"{alpha.shape} coefficients, {means.shape} activations and {reference.phi.shape} SHAP values: "
            "they must be of the same layer"
        )
    live = reference.live
    return Fidelity(
        similarity(alpha[live], reference.phi[live]), similarity((alpha * means)[live], reference.phi[live])
    )


def similarity(first: npt.ArrayLike, second: npt.ArrayLike, top: int = TOP) -> Similarity:
    """Of two vectors (K,). What is not defined, because a vector is 0 or constant, is 0: it resembles nothing."""
    a, b = (np.asarray(values, dtype=np.float64) for values in (first, second))
    if not a.any() or not b.any():
        return Similarity(0.0, 0.0, 0.0, 0.0)
    return Similarity(
        cosine=cosine(a, b),
        spearman=_defined(spearman(a, b)),
        kendall=_defined(float(kendalltau(a, b).statistic)),
        overlap=_overlap(a, b, top),
    )


def cosine(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Of two vectors (K,), in [−1, 1]; 0 where one of them is 0."""
    a, b = (np.asarray(values, dtype=np.float64) for values in (first, second))
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.clip(a @ b / length, -1, 1)) if length else 0.0


def summarise(values: Sequence[Similarity], seed: int = 0) -> Mapping[str, Interval]:
    """Mean over images of each measure, with its bootstrap interval."""
    rows = [asdict(value) for value in values]
    return {field.name: bootstrap_interval([row[field.name] for row in rows], seed) for field in fields(Similarity)}


def _overlap(a: Values, b: Values, top: int) -> float:
    k = min(top, len(a))
    largest = [set(np.argsort(-np.abs(values), kind="stable")[:k].tolist()) for values in (a, b)]
    return len(largest[0] & largest[1]) / k


def _defined(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def _live(game: Game) -> npt.NDArray[np.bool_]:
    live = np.zeros(game.players, dtype=bool)
    live[game.live.numpy()] = True
    return live
