"""ROAD: remove pixels so that no outline of the removed part remains, then ask the network.

A pixel that is merely blanked out leaves the shape of the mask behind, and the shape itself can speak for a class.
Noisy linear imputation replaces a removed pixel by a weighted mean of its neighbours, removed ones among them: one
sparse linear system per image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from scipy.sparse.linalg import splu
from torch import Tensor

from cam_core.declarations.parameters import Parameter
from cam_core.masked import image_rows
from cam_core.metrics.base import Scores, Values, metric
from cam_core.metrics.samples import Samples
from cam_core.metrics.scoring import Score, picture_scores
from cam_core.models.devices import double
from cam_core.models.split.model import SplitModel
from cam_core.run import Run

Mask: TypeAlias = npt.NDArray[np.bool_]
Indices: TypeAlias = npt.NDArray[np.int64]

# Offsets (down, right) of the neighbours and their weights, from the authors' code; they sum to 1.
_NEIGHBOURS = tuple(
    ((down, right), 1 / 6 if down == 0 or right == 0 else 1 / 12)
    for down in (-1, 0, 1)
    for right in (-1, 0, 1)
    if (down, right) != (0, 0)
)
_OUTSIDE, _KNOWN = -2, -1

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


def impute(image: Values, removed: Mask) -> Values:
    """Fill the removed pixels of an image (C, H, W) with the weighted mean of their neighbours.

    Rong et al. 2022, arXiv:2202.00449, section 4.2: for every removed pixel, x_p Σ_n w_n = Σ_n w_n x_n over the eight
    neighbours n within the image.

    Args:
        removed: (H, W), true where the value is to be found; at least one pixel must be known.
    """
    matrix, known = _system(image, removed)
    # The matrix is symmetric and diagonally dominant: no pivoting, and an ordering made for symmetric ones.
    solver = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    filled = image.copy()
    filled[:, removed] = solver.solve(known).T
    return filled


def _system(image: Values, removed: Mask) -> tuple[sparse.csc_matrix, Values]:
    """The matrix (N, N) of the N removed pixels and the right-hand sides (N, C), from the known neighbours."""
    count = int(removed.sum())
    unknown = np.arange(count)
    numbers = np.full((removed.shape[0] + 2, removed.shape[1] + 2), _OUTSIDE)
    numbers[1:-1, 1:-1] = _KNOWN
    numbers[1:-1, 1:-1][removed] = unknown
    down, right = np.nonzero(removed)
    diagonal, known = np.zeros(count), np.zeros((count, len(image)))
    rows: list[Indices] = [unknown]
    columns: list[Indices] = [unknown]
    weights: list[Values] = []
    for (d, r), weight in _NEIGHBOURS:
        neighbour = numbers[down + 1 + d, right + 1 + r]
        diagonal += weight * (neighbour != _OUTSIDE)
        at = neighbour == _KNOWN
        known[at] += weight * image[:, down[at] + d, right[at] + r].T
        at = neighbour >= 0
        rows.append(unknown[at])
        columns.append(neighbour[at])
        weights.append(np.full(int(at.sum()), -weight))
    entries = np.concatenate([diagonal, *weights])
    return sparse.csc_matrix((entries, (np.concatenate(rows), np.concatenate(columns))), shape=(count, count)), known


def percentiles(spacing: int) -> list[int]:
    """10 → [10, 20, …, 90]."""
    return list(range(spacing, 100, spacing))


def removal_masks(saliency: Tensor, spacing: int, most_relevant_first: bool) -> list[Mask]:
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
        removed = np.zeros(len(flat), dtype=bool)
        removed[order[: len(flat) - kept].numpy()] = True
        masks.append(removed.reshape(saliency.shape))
    return masks


def _changes(net: SplitModel, batch: Samples, run: Run, removal: Removal, orders: Sequence[bool]) -> Tensor:
    """(B, orders, percentiles) float64: the change of the score when pixels are removed and imputed."""
    steps = len(percentiles(removal.spacing))
    run.expect(len(batch) * len(orders) * steps)
    before = batch.score(removal.score)
    changes = []
    for index, target in enumerate(batch.target):
        masks = [m for first in orders for m in removal_masks(batch.saliency[index], removal.spacing, first)]
        after = _after_removal(net, batch.images[index], masks, steps, target, run, removal)
        changes.append((after - before[index]).view(len(orders), steps))
    return torch.stack(changes)


def _after_removal(
    net: SplitModel,
    image: Tensor,
    masks: Sequence[Mask],
    steps: int,
    target: Tensor,
    run: Run,
    removal: Removal,
) -> Tensor:
    """(len(masks),) float64: the score of one image with each mask's pixels imputed; every `steps` the noise recurs."""
    exact = double(image).cpu().numpy()

    def picture(place: int) -> Tensor:
        draws = torch.randn(image.shape, generator=run.generator(place % steps), dtype=torch.float64).numpy()
        return torch.from_numpy(impute(exact, masks[place]) + removal.noise * draws * masks[place])

    def pictures(start: int, stop: int) -> Tensor:
        return torch.stack([picture(place) for place in range(start, stop)]).to(image)

    classes = target.expand(len(masks))
    # Imputing takes longer than scoring: short batches, for the progress to move.
    rows = image_rows(net, image[None]).at_most(4)
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
