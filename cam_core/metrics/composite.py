"""Coherency, complexity, and the two harmonic means that join them with a measure of faithfulness: ADCC and ARCC."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from torch import Tensor

from cam_core.declarations.parameters import MaskSpace, Parameter
from cam_core.metrics.base import Scores, metric
from cam_core.metrics.confidence import Masking, drop, masked, probabilities
from cam_core.metrics.road import Removal, combined
from cam_core.metrics.samples import Samples
from cam_core.metrics.similarity import pearson
from cam_core.models.split.model import SplitModel
from cam_core.run import Run

_POPPI = "Poppi et al. 2021, arXiv:2104.10252"


def coherencies(batch: Samples, run: Run, mask_space: str) -> Tensor:
    """(B,) float64: (1 + r) / 2, with r the correlation of the map of x and the map of x under its map, same class.

    Both over the photo: a letterbox's padding stays as it is under the map, and does not count.
    """
    fill = run.fill(mask_space, batch.images)[0]
    run.expect(len(batch))
    coherency_of = []
    for index, saliency in enumerate(batch.planes):
        photo = batch.photo(index)
        shown = batch.padded(index, (fill + (photo - fill) * saliency.to(photo))[None])[0]
        correlation = pearson(saliency.numpy(), batch.mapped_again(index, shown).numpy())
        coherency_of.append(0.0 if math.isnan(correlation) else (1 + correlation) / 2)
        run.advance()
    return torch.tensor(coherency_of, dtype=torch.float64)


def complexities(batch: Samples) -> Tensor:
    """(B,) float64: the mean of the map."""
    return torch.stack([plane.mean() for plane in batch.planes])


def harmonic_mean(*parts: Tensor) -> Tensor:
    """n / Σ 1/part, elementwise, for parts in [0, 1]; 0 where one of them is 0."""
    stacked = torch.stack(parts)
    zero = (stacked == 0).any(0)
    mean = len(parts) / (1 / torch.where(stacked == 0, torch.ones_like(stacked), stacked)).sum(0)
    return torch.where(zero, torch.zeros_like(mean), mean)


@metric(
    "coherency",
    title="Coherency",
    plain="The same map again where the map has hidden the rest",
    direction="higher",
    range=(0, 1),
    source=f"{_POPPI}, section 3",
    formula="(1 + Pearson(S(x), S(x · S(x)))) / 2, the same class both times",
    edge_cases="0 where one of the two maps is constant.",
    cost="one explanation",
    expensive=True,
    needs=("explain_again",),
)
def coherency(net: SplitModel, batch: Samples, run: Run, mask_space: MaskSpace = "normalized") -> Tensor:
    """Whether the method finds the same again where its own map has hidden the rest."""
    return coherencies(batch, run, mask_space)


@metric(
    "complexity",
    title="Complexity",
    plain="Share of the image that is marked",
    direction="lower",
    range=(0, 1),
    source=f"{_POPPI}, section 3",
    formula="mean of S over the pixels",
    edge_cases="0 for a map of zeros, which explains nothing.",
    cost="none",
    uses_network=False,
)
def complexity(net: SplitModel, batch: Samples, run: Run) -> Tensor:
    """How much of the image the map covers, weighted by salience."""
    return complexities(batch)


@metric(
    "adcc",
    title="ADCC",
    plain="Repeatable, small and enough for the class, all in one",
    direction="higher",
    range=(0, 1),
    source=f"{_POPPI}, eq. 4, per image as in the authors' code",
    formula="3 / (1 / coherency + 1 / (1 − complexity) + 1 / (1 − average drop)), average drop as a fraction",
    edge_cases="0 where a denominator is 0: no coherency, a map of ones, or all of the probability lost.",
    cost="one pass and one explanation",
    expensive=True,
    needs=("explain_again",),
    shows=masked,
)
def adcc(net: SplitModel, batch: Samples, run: Run, mask_space: MaskSpace = "normalized") -> Scores:
    """The harmonic mean of coherency, 1 − complexity and 1 − average drop. Extras: the three of them."""
    alike, covered = coherencies(batch, run, mask_space), complexities(batch)
    lost = drop(batch.score(), probabilities(net, batch, run, Masking(mask_space=mask_space)))
    parts = {"coherency": list(alike.numpy()), "complexity": list(covered.numpy()), "drop": list(lost.numpy())}
    return Scores(harmonic_mean(alike, 1 - covered, 1 - lost), parts)


# Percentiles 20, 40, 60 and 80, as in its authors' code.
_COARSE = Removal(spacing=20)


@metric(
    "arcc",
    title="ARCC",
    plain="Repeatable, small and needed for the class, all in one",
    direction="higher",
    range=(0, 1),
    source="arXiv:2605.14641, as its authors contributed it to PyPI grad-cam",
    formula="3 / (1 / coherency + 1 / (1 − complexity) + 1 / R), R = 2 · ROAD combined cut to [0, 1]",
    edge_cases="0 where a denominator is 0: no coherency, a map of ones, or ROAD not above 0.",
    cost="an explanation, and two passes and two sparse linear systems per percentile",
    expensive=True,
    stochastic=True,
    needs=("explain_again",),
)
def arcc(
    net: SplitModel,
    batch: Samples,
    run: Run,
    mask_space: MaskSpace = "normalized",
    removal: Removal = _COARSE,
    road_term: Annotated[
        Literal["clipped", "shifted"],
        Parameter("how ROAD becomes a share: 2 · ROAD cut to [0, 1] (clipped) or (1 + ROAD) / 2 (shifted)"),
    ] = "clipped",
) -> Scores:
    """ADCC with ROAD in place of average drop; "shifted" is the form of an earlier notebook.

    Extras: `coherency`, `complexity`, `road`.
    """
    alike, covered = coherencies(batch, run, mask_space), complexities(batch)
    imputed = combined(net, batch, run, removal)
    faithful = 2 * imputed.values if road_term == "clipped" else (1 + imputed.values) / 2
    parts = {
        "coherency": list(alike.numpy()),
        "complexity": list(covered.numpy()),
        "road": list(imputed.values.numpy()),
    }
    return Scores(harmonic_mean(alike, 1 - covered, faithful.clamp(0, 1)), parts)
