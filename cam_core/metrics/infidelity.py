"""Infidelity: does the map predict what the class loses with a part of the image?"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from cam_core.declarations.parameters import MaskSpace, Parameter
from cam_core.masked import image_rows
from cam_core.metrics.base import Scores, Values, metric
from cam_core.metrics.samples import Samples
from cam_core.metrics.scoring import Score, picture_scores
from cam_core.models.split.model import SplitModel
from cam_core.run import Run


@metric(
    "infidelity",
    title="Infidelity",
    plain="Error when the map foretells the loss of a square of the image",
    direction="lower",
    range=(0, float("inf")),
    source="Yeh et al. 2019, arXiv:1901.09392, definition 2.1 with square removal, and the optimal scale of its "
    "section 2.2",
    formula="mean over squares Q of (β Σ_Q S − (f(x) − f(x without Q)))², β = the best factor",
    edge_cases="β = 0 for a map of zeros: what remains is the mean squared change of the score.",
    cost="one pass per square",
    expensive=True,
    stochastic=True,
)
def infidelity(
    net: SplitModel,
    batch: Samples,
    run: Run,
    samples: Annotated[int, Parameter("squares that are removed, one at a time", low=1, high=10_000)] = 100,
    side: Annotated[
        float, Parameter("side of a square as a share of the image's shorter side", low=0.01, high=1)
    ] = 0.25,
    mask_space: MaskSpace = "normalized",
    score: Score = "probability",
) -> Scores:
    """How badly the map's sum over a square predicts what the class loses when the square goes.

    A saliency map has no unit, hence the best factor. Extras: `sums` Σ_Q S and `drops` of the score, one per square.
    """
    run.expect(len(batch) * samples)
    before = batch.score(score)
    squares = _squares(batch.size, samples, side, run)
    values: list[Tensor] = []
    extras: dict[str, list[Values]] = {"sums": [], "drops": []}
    for index, image in enumerate(batch.images):
        after = _without(net, image, squares, batch.target[index], run, mask_space, score)
        sums = (squares * batch.saliency[index]).sum((1, 2))
        drops = before[index] - after
        energy = float(sums @ sums)
        scale = float(sums @ drops) / energy if energy > 0 else 0.0
        values.append(((scale * sums - drops) ** 2).mean())
        extras["sums"].append(sums.numpy())
        extras["drops"].append(drops.numpy())
    return Scores(torch.stack(values), extras)


def _squares(size: tuple[int, int], samples: int, side: float, run: Run) -> Tensor:
    """(samples, H, W) float64: 1 on a square, evenly placed at random within the image."""
    height, width = size
    length = max(1, round(side * min(size)))
    draws = torch.rand(samples, 2, generator=run.generator(), dtype=torch.float64)
    top = (draws[:, 0] * (height - length + 1)).long()[:, None]
    left = (draws[:, 1] * (width - length + 1)).long()[:, None]
    down, across = torch.arange(height), torch.arange(width)
    rows, columns = (top <= down) & (down < top + length), (left <= across) & (across < left + length)
    return (rows[:, :, None] & columns[:, None, :]).double()


def _without(
    net: SplitModel, image: Tensor, squares: Tensor, target: Tensor, run: Run, mask_space: str, score: str
) -> Tensor:
    fill = run.fill(mask_space, image)

    def pictures(start: int, stop: int) -> Tensor:
        removed = squares[start:stop, None].to(image) > 0
        return torch.where(removed, fill, image)

    classes = target.expand(len(squares))
    return picture_scores(net, pictures, classes, image_rows(net, image[None]), score=score, advance=run.advance)
