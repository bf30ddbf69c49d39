"""Networks by name: `load_model`, over the catalogue, timm and a user's own weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from cam_core.models.brought.answers import as_they_are
from cam_core.models.brought.folder import is_folder, open_folder
from cam_core.models.brought.onnx_file import is_onnx, open_onnx
from cam_core.models.classifier import Classifier
from cam_core.models.devices import resolve_device
from cam_core.models.origin import Origin, absolute
from cam_core.models.trainable.trained import TrainedNetwork, digit_networks, find_trained, is_checkpoint
from cam_core.models.zoo.architecture import Architecture
from cam_core.models.zoo.catalog import CATALOG, CatalogEntry
from cam_core.models.zoo.find import find_architecture
from cam_core.models.zoo.labels import labels_for
from cam_core.models.zoo.random_weights import PrivateRandomness, calibrate
from cam_core.models.zoo.weights import count_classes, fitting, load_weights, read_state_dict
from cam_core.types import ModelError, Progress

__all__ = ["CATALOG", "CatalogEntry", "classes_of", "find_network", "is_whole", "load_model", "named_networks"]


def named_networks() -> dict[str, CatalogEntry | TrainedNetwork]:
    """All networks by name: the catalogue, then the trained networks that come along, as far as they are here."""
    return {**CATALOG, **digit_networks()}


def find_network(name: str) -> Architecture:
    """The architecture that a name means, not yet built: the network's construction, its weights' source, its layers.

    Args:
        name: as `load_model` takes it.
    Raises:
        ModelError: unknown network, or one with neither feature maps nor tokens on a grid.
    """
    return find_trained(name).architecture() if is_checkpoint(name) else find_architecture(name)


def load_model(
    name: str = "efficientnet_lite0",
    weights: str | Path = "default",
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
    labels: Sequence[str] | None = None,
) -> Classifier:
    """A classifier ready to be explained. May be called from several threads.

    Args:
        name: a key of `CATALOG`; "timm:NAME", or NAME alone, for any classifier of timm; the name of a
            torchvision classifier; "lfi_digits", "baseline_digits", "abn_digits" or "vit_digits", the trained networks
            that come along; the path of a checkpoint (`.safetensors`) with its card beside it; that of a folder as
            transformers saves an image classifier (see `cam_core.models.brought.folder`); or that of an ONNX file (see
            `cam_core.models.brought.onnx_file`).
        weights: "default" for the official ImageNet weights (bundled, or downloaded at first use into torch's cache);
            "random" for seeded ones with activations of order one; or the path of a `.safetensors` file or a state dict
            (`.pt`, `.pth`), whose number of classes may differ.
        seed: of random weights: the same seed gives the same weights. Torch's global random state is left alone.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        progress: of a download of torchvision's weights, in bytes; may raise `Cancelled`.
        labels: one name per class, for weights of one's own; where omitted, those of the official weights if there are
            as many classes, "class 0" … otherwise. Of weights that give one score the name of what it speaks for.
    Raises:
        ModelError: unknown network, one with neither feature maps nor tokens on a grid, or labels of another number
            than its classes.
        WeightsError: weights that cannot be had, do not fit, are not finite, or come with code.
        DeviceError: no such device.
    Examples:
        >>> from cam_core import load_model
        >>> clf = load_model("efficientnet_lite0")
        >>> clf.input_size, clf.default_layer, len(clf.labels)
        ((224, 224), 'bn2', 1000)

        An untrained network, always the same one:

        >>> load_model("shufflenet_v2_x1_0", weights="random", seed=3).name
        'shufflenet_v2_x1_0 (random weights, seed 3)'
    """
    where = resolve_device(device)
    if is_whole(name):
        clf = _opened(Path(name).expanduser(), weights, labels, where)
    else:
        clf = _named(name, weights, seed, where, progress, labels)
    clf.origin = Origin(
        name=absolute(name) if is_whole(name) or is_checkpoint(name) else name,
        weights=str(weights) if weights in ("default", "random") else absolute(weights),
        seed=seed,
        labels=None if labels is None else tuple(labels),
    )
    return clf


def _named(
    name: str,
    weights: str | Path,
    seed: int,
    device: str | torch.device,
    progress: Progress | None,
    labels: Sequence[str] | None,
) -> Classifier:
    architecture = find_network(name)
    module, classes = _with_weights(architecture, weights, seed, progress)
    if labels is not None and len(labels) != classes:
        raise ModelError(f"{architecture.name} has {classes} classes here, and {len(labels)} labels were given")
    return Classifier(
        module.eval(),
        name=_full_name(architecture, weights, seed),
        labels=labels or _own_labels(architecture, classes),
        preprocessing=architecture.preprocessing,
        layers=architecture.layers,
        default_layer=architecture.default_layer,
        device=device,
        trained=weights != "random",
        logits=None if classes == 1 else as_they_are,  # one score has two sides, which are found
    )


def is_whole(name: str) -> bool:
    """Whether a network's name is the path of a folder or a file that holds network and weights."""
    return is_onnx(name) or is_folder(name)


def _opened(path: Path, weights: str | Path, labels: Sequence[str] | None, device: str | torch.device) -> Classifier:
    if weights != "default":
        raise ModelError(f"the weights of {path} are those in it: weights={str(weights)!r} cannot take their place")
    module, preprocessing = open_onnx(path) if is_onnx(path.name) else open_folder(path)
    clf = Classifier(module, labels, name=path.resolve().name, preprocessing=preprocessing, device=device)
    if labels is not None and len(labels) != clf.classes and not (clf.two_sided and len(labels) == 1):
        raise ModelError(f"{clf.name} has {clf.classes} classes here, and {len(labels)} labels were given")
    return clf


def _own_labels(architecture: Architecture, classes: int) -> Sequence[str] | None:
    if classes == 1:
        return None
    return architecture.labels if len(architecture.labels) == classes else labels_for(classes)


def _with_weights(
    architecture: Architecture, weights: str | Path, seed: int, progress: Progress | None
) -> tuple[nn.Module, int]:
    if weights == "random":
        with PrivateRandomness(seed):
            module = architecture.build(architecture.classes)
        calibrate(module, architecture.preprocessing.input_size, seed)
        return module, architecture.classes
    if weights == "default":
        module = _unfilled(architecture, architecture.classes)
        official = architecture.official(module, progress)
        load_weights(module, official, f"the official weights of {architecture.name}", architecture.auxiliary)
        return module, architecture.classes
    return _with_own_weights(architecture, read_state_dict(weights), Path(weights).name)


def classes_of(name: str, state: Mapping[str, Tensor], file: str) -> int:
    """How many classes `state` tells apart, which is said to be weights of a network; they are not loaded.

    Args:
        name: as `load_model` takes it.
        file: what messages call the weights.
    Raises:
        ModelError: unknown network, or one with neither feature maps nor tokens on a grid.
        WeightsError: the weights are not those of such a network, or not finite.
    """
    architecture = find_network(name)
    module, classes = _built_for(architecture, state)
    fitting(module, state, file, architecture.auxiliary)
    return classes


def _with_own_weights(architecture: Architecture, state: Mapping[str, Tensor], file: str) -> tuple[nn.Module, int]:
    module, classes = _built_for(architecture, state)
    load_weights(module, state, file, architecture.auxiliary)
    return module, classes


def _built_for(architecture: Architecture, state: Mapping[str, Tensor]) -> tuple[nn.Module, int]:
    """The network without weights, with as many classes as `state` has."""
    module = _unfilled(architecture, architecture.classes)
    classes = count_classes(state, module, architecture.classes)
    return (module if classes == architecture.classes else _unfilled(architecture, classes)), classes


def _unfilled(architecture: Architecture, classes: int) -> nn.Module:
    with PrivateRandomness(seed=None):
        return architecture.build(classes)


def _full_name(architecture: Architecture, weights: str | Path, seed: int) -> str:
    """The network's name in explanations: nobody shall take random weights for trained ones."""
    if weights == "default":
        return architecture.name
    return f"{architecture.name} ({f'random weights, seed {seed}' if weights == 'random' else Path(weights).name})"
