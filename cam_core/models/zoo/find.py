"""From a network's name to its architecture: the catalogue's, timm's, or torchvision's."""

from __future__ import annotations

import difflib

import timm
import torchvision

from cam_core.models.zoo.architecture import Architecture
from cam_core.models.zoo.bundled import build_bundled, bundled_weights
from cam_core.models.zoo.catalog import CATALOG, CatalogEntry
from cam_core.models.zoo.labels import IMAGENET_CLASSES
from cam_core.models.zoo.timm_models import PREFIX, timm_architecture
from cam_core.models.zoo.torchvision_models import build_torchvision, torchvision_architecture, torchvision_weights
from cam_core.types import ModelError


def find_architecture(name: str) -> Architecture:
    """A network of the catalogue, else one of timm's ("timm:NAME", or NAME alone), else one of torchvision's.

    Raises:
        ModelError: no such network (near names are listed), or one with neither feature maps nor tokens on a grid.
    """
    if name in CATALOG:
        return _catalogued(CATALOG[name])
    if timm.is_model(name.removeprefix(PREFIX)):
        return timm_architecture(name.removeprefix(PREFIX))
    if name in torchvision.models.list_models(module=torchvision.models):
        return torchvision_architecture(name)
    names = dict.fromkeys([*CATALOG, *timm.list_models()])
    near = difflib.get_close_matches(name.removeprefix(PREFIX), names, n=3, cutoff=0.6)
    hint = f"did you mean {', '.join(near)}? " if near else ""
    raise ModelError(f"unknown model {name!r}; {hint}There are {', '.join(CATALOG)}, and those of timm by name")


def _catalogued(entry: CatalogEntry) -> Architecture:
    bundled = entry.source == "bundled"
    return Architecture(
        name=entry.key,
        build=build_bundled if bundled else lambda classes: build_torchvision(entry.key, classes),
        classes=IMAGENET_CLASSES,
        official=bundled_weights
        if bundled
        else lambda _module, progress: torchvision_weights(entry.key, entry.weights, progress),
        preprocessing=entry.preprocessing,
        layers=entry.layers,
        default_layer=entry.default_layer,
        auxiliary=entry.auxiliary,
    )
