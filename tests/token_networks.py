"""Transformers of a few thousand weights, as timm builds them: one for each way in which tokens are laid out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import timm
import torch
from torch import Tensor, nn

from cam_core.models.classifier import Classifier
from cam_core.models.zoo.random_weights import calibrate

CLASSES = 7
_SMALL = {"embed_dim": 24, "depth": 3, "num_heads": 2}


class Encoder(nn.Module):
    """torch's own encoder layers, whose attention `torch.fx` does not look into; patches row by row, averaged."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, stride=8)
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True) for _ in range(2))
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        if not bool(torch.isfinite(x).all()):  # what no tracer can follow
            raise ValueError("the image is not finite")
        for layer in self.layers:
            x = layer(x)
        return self.head(x.mean(1))


@dataclass(frozen=True)
class TokenNetwork:
    """A network and what is to be seen of it.

    Attributes:
        layers: (module name, channels, height, width) of those offered.
        default: the layer explained where none is named.
        extra: class, distillation and register tokens.
    """

    build: Callable[[], nn.Module]
    size: tuple[int, int]
    layers: tuple[tuple[str, int, int, int], ...]
    default: str
    extra: int = 0
    traced: bool = True


def _timm(name: str, **options: object) -> Callable[[], nn.Module]:
    return lambda: timm.create_model(name, num_classes=CLASSES, **options)


def _isotropic(height: int, width: int, last: str) -> tuple[tuple[str, int, int, int], ...]:
    return tuple((name, 24, height, width) for name in ("patch_embed.proj", "blocks.0", "blocks.1", last))


TOKENS: Mapping[str, TokenNetwork] = {
    "vit": TokenNetwork(
        _timm("vit_tiny_patch16_224", img_size=64, **_SMALL),
        (64, 64),
        _isotropic(4, 4, "blocks.2.norm1"),
        "blocks.2.norm1",
        extra=1,
    ),
    "wide with registers": TokenNetwork(
        _timm("vit_tiny_patch16_224", img_size=(48, 80), reg_tokens=4, **_SMALL),
        (48, 80),
        _isotropic(3, 5, "blocks.2.norm1"),
        "blocks.2.norm1",
        extra=5,
    ),
    "deit": TokenNetwork(
        _timm("deit_tiny_distilled_patch16_224", img_size=64, **_SMALL),
        (64, 64),
        _isotropic(4, 4, "blocks.2.norm1"),
        "blocks.2.norm1",
        extra=2,
    ),
    "beit": TokenNetwork(
        _timm("beit_base_patch16_224", img_size=64, embed_dim=48, depth=3, num_heads=3),
        (64, 64),
        tuple((name, 48, 4, 4) for name in ("patch_embed.proj", "blocks.0", "blocks.1", "blocks.2")),
        "blocks.2",
        extra=1,
    ),
    "swin": TokenNetwork(
        _timm(
            "swin_tiny_patch4_window7_224", img_size=64, window_size=4, depths=(2, 2), num_heads=(2, 4), embed_dim=20
        ),
        (64, 64),
        (
            ("patch_embed.proj", 20, 16, 16),
            ("layers.0.blocks.0", 20, 16, 16),
            ("layers.0", 20, 16, 16),
            ("layers.1.blocks.0", 40, 8, 8),
            ("layers.1", 40, 8, 8),
            ("norm", 40, 8, 8),
        ),
        "norm",
    ),
    "hiera": TokenNetwork(
        _timm(
            "hiera_tiny_224",
            img_size=(32, 64),
            embed_dim=24,
            stages=(1, 1, 1),
            q_pool=2,
            mask_unit_size=(4, 4),
            mask_unit_attn=(True, False, False),
        ),
        (32, 64),
        (
            ("patch_embed.proj", 24, 8, 16),
            ("blocks.0", 24, 8, 16),
            ("blocks.1", 48, 4, 8),
            ("blocks.2", 96, 2, 4),
        ),
        "blocks.2",
    ),
    "untraceable": TokenNetwork(
        Encoder,
        (32, 24),
        (("patches", 16, 4, 3), ("layers.0", 16, 4, 3), ("layers.1", 16, 4, 3)),
        "layers.1",
        traced=False,
    ),
}


def token_module(key: str) -> nn.Module:
    """The network in evaluation mode with seeded weights that keep the variance of what passes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = TOKENS[key].build()
        calibrate(module, TOKENS[key].size, seed=0)
    return module.eval()


def token_classifier(key: str) -> Classifier:
    return Classifier(token_module(key), name=f"small {key}", input_size=TOKENS[key].size, device="cpu")


def token_images(key: str, count: int = 2) -> Tensor:
    return torch.randn(count, 3, *TOKENS[key].size, generator=torch.Generator().manual_seed(5))
