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
    return torch.stack([_gini(plane.flatten()) for plane in batch.planes])


def _gini(values: Tensor) -> Tensor:
    count = len(values)
    weights = 2 * torch.arange(1, count + 1, dtype=torch.float64) - count - 1
    total = values.sum()
    gini = (values.sort().values * weights).sum() / (count * torch.where(total == 0, 1.0, total))
    return gini.clamp(min=0)
