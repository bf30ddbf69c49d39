"""Any image classifier of timm by name, with the weights, the preprocessing and the stages that timm states."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import Any, Final

import timm
import torch
from huggingface_hub import constants, try_to_load_from_cache
from timm.data import resolve_data_config
from torch import nn

from cam_core.images import Preprocessing
from cam_core.models.split.layers import select_layers
from cam_core.models.zoo.architecture import Architecture, plain_labels
from cam_core.models.zoo.downloads import missing_weights, reachable, reason_of
from cam_core.models.zoo.random_weights import PrivateRandomness
from cam_core.models.zoo.weights import StateDict
from cam_core.types import ModelError, WeightsError

PREFIX: Final = "timm:"
_FILES: Final = ("model.safetensors", "pytorch_model.bin")  # as the hub stores timm's weights, by preference
_lock = threading.Lock()


def timm_architecture(name: str) -> Architecture:
    """The network that timm knows as `name`, which may end in ".tag" for one of several official weights.

    Raises:
        ModelError: not a classifier of colour images, or one with neither feature maps nor tokens on a grid.
    """
    settings = official_settings(name)
    classes = int(settings.get("num_classes", 1000))
    if not classes:
        raise ModelError(
            f"{name} returns features, not class scores: timm's weights of it have no classifier. With one that you "
            "trained on top, the module itself can be explained: Classifier(module)"
        )
    outline = _outline(name)
    preprocessing = _preprocessing(name, settings)
    stages = [stage["module"] for stage in getattr(outline, "feature_info", ())]
    shapes, default = select_layers(outline, preprocessing.input_size, stages)
    return Architecture(
        name=f"{PREFIX}{name}",
        build=lambda classes: _build(name, classes),
        classes=classes,
        official=lambda _module, _progress: _official(name, settings),
        preprocessing=preprocessing,
        layers=plain_labels(shapes, preprocessing.input_size, default),
        default_layer=default,
    )


def official_settings(name: str) -> dict[str, Any]:
    """What timm states of the official weights of that name; nothing where it has none.

    Raises:
        ModelError: the name ends in a tag that timm does not know.
    """
    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        architecture, _, tag = name.partition(".")
        raise ModelError(f"timm has no weights {tag!r} of {architecture}") from error
    return {} if config is None else config.to_dict()


def _build(name: str, classes: int) -> nn.Module:
    module: nn.Module = timm.create_model(name, pretrained=False, num_classes=classes)
    return module


def _outline(name: str) -> nn.Module:
    """The network without weights, on the meta device: to look at its layers takes neither memory nor arithmetic."""
    with torch.device("meta"), PrivateRandomness(seed=None):
        module: nn.Module = timm.create_model(name, pretrained=False)
    return module


def _preprocessing(name: str, settings: dict[str, Any]) -> Preprocessing:
    data = resolve_data_config(args={}, pretrained_cfg=settings)
    channels, height, width = data["input_size"]
    if channels != 3:
        raise ModelError(
            f"{name} takes images of {channels} channels; only colour images (3 channels) can be explained"
        )
    return Preprocessing(
        input_size=(height, width),
        resize=math.floor(min(height, width) / data["crop_pct"]),
        interpolation="bicubic" if data["interpolation"] == "bicubic" else "bilinear",
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
    )


def _official(name: str, settings: dict[str, Any]) -> StateDict:
    """The weights that timm itself loads for `name`."""
    repository = settings.get("hf_hub_id")
    if not repository and not settings.get("url"):
        raise WeightsError(f"timm has no official weights for {name}; give a file's path, or take random weights")
    with _lock:  # not to fetch the same file twice
        try:
            if repository and not is_cached(repository):
                reachable(constants.ENDPOINT)  # asks once; the hub's own client tries for most of a minute
            with PrivateRandomness(seed=None):
                state: StateDict = timm.create_model(name, pretrained=True).state_dict()
        except (OSError, RuntimeError) as error:
            raise _missing(name, settings, error) from error
    return state


def is_cached(repository: str) -> bool:
    """Whether weights of that repository of the hub are on this machine."""
    paths = (try_to_load_from_cache(repository, file) for file in _FILES)
    return any(isinstance(path, str) and Path(path).is_file() for path in paths)


def _missing(name: str, settings: dict[str, Any], reason: BaseException) -> WeightsError:
    repository = settings.get("hf_hub_id")
    url = f"{constants.ENDPOINT}/{repository}/resolve/main/{_FILES[0]}" if repository else settings["url"]
    return missing_weights(
        f"timm's weights for {name} are not on this machine and could not be downloaded: {reason_of(reason)}",
        f"Download {url} elsewhere and give the file's path as the weights, or take random weights",
    )
