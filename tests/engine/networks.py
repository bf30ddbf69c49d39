"""Networks that workers of other processes build by name, and engines for tests that share what is slow to start."""

from __future__ import annotations

import os

from torch import Tensor, nn

from cam_core.models.classifier import Classifier
from tests.tiny import SIZE, tiny, tiny_classifier


def residual() -> Classifier:
    """As `tests.metrics.evaluating` has it."""
    return tiny_classifier("residual")


class Lethal(nn.Module):
    """Plain, but a picture that is white all over ends the process, as a faulty decoder or driver would."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = tiny("plain")

    def forward(self, x: Tensor) -> Tensor:
        if bool((x.flatten(1).amin(1) > 2.2).any()):
            os._exit(3)
        return self.inner(x)


def lethal() -> Classifier:
    return Classifier(Lethal().eval(), name="lethal", input_size=SIZE, default_layer="inner.features.3", device="cpu")


def no_network() -> str:
    return "a text"
