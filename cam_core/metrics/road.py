"""ROAD: remove pixels so that no outline of the removed part remains, then ask the network.

A pixel that is merely blanked out leaves the shape of the mask behind, and the shape itself can speak for a class.
Noisy linear imputation replaces a removed pixel by a weighted mean of its neighbours, removed ones among them: see
`cam_core.metrics.imputation`. Of an image in a letterbox the photo's pixels go and count, never its padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from cam_core.declarations.parameters import Parameter
from cam_core.masked import image_rows
from cam_core.metrics.base import Scores, metric
from cam_core.metrics.imputation import imputed
from cam_core.metrics.samples import Samples
from cam_core.metrics.scoring import Score, picture_scores
from cam_core.models.devices import double
from cam_core.models.split.model import SplitModel
from cam_core.run import Run

_EDGE_CASES = "Exactly as many pixels go as the percentile says, ties by place. Any range where the score is the logit."


@dataclass(frozen=True)
class Removal:
    """The way in which pixels are removed, and the score of the image before and after."""

    spacing: Annotated[
        int, Parameter("per cent between two percentiles: 10 stands for 10, 20, …, 90", low=1, high=50)
    ] = 10
    noise: Annotated[
        float, Parameter("standard deviation of the noise on imputed pixels, in the normalised input", low=0, high=1)
    ] = 0.01
    score: Score = "probability"


def percentiles(spacing: int) -> list[int]:
    """10 → [10, 20, …, 90]."""
    return list(range(spacing, 100, spacing))


def removal_masks(saliency: Tensor, spacing: int, most_relevant_first: bool) -> list[Tensor]:
    """The pixels that are removed at each percentile, by their place in a map (H, W).

    Percentile p keeps the share p of the pixels and removes the rest: the most salient ones, or the least. Exactly so
    many, ties going by place from the top left. PyPI grad-cam thresholds the map instead, and removes all of a flat
    region or none of it; where no two pixels are equal the two agree.
    """
    flat = saliency.flatten()
    order = flat.argsort(descending=most_relevant_first, stable=True)
    masks = []
    for percentile in percentiles(spacing):
        kept = -(-percentile * (len(flat) - 1) // 100)
        removed = torch.zeros(len(flat), dtype=torch.bool)
        removed[order[: len(flat) - kept]] = True
        masks.append(removed.view(saliency.shape))
    return masks


def _changes(net: SplitModel, batch: Samples, run: Run, removal: Removal, orders: Sequence[bool]) -> Tensor:
    """(B, orders, percentiles) float64: the change of the score when pixels are removed and imputed.

    Each order is scored once, however many metrics ask for it.
    """
    keys = {order: (net.halves, removal, run.seed, order) for order in orders}
    missing = [order for order, key in keys.items() if key not in batch.known]
    if missing:
        computed = _computed_changes(net, batch, run, removal, missing)
        batch.known.update({keys[order]: computed[:, place] for place, order in enumerate(missing)})
    return torch.stack([batch.known[key] for key in keys.values()], dim=1)


def _computed_changes(net: SplitModel, batch: Samples, run: Run, removal: Removal, orders: Sequence[bool]) -> Tensor:
    steps = len(percentiles(removal.spacing))
    run.expect(len(batch) * len(orders) * steps)
    before = batch.score(removal.score)
    changes = []
    for index, target in enumerate(batch.target):
        by_order = [removal_masks(batch.planes[index], removal.spacing, first) for first in orders]
        # The orders' masks of one percentile side by side: they have the same noise.
        masks = torch.stack([mask for masks in zip(*by_order, strict=True) for mask in masks])
        after = _after_removal(net, batch, index, masks, len(orders), target, run, removal)
        changes.append((after - before[index]).view(steps, len(orders)).T)
    return torch.stack(changes)


def _after_removal(
    net: SplitModel, batch: Samples, index: int, masks: Tensor, orders: int, target: Tensor, run: Run, removal: Removal
) -> Tensor:
    """(N,) float64: the score of one image with the pixels of each mask (N, h, w) imputed, and noise on them.

    Those of its photo: padding stays as it is, and is nobody's neighbour.
    """
    photo = batch.photo(index)
    exact = double(photo).cpu()

    def noise(start: int, stop: int) -> Tensor:
        steps = range(start // orders, (stop - 1) // orders + 1)
        draws = {step: torch.randn(photo.shape, generator=run.generator(step), dtype=torch.float64) for step in steps}
        return torch.stack([draws[place // orders] for place in range(start, stop)])

    def pictures(start: int, stop: int) -> Tensor:
        removed = masks[start:stop]
        filled = imputed(exact, removed) + removal.noise * noise(start, stop) * removed[:, None]
        return batch.padded(index, filled.to(photo))

    # Imputing takes about as long as scoring: short batches, for the progress to move.
    rows = image_rows(net, batch.images[index, None]).at_most(4)
    classes = target.expand(len(masks))
    return picture_scores(net, pictures, classes, rows, score=removal.score, advance=run.advance)


def combined(net: SplitModel, batch: Samples, run: Run, removal: Removal) -> Scores:
    """Half the difference between the score's change without the least salient pixels and without the most salient.

    Extras: `morf` and `lerf`, the changes by percentile.
    """
    changes = _changes(net, batch, run, removal, (True, False))
    morf, lerf = changes[:, 0], changes[:, 1]
    return Scores((lerf - morf).mean(1) / 2, {"morf": list(morf.numpy()), "lerf": list(lerf.numpy())})


@metric(
    "road",
    title="ROAD combined",
    plain="How much more it hurts to lose the marked pixels than the others",
    direction="higher",
    range=(-0.5, 0.5),
    source="Rong et al. 2022, arXiv:2202.00449; combined as in PyPI grad-cam",
    formula="mean over percentiles of (change when the least salient go − change when the most salient go) / 2",
    edge_cases=_EDGE_CASES,
    cost="two passes and two sparse linear systems per percentile",
    expensive=True,
    stochastic=True,
)
def road(net: SplitModel, batch: Samples, run: Run, removal: Removal) -> Scores:
    """How much less the class suffers from losing what the map calls irrelevant. Extras: `morf` and `lerf` changes."""
    return combined(net, batch, run, removal)


@metric(
    "road-morf",
    title="ROAD, most relevant first",
    plain="Change of the probability when the most marked pixels go",
    direction="lower",
    range=(-1, 1),
    source="Rong et al. 2022, arXiv:2202.00449, section 4",
    formula="mean over percentiles of score(most salient pixels imputed) − score(x)",
    edge_cases=_EDGE_CASES,
    cost="one pass and one sparse linear system per percentile",
    expensive=True,
    stochastic=True,
)
def road_morf(net: SplitModel, batch: Samples, run: Run, removal: Removal) -> Scores:
    """How far the score falls when the most salient pixels go. Extra: `changes` by percentile."""
    changes = _changes(net, batch, run, removal, (True,))[:, 0]
    return Scores(changes.mean(1), {"changes": list(changes.numpy())})


@metric(
    "road-lerf",
    title="ROAD, least relevant first",
    plain="Change of the probability when the least marked pixels go",
    direction="higher",
    range=(-1, 1),
    source="Rong et al. 2022, arXiv:2202.00449, section 4",
    formula="mean over percentiles of score(least salient pixels imputed) − score(x)",
    edge_cases=_EDGE_CASES,
    cost="one pass and one sparse linear system per percentile",
    expensive=True,
    stochastic=True,
)
def road_lerf(net: SplitModel, batch: Samples, run: Run, removal: Removal) -> Scores:
    """How little the score falls when the least salient pixels go. Extra: `changes` by percentile."""
    changes = _changes(net, batch, run, removal, (False,))[:, 0]
    return Scores(changes.mean(1), {"changes": list(changes.numpy())})
