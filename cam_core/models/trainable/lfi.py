"""LFI-CAM (Lee et al. 2021, ICCV, arXiv:2105.00937): a network that learns which of its channels its map is made of.

    A   = features(x)                             (B, K, h, w)
    M_k = minmax(A_k) · resize(mean_rgb(x))       the image in grey, masked by each channel
    w   = softmax(GAP(FIN(M)))                    (B, K), learned feature importance
    att = minmax(ReLU(Σ_k w_k A_k))               (B, h, w)
    y   = FC(GAP(A · (1 + att)))

It is trained by the cross-entropy of y alone. No class enters the map. `build_network` makes it, the plain baseline and
the attention branch network around one and the same backbone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from cam_core.models.trainable.abn import ABN
from cam_core.models.trainable.backbones import Backbone, build_backbone, is_cifar_style
from cam_core.models.trainable.baseline import Attended, Baseline, Recipe
from cam_core.models.zoo.random_weights import PrivateRandomness
from cam_core.types import Activations, Coefficients, Images, Logits, ModelError, RawMap

ARCHITECTURES: Final = ("lfi", "baseline", "abn")
FIN_RELU: Final = ("alternate", "all")

WEIGHTS_MODULE: Final = "importance.softmax"
"""Where in the network its channel weights (B, K) come out: `lfi-cam` reads them there."""
MAP_MODULE: Final = "weighted.map"
"""Where Σ_k w_k A_k (B, h, w) comes out, before ReLU."""

_MOST_CLASSES: Final = 100_000


class FeatureImportance(nn.Module):
    """FIN: four 3 × 3 convolutions K → K with batch norm on the masked images, pooling, softmax over channels.

    Args:
        relu: "alternate" puts a ReLU behind every second batch norm (the authors' networks for small images), "all"
            behind every one (those for 224 px).
    """

    def __init__(self, channels: int, relu: str) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for index in range(4):
            parts += [nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)]
            if relu == "all" or index % 2 == 1:
                parts.append(nn.ReLU(inplace=True))
        self.convolutions = nn.Sequential(*parts)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.softmax = nn.Softmax(dim=1)

    def forward(self, images: Images, acts: Activations) -> Coefficients:
        """(B, 3, H, W) and (B, K, h, w) → weights (B, K), positive, with sum 1."""
        grey = images.mean(1, keepdim=True)
        small = functional.interpolate(grey, size=acts.shape[2:], mode="bilinear", align_corners=False)
        masked = channel_masks(acts) * small
        weights: Coefficients = self.softmax(torch.flatten(self.pool(self.convolutions(masked)), 1))
        return weights


def channel_masks(acts: Activations) -> Tensor:
    """Every channel of every image from 0 to 1, (B, K, h, w); a constant one is 1; and 0 wherever A is 0.

    The divisor is made safe before dividing, so that neither the value nor any gradient is NaN.
    """
    low = acts.amin((2, 3), keepdim=True)
    span = acts.amax((2, 3), keepdim=True) - low
    scaled = (acts - low) / torch.where(span > 0, span, 1.0)
    return torch.where(acts == 0, 0.0, torch.where(span > 0, scaled, 1.0))


class WeightedMap(nn.Module):
    """Σ_k w_k A_k, before and after ReLU and min-max."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Identity()  # a name for the raw map
        self.relu = nn.ReLU()

    def forward(self, acts: Activations, weights: Coefficients) -> RawMap:
        """(B, K, h, w) and (B, K) → (B, h, w) in [0, 1]; a constant map keeps its value."""
        positive = self.relu(self.map(torch.einsum("bk,bkhw->bhw", weights, acts)))
        low = positive.amin((1, 2), keepdim=True)
        span = positive.amax((1, 2), keepdim=True) - low
        return torch.where(span > 0, (positive - low) / torch.where(span > 0, span, 1.0), positive)


class LFI(Baseline):
    """LFI-CAM around a backbone; the module's docstring has the formula."""

    importance: FeatureImportance
    weighted: WeightedMap
    attended: Attended

    def __init__(self, backbone: Backbone, recipe: Recipe) -> None:
        importance = FeatureImportance(backbone.channels, recipe.fin_relu)
        super().__init__(backbone, recipe, importance=importance, weighted=WeightedMap(), attended=Attended())

    @property
    def layers(self) -> tuple[tuple[str, str], ...]:
        """As the baseline's, and the attended features behind them."""
        return (*self.stages, ("features", "features"), ("attended", "attended features, last"))

    def forward(self, images: Images) -> Logits:
        """(B, 3, H, W) → (B, C)."""
        acts = self.features(images)
        return self._classify(self.attended(acts, self._attention(images, acts)))

    def attention(self, images: Images) -> Tensor:
        """The attention map (B, h, w), in [0, 1] unless it is constant; it depends on no chosen class."""
        return self._attention(images, self.features(images))

    def _attention(self, images: Images, acts: Activations) -> Tensor:
        attention: Tensor = self.weighted(acts, self.importance(images, acts))
        return attention


_CLASSES: Final[dict[str, Callable[[Backbone, Recipe], Baseline]]] = {"lfi": LFI, "baseline": Baseline, "abn": ABN}


def build_network(
    arch: str,
    backbone: str,
    classes: int,
    *,
    seed: int = 0,
    fin_relu: str | None = None,
    frozen: bool = False,
    stem_stride: int = 1,
    pretrained: bool | None = None,
) -> Baseline:
    """A new network, in training mode, on the CPU. The same seed gives the same weights.

    Convolutions are drawn from N(0, 2 / (k² · out)), batch norms begin as the identity. Torch's global random state is
    left alone.

    Args:
        arch: one of `ARCHITECTURES`.
        backbone: see `cam_core.models.trainable.backbones.build_backbone`.
        fin_relu: "alternate" or "all" (see `FeatureImportance`); "alternate" for CIFAR-style backbones and "all" for
            others where omitted.
        frozen: leave the backbone as it is in training: its official weights get no gradient, its batch norms keep
            their statistics.
        stem_stride: of the first convolution.
        pretrained: start a catalogue backbone from its official weights; as `frozen` where omitted.
    Raises:
        ModelError: an unknown architecture or backbone, or an option that it does not have.
        WeightsError: the official weights cannot be had.
    """
    if arch not in ARCHITECTURES:
        raise ModelError(f"unknown architecture {arch!r}; there are: {', '.join(ARCHITECTURES)}")
    if isinstance(classes, bool) or not isinstance(classes, int) or not 1 <= classes <= _MOST_CLASSES:
        raise ModelError(f"classes={classes!r} is not a number of classes from 1 to {_MOST_CLASSES}")
    ordering = fin_relu or ("alternate" if is_cifar_style(backbone) else "all")
    if ordering not in FIN_RELU:
        raise ModelError(f"fin_relu={fin_relu!r} is not one of {', '.join(FIN_RELU)}")
    official = frozen if pretrained is None else pretrained
    recipe = Recipe(arch, backbone, classes, ordering, frozen, stem_stride)
    with PrivateRandomness(seed):
        built = build_backbone(backbone, stem_stride=stem_stride, pretrained=official)
        network = _CLASSES[arch](built, recipe)
        _initialise(network, spare=built.features if built.pretrained else None)
    return network.train()


def _initialise(network: nn.Module, spare: nn.Module | None) -> None:
    """The reference's initialisation of all but `spare`, whose weights are trained ones."""
    kept = set() if spare is None else set(spare.modules())
    for part in network.modules():
        if part in kept:
            continue
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(part, nn.BatchNorm2d):
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)
