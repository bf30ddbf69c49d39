"""What metric tests look at: a 4 × 4 network that can be computed by hand, and tiny ones with random maps."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from cam_core import Classifier
from tests.tiny import SIZE, tiny_classifier, tiny_images

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.5)


class Weighted(nn.Module):
    """Two classes on 4 × 4 pixels: logits (Σ w · x, 0) of the first colour x, so that p(class 0) = σ(Σ w · x)."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 1, bias=False)
        self.fc = nn.Linear(16, 2, bias=False)
        self.conv.weight.data = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)
        self.fc.weight.data = torch.stack([weights.flatten(), torch.zeros(16)])

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.conv(x).flatten(1))


def plane(**pixels: float) -> Tensor:
    """4 × 4 zeros but for the named pixels: plane(a1=2.0) has 2 at the top left; letters are columns, digits rows."""
    grid = torch.zeros(4, 4)
    for name, value in pixels.items():
        grid[int(name[1]) - 1, "abcd".index(name[0])] = value
    return grid


def weighted(weights: Tensor) -> Classifier:
    return Classifier(Weighted(weights).eval(), input_size=(4, 4), mean=MEAN, std=STD, device="cpu")


def coloured(first: Tensor) -> Tensor:
    """(3, 4, 4) with the given first colour; the others are noise that the network does not look at."""
    noise = torch.randn(2, 4, 4, generator=torch.Generator().manual_seed(0))
    return torch.cat([first[None], noise])


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def random_maps(count: int, seed: int = 0) -> Tensor:
    """(count, 16, 16) in [0, 1], no two pixels of one map equal."""
    generator = torch.Generator().manual_seed(seed)
    pixels = SIZE[0] * SIZE[1]
    maps = [torch.randperm(pixels, generator=generator).view(SIZE) / (pixels - 1) for _ in range(count)]
    return torch.stack(maps).float()


def scene(key: str = "residual", count: int = 4) -> tuple[Classifier, Tensor, Tensor, list[int]]:
    """A tiny classifier, images (count, 3, 16, 16), maps (count, 16, 16), and the most probable class of each image."""
    clf, images = tiny_classifier(key), tiny_images(count)
    return clf, images, random_maps(count), clf.logits(images).argmax(1).tolist()


def probabilities(clf: Classifier, images: Tensor) -> Tensor:
    """(B, C) float64, by a copy of the user's own module."""
    with torch.no_grad():
        return copy.deepcopy(clf.module).double().eval()(images.double()).softmax(1)
