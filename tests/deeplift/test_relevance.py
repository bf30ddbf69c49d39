"""LRP's ε-rule: by hand, written out with dense matrices in float64, and Captum's where it applies."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import pytest
import torch
from captum.attr import LRP
from torch import Tensor, nn

from cam_core import explain, load_model
from cam_core.deeplift import relevance
from cam_core.types import UnsupportedOperation
from tests import literal
from tests.methods.by_hand import ask, assert_coefficients, linear
from tests.oracles.scenes import deviation, scene
from tests.pretend.device import pretend
from tests.tiny import tiny, tiny_classifier, tiny_images

EXACT = 1e-6


def shared(layer: Callable[[Tensor], Tensor], x: Tensor, relevance: Tensor) -> Tensor:
    """R_i = Σ_j x_i w_ij / z_j · R_j with z = Wᵀx + b: W is found by feeding in one unit after the other."""
    nothing = layer(torch.zeros_like(x))
    units = torch.eye(x.numel(), dtype=x.dtype).view(-1, *x.shape[1:])
    weights = (layer(units) - nothing).flatten(1)
    z = layer(x).flatten()
    parts = torch.where(z == 0, 0.0, relevance.flatten() / torch.where(z == 0, 1.0, z))
    return x * (weights @ parts).view_as(x)


def walked(layers: Sequence[nn.Module], x: Tensor, relevance: Callable[[Tensor], Tensor]) -> Tensor:
    """Relevance of `x`, where `relevance` gives that of the last output; activation functions hand theirs on."""
    inputs = [x]
    for layer in layers:
        inputs.append(layer(inputs[-1].clone()).detach())
    carried = relevance(inputs[-1])
    for layer, value in zip(reversed(layers), reversed(inputs[:-1]), strict=True):
        if isinstance(layer, nn.MaxPool2d):
            carried = _to_the_largest(layer, value, carried)
        elif not isinstance(layer, nn.ReLU | nn.ReLU6 | nn.SiLU | nn.Tanh):
            carried = shared(layer, value, carried)
    return carried


def _to_the_largest(layer: nn.MaxPool2d, x: Tensor, relevance: Tensor) -> Tensor:
    _, places = nn.functional.max_pool2d(x, layer.kernel_size, return_indices=True)
    return torch.zeros_like(x).flatten(2).scatter_add(2, places.flatten(2), relevance.flatten(2)).view_as(x)


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def logit(target: int) -> Callable[[Tensor], Tensor]:
    """All relevance begins at one logit, with its value."""
    return lambda logits: torch.zeros_like(logits).index_fill(1, torch.tensor([target]), 1) * logits


def test_relu6_and_flatten_by_hand() -> None:
    """z = 10 − 4 + 0 + 2 = 8, of which ReLU6 lets 6 pass: 10/8 and −4/8 of it; the bias absorbs the rest."""
    tail = nn.Sequential(
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        linear([(4.0, -8.0, 2.0)], [2.0]),
        nn.ReLU6(),
        linear([[1.0], [0.0]], [0.0, 0.0]),
    )
    assert_coefficients(ask("lrp-cam", tail), 7.5, -3, 0)


@pytest.mark.parametrize("act", [nn.ReLU, nn.ReLU6, nn.SiLU, nn.Tanh])
def test_a_chain_with_max_pooling_is_walked_layer_by_layer(act: type[nn.Module]) -> None:
    torch.manual_seed(2)
    layers = [
        nn.Conv2d(3, 5, 3, padding=1), act(), nn.MaxPool2d(2), nn.Conv2d(5, 4, 3), act(),
        nn.Flatten(), nn.Linear(16, 6), act(), nn.Linear(6, 2),
    ]  # fmt: skip
    image = torch.randn(3, 8, 8)
    own = [copy.deepcopy(layer).double() for layer in layers]
    expected = walked(own, image[None].double(), logit(0)).sum((2, 3))[0]
    found = ask("lrp-cam", nn.Sequential(*layers), image, precision="float64").coefficients
    assert expected.abs().min() > 0
    assert deviation(found, expected) <= EXACT


@pytest.mark.parametrize("layer", ["stem", "relu1"])
def test_a_sum_shares_by_what_each_side_brings(layer: str) -> None:
    """At "relu1" the skip connection crosses the cut; at "stem" relevance comes back on both ways."""
    net = copy.deepcopy(tiny("residual")).double()
    image = tiny_images(1)[0]
    x = literal.Hooked(tiny("residual"), "stem").activations(image[None])
    middle = net.relu1(net.bn1(net.conv1(x))).detach()
    inner = net.bn2(net.conv2(middle)).detach()
    total = nn.functional.relu(inner + x)
    behind = walked([nn.ReLU(), Mean(), net.fc], inner + x, logit(1))
    assert total.any()
    at_middle = walked([net.conv2, net.bn2], middle, lambda _: inner / (inner + x) * behind)
    expected = at_middle
    if layer == "stem":
        first = walked([net.conv1, net.bn1, nn.ReLU()], x, lambda _: at_middle)
        expected = first + x / (inner + x) * behind
    found = explain(tiny_classifier("residual"), image, method="lrp-cam", layer=layer, target=1, precision="float64")
    assert deviation(found.coefficients, expected.sum((2, 3))[0]) <= EXACT


class Flat(nn.Module):
    """Captum has no rule for the module `nn.Flatten`."""

    def __init__(self, before: nn.Module, behind: nn.Module) -> None:
        super().__init__()
        self.before, self.behind = before, behind

    def forward(self, x: Tensor) -> Tensor:
        return self.behind(self.before(x).flatten(1))


@pytest.mark.parametrize(
    ("network", "layer"),
    [("resnet18", "layer4"), pytest.param("vgg11", "features.19", marks=pytest.mark.slow)],
)
@pytest.mark.filterwarnings("ignore:Setting forward, backward hooks")
def test_equals_captum_where_no_value_is_read_twice(network: str, layer: str) -> None:
    """Behind a residual block Captum counts what skips it twice: its relevance there is more than the logit."""
    view = scene(network, layer, 96)
    module = copy.deepcopy(view.net.module)
    if network == "resnet18":
        tail = Flat(module.avgpool, module.fc)
    else:
        tail = Flat(nn.Sequential(*module.features[20:], module.avgpool), module.classifier)
    for part in tail.modules():
        if isinstance(part, nn.ReLU):
            part.inplace = False
    acts = view.net.activations(view.x)
    expected = LRP(tail).attribute(acts.clone().requires_grad_(), target=view.target).detach().sum((2, 3))[0]
    assert expected.any()
    assert deviation(view.explain("lrp-cam").coefficients, expected) <= EXACT


def test_works_at_every_layer_of_the_bundled_network() -> None:
    clf = load_model("efficientnet_lite0", weights="random", device="cpu")
    image = torch.randn(3, 64, 64, generator=torch.Generator().manual_seed(0))
    for layer in clf.layers:
        found = explain(clf, image, method="lrp-cam", layer=layer.name)
        assert found.coefficients is not None and found.coefficients.any()


def test_without_biases_relevance_is_conserved() -> None:
    torch.manual_seed(0)
    tail = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 4, 2, bias=False)
    )  # fmt: skip
    found = ask("lrp-cam", tail, torch.rand(3, 4, 4))
    assert found.coefficients is not None
    assert found.coefficients.sum() == pytest.approx(found.score, rel=1e-4)


def test_in_tf32_no_relevance_is_rounded(restored_switches: None) -> None:
    """Cancelling needs float32's digits, forward and backward; torch's own default is to round convolutions."""
    with pretend("cuda") as ledger:
        net = tiny_classifier("residual", device="cuda").split("stem", "tf32")
        acts = net.head(tiny_images(1).to("cuda"))
        before = ledger.rounded
        assert before, "the head is in TF32"
        found = relevance(net, acts, torch.tensor([1]).to("cuda"))
        assert ledger.rounded == before
        assert found.any()


def test_its_refusals_blame_nobody_else() -> None:
    tail = nn.Sequential(nn.AdaptiveMaxPool2d(2), nn.Flatten(), nn.Linear(12, 2))
    with pytest.raises(UnsupportedOperation, match="adaptive max-pooling only where") as refusal:
        ask("lrp-cam", tail, torch.rand(3, 5, 5))
    assert "DeepLIFT" not in str(refusal.value)
