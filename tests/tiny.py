"""Networks of a few hundred weights, one for each construction that a real one is made of.

Seeded, with calibrated batch norm, and small enough that a test may run every method on each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from cam_core.models.classifier import Classifier
from cam_core.models.trainable.backbones import Backbone
from cam_core.models.trainable.baseline import Recipe
from cam_core.models.trainable.lfi import LFI

CLASSES = 5
SIZE = (16, 16)  # height and width of the input


class Plain(nn.Module):
    """Convolutions, ReLU, global average pooling, one linear layer: the network that CAM was made for."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(6, 8, 3, stride=2, padding=1), nn.ReLU()
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.flatten(self.pool(self.features(x)), 1))


class Residual(nn.Module):
    """A skip connection around two batch-normalised convolutions: values cross a cut inside the block."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=4, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.conv1, self.bn1 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.relu1, self.relu2 = nn.ReLU(inplace=True), nn.ReLU(inplace=True)
        self.fc = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        inner = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.fc(self.relu2(inner + x).mean(dim=(2, 3)))


class Dense(nn.Module):
    """Concatenation of all that came before, functional ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, stride=4, padding=1)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1)
        self.conv3 = nn.Conv2d(8, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(12)
        self.fc = nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        one = self.conv1(x)
        two = self.conv2(functional.relu(one))
        three = self.conv3(functional.relu(torch.cat([one, two], dim=1)))
        joined = functional.relu(self.norm(torch.cat([one, two, three], dim=1)))
        return self.fc(torch.flatten(functional.adaptive_avg_pool2d(joined, (1, 1)), 1))


class SqueezeExcite(nn.Module):
    """Channels gated by a product with their own pooled values; hard-swish, whose output can be negative."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=4, padding=1), nn.Hardswish())
        self.squeeze, self.excite = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1)
        self.last = nn.Sequential(nn.Conv2d(8, 8, 1), nn.SiLU())
        self.fc = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        pooled = functional.adaptive_avg_pool2d(x, 1)
        gate = torch.sigmoid(self.excite(functional.relu(self.squeeze(pooled))))
        return self.fc(self.last(gate * x).mean((2, 3)))


class MaxPool(nn.Module):
    """VGG in small: max-pooling, and a classifier of two linear layers on all positions."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(6, 8, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(32, 16), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(16, CLASSES)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))


class ReusedReLU(nn.Module):
    """One in-place ReLU called after every convolution: it overwrites the layer that is being explained."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(6, 8, 3, stride=2, padding=1)
        self.conv3 = nn.Conv2d(8, 8, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.fc = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        for conv in (self.conv1, self.conv2, self.conv3):
            x = self.relu(conv(x))
        return self.fc(x.mean(dim=(2, 3)))


class Untraceable(nn.Module):
    """Plain, but for a decision that depends on the values: `torch.fx` cannot trace it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(6, 8, 3, stride=2, padding=1)
        self.fc = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        if not torch.isfinite(x).all():
            raise ValueError("the image is not finite")
        x = functional.relu(self.conv1(x))
        return self.fc(functional.relu(self.conv2(x)).mean(dim=(2, 3)))


def tiny_lfi() -> nn.Module:
    """Plain's features, and a map that the network makes of them for itself."""
    features = nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(6, 8, 3, stride=2, padding=1), nn.ReLU()
    )
    return LFI(Backbone(features, channels=8, cifar=True), Recipe("lfi", "tiny", CLASSES))


@dataclass(frozen=True)
class Tiny:
    """A tiny network and what tests need to know of it.

    Attributes:
        layers: names worth explaining, from input to output; the last is the default.
        pooled_linear: layers behind which there is only average pooling and one linear layer.
        traceable: whether `torch.fx` can trace it.
    """

    build: Callable[[], nn.Module]
    layers: tuple[str, ...]
    pooled_linear: frozenset[str] = frozenset()
    traceable: bool = True


TINY: Mapping[str, Tiny] = {
    "plain": Tiny(Plain, ("features.1", "features.2", "features.3"), frozenset({"features.3"})),
    "residual": Tiny(Residual, ("stem", "relu1", "relu2"), frozenset({"relu2"})),
    "dense": Tiny(Dense, ("conv2", "norm")),
    "squeeze-excite": Tiny(SqueezeExcite, ("stem", "last"), frozenset({"last"})),
    "max-pool": Tiny(MaxPool, ("features.1", "features.3")),
    "reused-relu": Tiny(ReusedReLU, ("conv2", "conv3", "relu"), frozenset({"relu"})),
    "lfi": Tiny(tiny_lfi, ("features", "attended"), frozenset({"attended"})),
    "untraceable": Tiny(Untraceable, ("conv1", "conv2"), traceable=False),
}


def tiny(key: str, seed: int = 0) -> nn.Module:
    """The network in eval mode with seeded weights, its batch norms calibrated on seeded noise."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = TINY[key].build()
        enliven(module)
        calibrate(module, torch.randn(32, 3, *SIZE))
    return module.eval()


def enliven(module: nn.Module) -> None:
    """Weights that keep the variance of what passes: with torch's own initialisation a small network hardly reacts."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(part.weight)
            if part.bias is not None:
                nn.init.normal_(part.bias, std=0.1)


def calibrate(module: nn.Module, images: Tensor) -> None:
    """Set every batch norm's running statistics to those of `images`, and draw its scale and shift at random."""
    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.3)
        norm.momentum = None  # a cumulative average
        norm.reset_running_stats()
    module.train()
    with torch.no_grad():
        module(images)


def tiny_classifier(key: str, seed: int = 0, device: str = "cpu") -> Classifier:
    return Classifier(
        tiny(key, seed), name=f"tiny {key}", input_size=SIZE, default_layer=TINY[key].layers[-1], device=device
    )


def tiny_images(count: int, seed: int = 0) -> Tensor:
    """(count, 3, 16, 16) normalised images: smooth blobs and some noise."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, 3, 4, 4, generator=generator)
    smooth = functional.interpolate(coarse, SIZE, mode="bicubic", align_corners=False)
    return smooth + 0.2 * torch.randn(count, 3, *SIZE, generator=generator)
