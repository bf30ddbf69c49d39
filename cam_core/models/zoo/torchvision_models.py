"""The classifiers of torchvision: as its weights want them built, and where those come from."""

from __future__ import annotations

import torchvision
from torch import nn

from cam_core.images import Preprocessing
from cam_core.models.split.layers import select_layers
from cam_core.models.zoo.architecture import Architecture, plain_labels
from cam_core.models.zoo.downloads import cached_download
from cam_core.models.zoo.labels import IMAGENET_CLASSES
from cam_core.models.zoo.random_weights import PrivateRandomness
from cam_core.models.zoo.weights import StateDict, read_state_dict
from cam_core.types import Progress


def build_torchvision(name: str, classes: int) -> nn.Module:
    """A classifier by its name in torchvision, without weights."""
    # These two as torchvision builds them for its weights: undoing the common normalisation for one of their own, and
    # without the heads that only training uses.
    pretrained_form = {"init_weights": False, "aux_logits": False, "transform_input": True}
    options = pretrained_form if name in ("googlenet", "inception_v3") else {}
    module: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=classes, **options)
    return module


def torchvision_weights(name: str, weights: str, progress: Progress | None) -> StateDict:
    """The weights of that name, downloaded where they are not in the cache."""
    return read_state_dict(cached_download(torchvision.models.get_model_weights(name)[weights].url, progress))


def torchvision_architecture(name: str) -> Architecture:
    """A classifier that the catalogue does not have, with its newest weights; layers found by looking at it."""
    weights = torchvision.models.get_model_weights(name).DEFAULT
    preset = weights.transforms()
    preprocessing = Preprocessing(
        input_size=(preset.crop_size[0], preset.crop_size[0]),
        resize=preset.resize_size[0],
        interpolation=preset.interpolation.value,
        mean=tuple(preset.mean),
        std=tuple(preset.std),
    )
    with PrivateRandomness(seed=None):
        shapes, default = select_layers(build_torchvision(name, IMAGENET_CLASSES), preprocessing.input_size, ())
    return Architecture(
        name=name,
        build=lambda classes: build_torchvision(name, classes),
        classes=IMAGENET_CLASSES,
        official=lambda _module, progress: torchvision_weights(name, weights.name, progress),
        preprocessing=preprocessing,
        layers=plain_labels(shapes, preprocessing.input_size, default),
        default_layer=default,
    )
