"""The catalogue's data: which networks there are, their layers in plain language, and how they see an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from cam_core.images import Preprocessing

_HALF: Final = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class CatalogEntry:
    """One network of the catalogue; data alone.

    Attributes:
        key: its name for `load_model`; for torchvision's networks also the name there.
        family: what the picker groups by.
        source: "bundled" comes with the installed packages, "torchvision" is downloaded at first use.
        layers: (module name, plain-language label), from input to output.
        default_layer: the layer that papers explain.
        parameters: how many weights.
        megabytes: size of the weights file, 2²⁰ bytes.
        weights: the official weights' name at their source; for torchvision's networks the weights that papers used
            (not the later recipes, whose label smoothing and mixing change the maps).
        auxiliary: first parts of the names of weights that only training uses: passed over where a file has them.
    """

    key: str
    title: str
    family: str
    source: Literal["bundled", "torchvision"]
    layers: tuple[tuple[str, str], ...]
    default_layer: str
    parameters: int
    megabytes: float
    preprocessing: Preprocessing = Preprocessing()
    weights: str = "IMAGENET1K_V1"
    auxiliary: tuple[str, ...] = ()

    @property
    def input_size(self) -> tuple[int, int]:
        """(H, W) that the network sees."""
        return self.preprocessing.input_size


def _layers(names: str, plain: str) -> tuple[tuple[str, str], ...]:
    """Names and labels side by side: "a b c" and "first, middle, last"."""
    return tuple(zip(names.split(), plain.split(", "), strict=True))


def _resnet(key: str, title: str, parameters: int, megabytes: float) -> CatalogEntry:
    layers = _layers("relu layer1 layer2 layer3 layer4", "stem, stage 1, stage 2, stage 3, last")
    return CatalogEntry(key, title, "ResNet", "torchvision", layers, "layer4", parameters, megabytes)


def _vgg(key: str, title: str, ends: tuple[int, ...], parameters: int, megabytes: float) -> CatalogEntry:
    """`ends`: the index of the last ReLU of each block, before its max-pooling."""
    names = [f"features.{end}" for end in ends]
    layers = _layers(" ".join(names), "block 1, block 2, block 3, block 4, last")
    return CatalogEntry(key, title, "VGG", "torchvision", layers, names[-1], parameters, megabytes)


_ENTRIES: Final = (
    CatalogEntry(
        "efficientnet_lite0",
        "EfficientNet-Lite0",
        "EfficientNet",
        "bundled",
        _layers(
            "bn1 blocks.1 blocks.2 blocks.4 blocks.5 blocks.6 bn2",
            "stem, quarter resolution, stage 2, stage 4, stage 5, stage 6, last",
        ),
        "bn2",  # the batch norm includes the activation: 1280 channels, as in the paper's last convolution
        4_652_008,
        18.0,
        Preprocessing(interpolation="bicubic", mean=_HALF, std=_HALF),
        weights="efficientnet-lite0-57934424.pth",
    ),
    _resnet("resnet18", "ResNet-18", 11_689_512, 44.7),
    _resnet("resnet34", "ResNet-34", 21_797_672, 83.3),
    _resnet("resnet50", "ResNet-50", 25_557_032, 97.8),
    _resnet("resnet101", "ResNet-101", 44_549_160, 170.5),
    _vgg("vgg11", "VGG-11", (1, 4, 9, 14, 19), 132_863_336, 506.8),
    _vgg("vgg16", "VGG-16", (3, 8, 15, 22, 29), 138_357_544, 527.8),
    _vgg("vgg16_bn", "VGG-16 with batch norm", (5, 12, 22, 32, 42), 138_365_992, 527.9),
    _vgg("vgg19", "VGG-19", (3, 8, 17, 26, 35), 143_667_240, 548.1),
    CatalogEntry(
        "densenet121",
        "DenseNet-121",
        "DenseNet",
        "torchvision",
        _layers(
            "features.relu0 features.denseblock1 features.denseblock2 features.denseblock3 features.denseblock4 "
            "features.norm5",
            "stem, dense block 1, dense block 2, dense block 3, dense block 4, last",
        ),
        # The last ReLU is a function call that no name reaches. `norm5` stands right before it, so its map is signed;
        # `denseblock4` stands before the norm, where channels differ in scale; `features` is `norm5` by another name.
        "features.norm5",
        7_978_856,
        30.8,
    ),
    CatalogEntry(
        "mobilenet_v2",
        "MobileNetV2",
        "MobileNet",
        "torchvision",
        _layers(
            "features.0 features.3 features.6 features.10 features.13 features.17 features.18",
            "stem, quarter resolution, stage 3, stage 4, stage 5, stage 7, last",
        ),
        "features.18",
        3_504_872,
        13.6,
    ),
    CatalogEntry(
        "mobilenet_v3_large",
        "MobileNetV3-Large",
        "MobileNet",
        "torchvision",
        _layers(
            "features.0 features.3 features.6 features.10 features.12 features.15 features.16",
            "stem, quarter resolution, stage 3, stage 4, stage 5, stage 6, last",
        ),
        "features.16",
        5_483_032,
        21.1,
    ),
    CatalogEntry(
        "efficientnet_b0",
        "EfficientNet-B0",
        "EfficientNet",
        "torchvision",
        _layers(
            "features.0 features.2 features.3 features.5 features.6 features.7 features.8",
            "stem, quarter resolution, stage 3, stage 5, stage 6, stage 7, last",
        ),
        "features.8",
        5_288_548,
        20.5,
        Preprocessing(interpolation="bicubic"),
    ),
    CatalogEntry(
        "regnet_y_400mf",
        "RegNetY-400MF",
        "RegNet",
        "torchvision",
        _layers(
            "stem trunk_output.block1 trunk_output.block2 trunk_output.block3 trunk_output.block4",
            "stem, stage 1, stage 2, stage 3, last",
        ),
        "trunk_output.block4",
        4_344_144,
        16.8,
    ),
    CatalogEntry(
        "convnext_tiny",
        "ConvNeXt-Tiny",
        "ConvNeXt",
        "torchvision",
        _layers("features.0 features.1 features.3 features.5 features.7", "stem, stage 1, stage 2, stage 3, last"),
        "features.7",
        28_589_128,
        109.1,
        Preprocessing(resize=236),
    ),
    CatalogEntry(
        "googlenet",
        "GoogLeNet",
        "Inception",
        "torchvision",
        _layers(
            "conv1 conv3 inception3b inception4c inception4e inception5a inception5b",
            "stem, quarter resolution, inception 3b, inception 4c, inception 4e, inception 5a, last",
        ),
        "inception5b",
        6_624_904,
        49.7,
        auxiliary=("aux1.", "aux2."),
    ),
    CatalogEntry(
        "inception_v3",
        "Inception v3",
        "Inception",
        "torchvision",
        _layers(
            "Conv2d_2b_3x3 Conv2d_4a_3x3 Mixed_5d Mixed_6c Mixed_6e Mixed_7b Mixed_7c",
            "stem, quarter resolution, inception 5d, inception 6c, inception 6e, inception 7b, last",
        ),
        "Mixed_7c",
        27_161_264,
        103.9,
        Preprocessing(input_size=(299, 299), resize=342),
        auxiliary=("AuxLogits.",),
    ),
    CatalogEntry(
        "squeezenet1_1",
        "SqueezeNet 1.1",
        "SqueezeNet",
        "torchvision",
        _layers(
            "features.1 features.4 features.7 features.10 features.12 classifier.2",
            "stem, fire 2, fire 4, fire 6, last fire, one map per class",
        ),
        # `classifier.2` already holds one map per class: CAM's own, but every other channel is another class.
        "features.12",
        1_235_496,
        4.7,
    ),
    CatalogEntry(
        "shufflenet_v2_x1_0",
        "ShuffleNetV2 1.0×",
        "ShuffleNet",
        "torchvision",
        _layers("conv1 stage2 stage3 stage4 conv5", "stem, stage 2, stage 3, stage 4, last"),
        "conv5",
        2_278_604,
        8.8,
    ),
    CatalogEntry(
        "mnasnet1_0",
        "MNASNet 1.0",
        "MNASNet",
        "torchvision",
        _layers(
            "layers.5 layers.8 layers.9 layers.11 layers.12 layers.13 layers.16",
            "stem, quarter resolution, stage 2, stage 4, stage 5, stage 6, last",
        ),
        "layers.16",
        4_383_312,
        16.9,
    ),
    CatalogEntry(
        "alexnet",
        "AlexNet",
        "AlexNet",
        "torchvision",
        _layers(
            "features.1 features.4 features.7 features.9 features.11",
            "convolution 1, convolution 2, convolution 3, convolution 4, last",
        ),
        "features.11",
        61_100_840,
        233.1,
    ),
)

CATALOG: Final[Mapping[str, CatalogEntry]] = MappingProxyType({entry.key: entry for entry in _ENTRIES})
"""Every network offered by name, the bundled one first."""
