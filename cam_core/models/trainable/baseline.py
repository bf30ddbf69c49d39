"""The plain network, and what all trainable networks have in common: features → pooling → one linear layer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from cam_core.models.trainable.backbones import Backbone
from cam_core.types import Activations, Images, Logits


@dataclass(frozen=True)
class Recipe:
    """All that decides a network's construction: what `build_network` was told, defaults filled in.

    Attributes:
        fin_relu: "alternate" or "all", of the feature importance network (LFI-CAM alone has one).
        frozen: whether the backbone is left as it is in training.
        stem_stride: of the first convolution.
    """

    arch: str
    backbone: str
    classes: int
    fin_relu: str = "alternate"
    frozen: bool = False
    stem_stride: int = 1

    @property
    def options(self) -> dict[str, Any]:
        """The settings beside architecture, backbone and number of classes; plain values."""
        values = asdict(self)
        return {name: values[name] for name in ("fin_relu", "frozen", "stem_stride")}


class Baseline(nn.Module):
    """features → global average pooling → linear. The others put an attention between features and pooling.

    Args:
        backbone: its `features` become a part of this network.
        recipe: kept for the checkpoint's card.
        parts: further modules, registered by name between features and classifier.
    """

    def __init__(self, backbone: Backbone, recipe: Recipe, **parts: nn.Module) -> None:
        super().__init__()
        self.recipe = recipe
        self.features = backbone.features
        for name, part in parts.items():
            self.add_module(name, part)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(backbone.channels, recipe.classes)
        self.stages = tuple((f"features.{name}", label) for name, label in backbone.stages)
        if recipe.frozen:
            self.features.requires_grad_(False)

    @property
    def layers(self) -> tuple[tuple[str, str], ...]:
        """(module name, plain label) of the layers worth explaining; before the last one only pooling follows."""
        return (*self.stages, ("features", "last"))

    @property
    def default_layer(self) -> str:
        """The layer behind which there are only pooling and the linear layer: every method applies there."""
        return self.layers[-1][0]

    def train(self, mode: bool = True) -> Self:
        """As for any module, but a frozen backbone stays in evaluation mode: its statistics must not move either."""
        super().train(mode)
        if self.recipe.frozen:
            self.features.eval()
        return self

    def forward(self, images: Images) -> Logits:
        """(B, 3, H, W) → (B, C)."""
        return self._classify(self.features(images))

    def loss(self, images: Images, labels: Tensor) -> tuple[Tensor, Logits]:
        """The training loss, averaged over the batch, and the logits (B, C) of this pass; labels are (B,) int64."""
        logits: Logits = self(images)
        return functional.cross_entropy(logits, labels), logits

    def attention(self, images: Images) -> Tensor | None:
        """The map (B, h, w) that the network weighs its features with; None, because this one has none."""
        return None

    def _classify(self, acts: Activations) -> Logits:
        logits: Logits = self.classifier(torch.flatten(self.pool(acts), 1))
        return logits


class Attended(nn.Module):
    """The attention mechanism, A' = A · (1 + att), as a module so that A' is a layer that can be named."""

    def forward(self, acts: Activations, attention: Tensor) -> Activations:
        """(B, K, h, w) and (B, h, w) → (B, K, h, w)."""
        return acts * (1 + attention[:, None])
