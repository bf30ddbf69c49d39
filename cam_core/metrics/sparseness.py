"""Sparseness: is the salience gathered on few pixels?"""

from __future__ import annotations

import torch
from torch import Tensor

from cam_core.metrics.base import metric
from cam_core.metrics.samples import Samples
from cam_core.models.split.model import SplitModel
from cam_core.run import Run


@metric(
    "sparseness",
    title="Sparseness (Gini)",
    plain="How unevenly the marking is spread, 0 evenly",
    direction="higher",
    range=(0, 1),
    source="Chalasani et al. 2020, arXiv:1810.06583, section 3; Hurley & Rickard 2009",
    formula="Σ_i (2i − n − 1) S_i / (n Σ S), S sorted ascending",
    edge_cases="0 for a constant map, also one of zeros.",
    cost="none",
    uses_network=False,
)
def sparseness(net: SplitModel, batch: Samples, run: Run) -> Tensor:
    """How unevenly the salience is spread over the pixels: 0 evenly, near 1 all on one."""
    ordered = batch.saliency.flatten(1).sort(dim=1).values
    count = ordered.shape[1]
    weights = 2 * torch.arange(1, count + 1, dtype=torch.float64) - count - 1
    total = ordered.sum(1)
    nothing = total == 0
    gini = (ordered * weights).sum(1) / (count * torch.where(nothing, torch.ones_like(total), total))
    return gini.clamp(min=0)
