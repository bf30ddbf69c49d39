"""A network whose activations are the image itself, so that every number can be worked out on paper.

    A1 = 1 2    A2 = 0 1    A3 = 0 0     means 5/2, 1/2, 0
         3 4         0 1         0 0     sums 10, 2, 0

Behind the layer `features`, by default: average pooling and a linear layer with weights (4, −8, 2) and bias 2, so that
y = 4 · 5/2 − 8 · 1/2 + 2 · 0 + 2 = 8, and the gradient is (1, −2, ½) at each of the four positions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from cam_core import Classifier, Explanation, explain
from cam_core.targets.asking import Target
from cam_core.types import FloatArray

IMAGE = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[0.0, 1.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]])
WEIGHTS = ((4.0, -8.0, 2.0), (0.0, 0.0, 0.0))
BIAS = (2.0, 0.0)


class Identity(nn.Module):
    """`features` passes the image on; `tail` makes logits of it."""

    def __init__(self, tail: nn.Module) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 3, 1, bias=False)
        with torch.no_grad():
            self.features.weight.copy_(torch.eye(3).view(3, 3, 1, 1))
        self.tail = tail

    def forward(self, x: Tensor) -> Tensor:
        return self.tail(self.features(x))


class Bowl(nn.Module):
    """y_0 = (Σ A1)², y_1 = 0: a tail that curves."""

    def forward(self, acts: Tensor) -> Tensor:
        total = acts[:, 0].sum(dim=(1, 2))
        return torch.stack([total**2, 0 * total], dim=1)


def linear(weights: Sequence[Sequence[float]], bias: Sequence[float]) -> nn.Linear:
    layer = nn.Linear(len(weights[0]), len(weights))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weights))
        layer.bias.copy_(torch.tensor(bias))
    return layer


def pooled(weights: Sequence[Sequence[float]] = WEIGHTS, bias: Sequence[float] = BIAS) -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear(weights, bias))


def ask(
    method: str, tail: nn.Module | None = None, image: Tensor = IMAGE, target: Target = 0, **params: object
) -> Explanation:
    """The product's explanation of class 0, or of another target."""
    size = (image.shape[1], image.shape[2])
    # No normalisation: a pixel of value v is v in the network's input, and black is 0.
    clf = Classifier(
        Identity(tail or pooled()),
        input_size=size,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        default_layer="features",
        device="cpu",
    )
    return explain(clf, image, method=method, target=target, **params)


def assert_coefficients(found: Explanation, *expected: float) -> None:
    assert found.coefficients is not None
    np.testing.assert_allclose(found.coefficients, expected, rtol=1e-5, atol=1e-6)


def assert_map(found: FloatArray, expected: Sequence[Sequence[float]]) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
