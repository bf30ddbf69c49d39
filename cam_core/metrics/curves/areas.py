"""Deletion and insertion as metrics: the area under the whole curve."""

from __future__ import annotations

import torch
from torch import Tensor

from cam_core.masked import image_rows
from cam_core.metrics.base import Scores, metric
from cam_core.metrics.curves.perturbation import DEFAULTS, Perturbation, Settings, padded_baseline
from cam_core.metrics.samples import Samples
from cam_core.metrics.scoring import picture_scores
from cam_core.models.split.model import SplitModel
from cam_core.run import Run


def _areas(net: SplitModel, batch: Samples, run: Run, settings: Settings) -> Scores:
    """The area under each sample's curve; extras: `fractions` and `curve`."""
    ways = [
        Perturbation(image, saliency, padded_baseline(image, settings, run, picture), settings, picture)
        for image, saliency, picture in zip(batch.images, batch.saliency, batch.pictures, strict=True)
    ]
    run.expect(sum(len(way.counts) - 1 for way in ways))
    untouched = batch.score(settings.score)
    curves = [_whole(net, *arguments, run) for arguments in zip(ways, batch.target, untouched, strict=True)]
    fractions = [way.fractions for way in ways]
    areas = torch.stack([torch.trapezoid(*line) for line in zip(curves, fractions, strict=True)])
    return Scores(areas, {"fractions": [f.numpy() for f in fractions], "curve": [c.numpy() for c in curves]})


def _whole(net: SplitModel, way: Perturbation, target: Tensor, untouched: Tensor, run: Run) -> Tensor:
    """(n + 1,) float64: all points of one curve, the untouched image's score being known."""
    deletes = way.settings.kind == "deletion"
    counts = way.counts[1:] if deletes else way.counts[:-1]
    computed = picture_scores(
        net,
        lambda start, stop: way.pictures(counts[start:stop]),
        target.expand(len(counts)),
        image_rows(net, way.picture(0)[None]),
        score=way.settings.score,
        advance=run.advance,
    )
    return torch.cat([untouched[None], computed] if deletes else [computed, untouched[None]])


@metric(
    "deletion-auc",
    title="Deletion AUC",
    plain="How slowly the class goes when its pixels are taken away",
    direction="lower",
    range=(0, 1),
    source="Petsiuk et al. 2018 (RISE), arXiv:1806.07421, section 4.1",
    formula="area under p(class) against the share of pixels removed, most salient first (trapezoid)",
    edge_cases="Equal pixels go from the top left to the bottom right. Any range where the score is the logit.",
    cost="one pass per step",
    expensive=True,
)
def deletion_auc(net: SplitModel, batch: Samples, run: Run, settings: Settings = DEFAULTS["deletion"]) -> Scores:
    """How fast the class's score falls when pixels are taken away. Not renormalised by p(class) on the whole image."""
    return _areas(net, batch, run, settings)


@metric(
    "insertion-auc",
    title="Insertion AUC",
    plain="How fast the class comes back when its pixels are shown",
    direction="higher",
    range=(0, 1),
    source="Petsiuk et al. 2018 (RISE), arXiv:1806.07421, section 4.1",
    formula="area under p(class) against the share of pixels shown, most salient first (trapezoid)",
    edge_cases="Equal pixels come from the top left to the bottom right. Any range where the score is the logit.",
    cost="one pass per step",
    expensive=True,
)
def insertion_auc(net: SplitModel, batch: Samples, run: Run, settings: Settings = DEFAULTS["insertion"]) -> Scores:
    """How fast the class's score rises when pixels of the image are put onto its blurred self."""
    return _areas(net, batch, run, settings)
