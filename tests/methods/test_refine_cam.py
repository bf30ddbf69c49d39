"""RefineCAM: the product of the layers' maps, at the size of the largest."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cam_core import Classifier, explain
from cam_core.types import MethodError
from tests.methods.by_hand import assert_map, linear


class TwoLayers(nn.Module):
    """`fine` is the image, 4 × 4; `coarse` the same, averaged over 2 × 2; then pooling and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.coarse = nn.ReLU(), nn.AvgPool2d(2)
        self.fc = linear([(1.0, 0.0, 0.0), (0.0, 0.0, 0.0)], [0.0, 0.0])

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.coarse(self.fine(x)).mean(dim=(2, 3)))


def refine(image: Tensor, **params: object) -> np.ndarray:
    clf = Classifier(
        TwoLayers(), input_size=(4, 4), layers=[("fine", ""), ("coarse", "")], default_layer="coarse", device="cpu"
    )
    return explain(clf, image, method="refine-cam", target=0, **params).map


def test_product_of_both_layers() -> None:
    """Both maps are the first channel, up to a factor. The coarse one, 0 1 / 0 1, upsampled: 0 1/4 3/4 1 in a row."""
    image = torch.zeros(3, 4, 4)
    image[0] = torch.tensor([0.0, 0.0, 1.0, 1.0])
    expected = [[0.0, 0.0, 0.75, 1.0]] * 4
    assert_map(refine(image), expected)
    assert_map(refine(image, base="grad-cam"), expected)
    assert_map(refine(image, base="layer-cam"), expected)


def test_one_empty_layer_empties_the_product() -> None:
    assert not refine(torch.zeros(3, 4, 4)).any()


def test_one_layer_is_refused() -> None:
    with pytest.raises(MethodError, match="two layers"):
        refine(torch.zeros(3, 4, 4), layer="fine")
