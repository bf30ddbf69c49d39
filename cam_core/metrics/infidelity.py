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

    A saliency map has no unit, hence the best factor. Squares lie within the photo, never over a letterbox's padding,
    and their side is a share of the photo's. Extras: `sums` Σ_Q S and `drops` of the score, one per square.
    """
    run.expect(len(batch) * samples)
    before = batch.score(score)
    values: list[Tensor] = []
    extras: dict[str, list[Values]] = {"sums": [], "drops": []}
    for index, plane in enumerate(batch.planes):
        squares = _squares((plane.shape[0], plane.shape[1]), samples, side, run)
        after = _without(net, batch, index, squares, run, mask_space, score)
        sums = (squares * plane).sum((1, 2))
        drops = before[index] - after
        energy = float(sums @ sums)
        scale = float(sums @ drops) / energy if energy > 0 else 0.0
        values.append(((scale * sums - drops) ** 2).mean())
        extras["sums"].append(sums.numpy())
        extras["drops"].append(drops.numpy())
    return Scores(torch.stack(values), extras)


def _squares(size: tuple[int, int], samples: int, side: float, run: Run) -> Tensor:
    """(samples, h, w) float64: 1 on a square, evenly placed at random within the photo."""
    height, width = size
    length = max(1, round(side * min(size)))
    draws = torch.rand(samples, 2, generator=run.generator(), dtype=torch.float64)
    top = (draws[:, 0] * (height - length + 1)).long()[:, None]
    left = (draws[:, 1] * (width - length + 1)).long()[:, None]
    down, across = torch.arange(height), torch.arange(width)
    rows, columns = (top <= down) & (down < top + length), (left <= across) & (across < left + length)
    return (rows[:, :, None] & columns[:, None, :]).double()


def _without(
    net: SplitModel, batch: Samples, index: int, squares: Tensor, run: Run, mask_space: str, score: str
) -> Tensor:
    photo = batch.photo(index)
    fill = run.fill(mask_space, photo)

    def pictures(start: int, stop: int) -> Tensor:
        removed = squares[start:stop, None].to(photo) > 0
        return batch.padded(index, torch.where(removed, fill, photo))

    classes, rows = batch.target[index].expand(len(squares)), image_rows(net, batch.images[index, None])
    return picture_scores(net, pictures, classes, rows, score=score, advance=run.advance)
