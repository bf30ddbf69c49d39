"""Backbones of the trainable networks: images → feature maps A (B, K, h, w), without pooling or classifier.

Three kinds, by name: CIFAR-style ("resnet20", "densenet40"); ImageNet-style with a finer last map
("imagenet-resnet18"); and any network of the catalogue, cut behind its default layer ("resnet18").
"""

from __future__ import annotations

import re
from collections import OrderedDict
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Final

import torchvision
from torch import fx, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from cam_core.models.split.layers import inspect_layers
from cam_core.models.split.tracing import LayerTracer
from cam_core.models.zoo.architecture import Architecture
from cam_core.models.zoo.find import find_architecture
from cam_core.models.zoo.random_weights import PrivateRandomness
from cam_core.models.zoo.weights import load_weights
from cam_core.types import ModelError

_IMAGENET_DEPTHS: Final = (18, 34, 50, 101, 152)
_DEEPEST: Final = 1202  # of He et al. 2016; a card that asks for more is no honest one
_BOTTLENECK_FROM: Final = 44
_GROWTH: Final = 12


@dataclass(frozen=True)
class Backbone:
    """Feature maps and what the rest of a network needs to know of them.

    Attributes:
        features: (B, 3, H, W) → (B, K, h, w).
        channels: K.
        cifar: whether it is made for small images.
        stages: (module name within `features`, plain label) of the layers before the last.
        pretrained: whether it holds official weights, which must not be drawn anew.
    """

    features: nn.Module
    channels: int
    cifar: bool
    stages: tuple[tuple[str, str], ...] = ()
    pretrained: bool = False


def build_backbone(name: str, *, stem_stride: int = 1, pretrained: bool = False) -> Backbone:
    """A backbone by name; what it draws comes from whatever randomness is in force.

    Args:
        name: "resnetD" with depth D = 6n + 2 (bottleneck blocks from depth 44 on); "densenetD" with D = 6n + 4
            (growth 12, bottlenecks, compression ½); "imagenet-resnet18" … "imagenet-resnet152"; or a network of the
            catalogue, of timm or of torchvision. A name that is both, as "resnet50", is the catalogue's.
        stem_stride: of the first convolution; 2 quarters the work. Catalogue networks keep their own.
        pretrained: start from the official weights, for networks of the catalogue.
    Raises:
        ModelError: no such backbone, or an option that it does not have.
        WeightsError: the official weights cannot be had.
    """
    if stem_stride not in (1, 2, 4):
        raise ModelError(f"stem_stride={stem_stride!r} is not 1, 2 or 4")
    own = _own(name, stem_stride)
    if own is not None:
        if pretrained:
            raise ModelError(f"the backbone {name!r} has no official weights to start from")
        return own
    architecture = find_architecture(name)
    if stem_stride != 1:
        raise ModelError(f"the backbone {name!r} is a network of the catalogue: its first convolution keeps its stride")
    return _catalogued(architecture, pretrained)


def is_cifar_style(name: str) -> bool:
    """Whether `name` is one of the small networks for small images."""
    return _cifar_resnet_depth(name) is not None or _densenet_depth(name) is not None


def _own(name: str, stem_stride: int) -> Backbone | None:
    resnet_depth, densenet_depth = _cifar_resnet_depth(name), _densenet_depth(name)
    if resnet_depth is not None:
        return _cifar_resnet(resnet_depth, stem_stride)
    if densenet_depth is not None:
        return _cifar_densenet(densenet_depth, stem_stride)
    if name.startswith("imagenet-"):
        return _imagenet_resnet(name, stem_stride)
    return None


def _cifar_resnet_depth(name: str) -> int | None:
    match = re.fullmatch(r"resnet([1-9]\d{0,3})", name)
    depth = int(match.group(1)) if match else 0
    fits = depth >= 8 and depth % 6 == 2 and depth <= _DEEPEST
    return depth if fits and depth not in _IMAGENET_DEPTHS else None


def _densenet_depth(name: str) -> int | None:
    match = re.fullmatch(r"densenet([1-9]\d{0,3})", name)
    depth = int(match.group(1)) if match else 0
    return depth if depth >= 10 and depth % 6 == 4 and depth <= _DEEPEST else None


def _cifar_resnet(depth: int, stem_stride: int) -> Backbone:
    """He et al. 2016, section 4.2: 16, 32, 64 planes at full, half and quarter resolution of the stem's."""
    block = Bottleneck if depth >= _BOTTLENECK_FROM else BasicBlock
    blocks = (depth - 2) // 6
    stem = nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=stem_stride, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)
    )
    stages: OrderedDict[str, nn.Module] = OrderedDict(stem=stem)
    width = 16
    for index, planes in enumerate((16, 32, 64)):
        stages[f"layer{index + 1}"] = _stage(block, width, planes, blocks, stride=1 if index == 0 else 2)
        width = planes * block.expansion
    labels = (("stem", "stem"), ("layer1", "stage 1"), ("layer2", "stage 2"))
    return Backbone(nn.Sequential(stages), width, cifar=True, stages=labels)


def _stage(block: type[BasicBlock | Bottleneck], width: int, planes: int, blocks: int, stride: int) -> nn.Sequential:
    """`blocks` residual blocks, of which the first changes width and resolution."""
    out = planes * block.expansion
    shortcut = None
    if stride != 1 or width != out:
        shortcut = nn.Sequential(nn.Conv2d(width, out, 1, stride=stride, bias=False), nn.BatchNorm2d(out))
    later = [block(out, planes) for _ in range(blocks - 1)]
    return nn.Sequential(block(width, planes, stride, shortcut), *later)


def _cifar_densenet(depth: int, stem_stride: int) -> Backbone:
    """DenseNet-BC (Huang et al. 2017) for small images: three dense blocks behind one 3 × 3 convolution.

    The last batch norm and ReLU belong to the features here, so that A is not negative, as it is in a ResNet.
    """
    blocks = (depth - 4) // 6
    network = torchvision.models.DenseNet(_GROWTH, (blocks, blocks, blocks), 2 * _GROWTH, num_classes=1)
    features = network.features
    features.conv0 = nn.Conv2d(3, 2 * _GROWTH, 3, stride=stem_stride, padding=1, bias=False)
    for part in ("norm0", "relu0", "pool0"):  # they follow the stem for large images
        delattr(features, part)
    features.add_module("relu5", nn.ReLU(inplace=True))
    labels = (("conv0", "stem"), ("denseblock1", "dense block 1"), ("denseblock2", "dense block 2"))
    return Backbone(features, network.classifier.in_features, cifar=True, stages=labels)


def _imagenet_resnet(name: str, stem_stride: int) -> Backbone:
    """torchvision's ResNet whose 7 × 7 stem moves by one pixel: 224 px end in 14 × 14 positions instead of 7 × 7."""
    known = [f"imagenet-resnet{depth}" for depth in _IMAGENET_DEPTHS]
    if name not in known:
        raise ModelError(f"unknown backbone {name!r}; of this kind there are {', '.join(known)}")
    network = torchvision.models.get_model(name.removeprefix("imagenet-"), weights=None)
    assert isinstance(network, torchvision.models.ResNet)
    network.conv1.stride = (stem_stride, stem_stride)
    parts = OrderedDict((part, module) for part, module in network.named_children() if part not in ("avgpool", "fc"))
    labels = (("relu", "stem"), ("layer1", "stage 1"), ("layer2", "stage 2"), ("layer3", "stage 3"))
    return Backbone(nn.Sequential(parts), network.fc.in_features, cifar=False, stages=labels)


def _catalogued(architecture: Architecture, pretrained: bool) -> Backbone:
    with PrivateRandomness(seed=None) if pretrained else nullcontext():
        module = architecture.build(architecture.classes)
    if pretrained:
        what = f"the official weights of {architecture.name}"
        load_weights(module, architecture.official(module, None), what, architecture.auxiliary)
    layer = architecture.default_layer
    if layer is None:
        raise ModelError(f"{architecture.name} cannot be a backbone: it decides on tokens, not on a feature map")
    ((_, channels, _, _),) = inspect_layers(module, architecture.preprocessing.input_size, [layer])
    return Backbone(_until(module, layer), channels, cifar=False, pretrained=pretrained)


def _until(module: nn.Module, layer: str) -> nn.Module:
    """The part of `module` up to the output of `layer`, with the same parameters.

    Raises:
        ModelError: `torch.fx` cannot trace it, so it cannot be cut.
    """
    module.eval()
    tracer = LayerTracer()
    try:
        graph = tracer.trace(module)
        end = tracer.outputs[module.get_submodule(layer)]
    except Exception as error:  # torch.fx raises many kinds; each means the same
        raise ModelError(f"this network cannot be a backbone: torch.fx cannot trace it ({error})") from error
    features = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in graph.nodes:
        copies[node] = features.node_copy(node, lambda source: copies[source])
        if node is end:
            break
    features.output(copies[end])
    cut = fx.GraphModule(module, features)
    cut.graph.eliminate_dead_code()
    cut.recompile()
    return cut
