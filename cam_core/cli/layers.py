"""`layers`: the layers of a network that can be explained."""

from __future__ import annotations

from typing import Annotated

import torch
import typer
from torch import nn

from cam_core.cli import options
from cam_core.cli.tables import print_table
from cam_core.models.brought.answers import as_they_are
from cam_core.models.classifier import Classifier
from cam_core.models.load import find_network, is_whole, load_model
from cam_core.models.zoo.architecture import Architecture
from cam_core.models.zoo.random_weights import PrivateRandomness
from cam_core.types import LayerInfo

_COLUMNS = ("layer", "channels", "height", "width", "place")
_NOTE = "Every other module that yields channels × height × width can be named too: see --all."


def layers(
    model: options.Model = options.DEFAULT_MODEL,
    every: Annotated[bool, typer.Option("--all", help="Every layer with a feature map, not the chosen few.")] = False,
) -> None:
    """List the layers of a network, from input to output, with their shapes."""
    rows = [
        (layer.name, layer.channels, layer.height, layer.width, _place(layer))
        for layer in _outline(model, every).layers
    ]
    print_table(_COLUMNS, rows, numeric=_COLUMNS[1:4], whole=("layer",), note="" if every else _NOTE)


def _outline(model: str, every: bool) -> Classifier:
    """The network without weights, on the meta device: its layers are known without a download or arithmetic.

    One that decides on tokens gets random weights: where a class token decides, gradients tell up to which layer.
    """
    if is_whole(model):
        return load_model(model, device="cpu")
    architecture = find_network(model)
    return Classifier(
        _without_weights(architecture).eval(),
        name=architecture.name,
        preprocessing=architecture.preprocessing,
        layers=None if every else architecture.layers,
        default_layer=architecture.default_layer,
        device="cpu",
        logits=as_they_are,
    )


def _without_weights(architecture: Architecture) -> nn.Module:
    try:
        if architecture.default_layer is None:
            with PrivateRandomness(seed=0):
                return architecture.build(architecture.classes)
        with torch.device("meta"), PrivateRandomness(seed=None):
            return architecture.build(architecture.classes)
    except NotImplementedError:  # torchvision's RegNets compute their widths with tensors, which have to have values
        with PrivateRandomness(seed=None):
            return architecture.build(architecture.classes).to("meta")


def _place(layer: LayerInfo) -> str:
    """The plain-language end of the label, and whether this is the layer explained where none is named."""
    _, _, *place = layer.label.split(" · ")
    return ", ".join([*place, *(["default"] if layer.default else [])])
