"""RefineCAM: the product of maps from several layers, so that coarse meaning gates fine detail."""

from __future__ import annotations

from functools import reduce
from typing import Annotated, Literal

import torch

from cam_core import maps
from cam_core.declarations.parameters import Parameter
from cam_core.methods.registry import METHODS, Planned, method
from cam_core.models.split.model import SplitModel
from cam_core.run import Run
from cam_core.types import Activations, ClassIndex, Images, Passes, RawMap


@method(
    "refine-cam",
    title="RefineCAM",
    plain="Multiplies the maps of several layers: bright is only where all of them are.",
    family="Gradients",
    paper="Domeniconi et al., “How to Evaluate and Refine your CAM”, 2026, arXiv:2605.14641",
    formula="map = Π over layers of n(up(ReLU(base map of the layer)))",
    cost="one forward and backward pass of the tail per layer",
    planned=lambda site, p: Planned(site.layers - 1, site.layers, Passes(0, site.layers)),
    fails="One layer that misses the object wipes it out of the product.",
    signed=False,
    multi_layer=True,
    claim="Fine detail without the noise of shallow layers.",
)
def refine_cam(
    net: tuple[SplitModel, ...],
    image: Images,
    acts: tuple[Activations, ...],
    target: ClassIndex,
    run: Run,
    base: Annotated[
        Literal["grad-cam++", "grad-cam", "layer-cam"], Parameter("the method whose maps are multiplied")
    ] = "grad-cam++",
) -> RawMap:
    """The product over layers of each layer's map, ReLU'd, upsampled to the largest layer and min-maxed.

    Args:
        net, acts: one entry per layer.
    Returns:
        (B, h, w) at the resolution of the largest layer, in [0, 1].
    """
    height, width = max((layer.shape[2], layer.shape[3]) for layer in acts)
    layers = []
    for half, layer_acts in zip(net, acts, strict=True):
        raw = METHODS[base].function(half, image, layer_acts, target, run)
        assert isinstance(raw, torch.Tensor)
        layer_map = maps.weighted_sum(raw, layer_acts) if raw.ndim == 2 else raw
        layers.append(maps.saliency(layer_map, (height, width)))
    return reduce(torch.mul, layers)
