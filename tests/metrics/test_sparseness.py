"""Sparseness: by hand, and as half the relative mean difference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from cam_core import evaluate
from tests.metrics.scenes import coloured, plane, random_maps, weighted


def sparseness(saliency: Tensor) -> float:
    return evaluate(weighted(plane(a1=1)), coloured(torch.zeros(4, 4)), saliency, metric="sparseness", target=0).value


def test_gini_by_hand() -> None:
    assert sparseness(plane(a1=1)) == pytest.approx(15 / 16)  # all on one of n pixels: (n − 1) / n
    assert sparseness(plane(a1=1, d4=1)) == pytest.approx(14 / 16)
    assert sparseness(torch.ones(4, 4)) == pytest.approx(0, abs=1e-12)
    assert sparseness(torch.zeros(4, 4)) == 0


def test_gini_is_half_the_relative_mean_difference() -> None:
    values = random_maps(1)[0, :4, :4]
    differences = np.abs(np.subtract.outer(values.flatten(), values.flatten())).mean()
    assert sparseness(values) == pytest.approx(differences / 2 / float(values.mean()))
