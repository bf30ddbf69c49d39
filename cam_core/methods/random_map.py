"""Random: uniform noise. A method that no metric can tell from it says nothing."""

from __future__ import annotations

import torch

from cam_core.methods.registry import method, no_pass
from cam_core.models.split.model import SplitModel
from cam_core.run import Run
from cam_core.types import Activations, ClassIndex, Images, RawMap


@method(
    "random",
    title="Random (control)",
    plain="Noise: a method worth its name looks different.",
    family="Controls",
    paper="control",
    formula="map ~ uniform on [0, 1), independent at every position",
    cost="no pass beyond the prediction",
    planned=no_pass,
    fails="Always: it is the floor that other methods are measured against.",
    score="none",
    signed=False,
    class_specific=False,
    stochastic=True,
    control=True,
    claim="A metric on which noise does well measures nothing.",
)
def random_map(net: SplitModel, image: Images, acts: Activations, target: ClassIndex, run: Run) -> RawMap:
    """Uniform noise at the layer's resolution, the same for every sample of one seed: (B, h, w)."""
    draws = [torch.rand(acts.shape[2:], generator=run.generator(), dtype=torch.float64) for _ in acts]
    return torch.stack(draws).to(acts)
