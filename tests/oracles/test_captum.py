"""Captum's `DeepLift` on the tail, from a reference of zero, gives LIFT-CAM's coefficients.

Captum works by hooks on modules: it needs every non-linearity to be a module of its own, called once and not in place.
torchvision's residual block calls one in-place ReLU twice, so `Separate` stands in for it, with the same weights.

Its rule for max-pool loses part of the change where input and reference have their largest element in different places.
Behind VGG's last max-pool, whose reference is zero, that does not happen, and the two agree.
"""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from captum.attr import DeepLift
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

from tests.oracles.scenes import Scene, deviation, scene

pytestmark = pytest.mark.filterwarnings("ignore:Setting forward, backward hooks")
SIZE = 96
EXACT = 1e-5


class Separate(nn.Module):
    """A residual block whose two ReLUs are two modules."""

    def __init__(self, block: BasicBlock) -> None:
        super().__init__()
        self.inner = nn.Sequential(block.conv1, block.bn1, nn.ReLU(), block.conv2, block.bn2)
        self.skip = block.downsample or nn.Identity()
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.inner(x) + self.skip(x))


def resnet_tail(module: nn.Module, layer: str) -> nn.Sequential:
    """Everything behind a stage of ResNet-18."""
    stages = ["layer1", "layer2", "layer3", "layer4"]
    blocks = [Separate(block) for stage in stages[stages.index(layer) + 1 :] for block in module.get_submodule(stage)]
    return nn.Sequential(*blocks, module.avgpool, nn.Flatten(), module.fc)


def vgg_tail(module: nn.Module, layer: str) -> nn.Sequential:
    """Everything behind `features.<n>` of VGG-11."""
    rest = module.features[int(layer.rpartition(".")[2]) + 1 :]
    return nn.Sequential(*rest, module.avgpool, nn.Flatten(), *module.classifier)


def captum_coefficients(view: Scene, tail: nn.Sequential) -> Tensor:
    """alpha_k = Σ_ij of the contributions of channel k, float64."""
    own = copy.deepcopy(tail)
    for part in own.modules():
        if isinstance(part, nn.ReLU):
            part.inplace = False
    acts = view.net.activations(view.x)
    assert torch.allclose(own(acts), view.net.logits(view.x)), "the tail is not the network's"
    contributions = DeepLift(own).attribute(acts.requires_grad_(), torch.zeros_like(acts), target=view.target)
    return contributions.detach().sum(dim=(2, 3))[0]


@pytest.mark.parametrize(
    ("network", "layer"),
    [
        ("resnet18", "layer4"),
        ("resnet18", "layer3"),
        ("resnet18", "layer2"),
        pytest.param("vgg11", "features.19", marks=pytest.mark.slow),
        pytest.param("vgg11", "features.20", marks=pytest.mark.slow),
    ],
)
def test_lift_cam(network: str, layer: str) -> None:
    view = scene(network, layer, SIZE)
    tail = (resnet_tail if network == "resnet18" else vgg_tail)(view.net.module, layer)
    expected = captum_coefficients(view, tail)
    assert expected.any()
    for precision, bound in (("float64", EXACT), ("float32", 1e-3)):
        found = view.explain("lift-cam", precision=precision)
        assert found.coefficients is not None
        assert deviation(found.coefficients, expected) <= bound
    raw = (expected[:, None, None] * view.net.activations(view.x)[0]).sum(dim=0)
    assert deviation(view.explain("lift-cam").map, raw) <= EXACT


@pytest.mark.slow
def test_max_pool_between_layers_is_complete_where_captum_is_not() -> None:
    """Before VGG's fourth max-pool, whose reference is not zero, Captum's contributions miss the logit's change."""
    view = scene("vgg11", "features.14", SIZE)
    acts = view.net.activations(view.x)
    change = float(view.net.logits(view.x)[0, view.target] - view.net.logits_from(0 * acts, view.x)[0, view.target])
    ours = view.explain("lift-cam").coefficients
    theirs = captum_coefficients(view, vgg_tail(view.net.module, "features.14"))
    assert ours is not None
    scale = float(np.abs(ours).sum())
    assert abs(float(ours.sum(dtype=np.float64)) - change) <= 1e-5 * scale
    assert abs(float(theirs.sum()) - change) > 1e-3 * scale
