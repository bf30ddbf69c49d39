"""Norms by the endpoint rule: as written out by hand, complete, and close to SHAP where the midpoint rule is far."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import Permute

from cam_core import SAMPLES, explain, load_image, load_model
from cam_core.analysis.shapley_fidelity import shap_reference
from cam_core.deeplift import Contributions, contributions
from cam_core.models.split.halves import build_halves
from cam_core.models.split.model import SplitModel
from cam_core.shapley import ChannelGame
from tests import literal

SIDE, WIDTH, CLASSES = 6, 8, 5


def randomised(module: nn.Module) -> nn.Module:
    """Weights and biases of norms as training leaves them: not 1 and 0."""
    torch.manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.LayerNorm | nn.RMSNorm):
            for parameter in part.parameters():
                nn.init.normal_(parameter, 1.0, 0.3)
    return module


class Block(nn.Module):
    """A ConvNeXt block in small: depthwise convolution, norm of the channels, two linear layers, a skip connection."""

    def __init__(self, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(WIDTH, WIDTH, 3, padding=1, groups=WIDTH)
        self.norm = norm(WIDTH)
        self.mix = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mix(self.norm(self.depthwise(x).permute(0, 2, 3, 1))).permute(0, 3, 1, 2)


class Small(nn.Module):
    """A stem, three blocks, and a norm between pooling and the last linear layer."""

    def __init__(self, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.stem = nn.Conv2d(3, WIDTH, 3, padding=1)
        self.blocks = nn.Sequential(*(Block(norm) for _ in range(3)))
        self.norm, self.head = norm(WIDTH), nn.Linear(WIDTH, CLASSES)
        randomised(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.blocks(self.stem(x)).mean((2, 3))))


def rms(width: int) -> nn.Module:
    return nn.RMSNorm(width, eps=1e-5)


def images(count: int) -> Tensor:
    return torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))


def at(module: nn.Module, layer: str, dtype: str, hooks: bool = False) -> tuple[SplitModel, Tensor]:
    net = SplitModel(build_halves(module, layer, images(1), precision=dtype, force_hooks=hooks), dtype)
    with torch.no_grad():
        return net, net.head(images(2).to(net.dtype))


def tail(norm: str) -> list[nn.Module]:
    """A sequence of layers with two norms that lie one behind the other, biases between them."""
    channels_last, channels_first = Permute([0, 2, 3, 1]), Permute([0, 3, 1, 2])
    kind = {"layer norm": nn.LayerNorm, "RMS norm": rms}[norm]
    first = [channels_last, kind(4), nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 4), channels_first]
    torch.manual_seed(3)
    return [
        nn.Conv2d(4, 4, 3, padding=1),
        *first,
        nn.Conv2d(4, 3, 3),
        nn.LayerNorm([3, SIDE - 2, SIDE - 2])
        if norm == "layer norm"
        else nn.RMSNorm([3, SIDE - 2, SIDE - 2], eps=1e-6),
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(3 * (SIDE - 2) ** 2, CLASSES),
    ]


@pytest.mark.parametrize("hooks", [False, True], ids=["traced", "not traced"])
@pytest.mark.parametrize("zeros", [True, False], ids=["reference zeros", "another reference"])
@pytest.mark.parametrize("norm", ["layer norm", "RMS norm"])
def test_equals_the_rule_written_out(norm: str, zeros: bool, hooks: bool) -> None:
    torch.manual_seed(4)
    whole = nn.Sequential()
    whole.add_module("layer", nn.Conv2d(3, 4, 3, padding=1))
    whole.add_module("tail", randomised(nn.Sequential(*tail(norm))))
    net, acts = at(whole, "layer", "float64", hooks)
    reference = torch.zeros_like(acts) if zeros else acts.flip(0) / 2
    found = contributions(net, acts, None if zeros else reference, torch.tensor([1, 3]))
    layers = [*whole.double()[1]]
    for row, target in enumerate((1, 3)):
        by_hand = literal.rescale_contributions(layers, acts[row], reference[row], target)
        torch.testing.assert_close(found.values[row], by_hand, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize(
    ("divide", "expected"), [("root", (1.5, 0.0)), ("sum", (2.0, -0.5)), ("what is nearly 0", (2.0, -1.0))]
)
def test_only_roots_make_a_norm(divide: str, expected: tuple[float, float]) -> None:
    """3 / √(1 + 3) = 3/2 from 0 / 1: a gets all. 3 / (1 + 1) = 3/2 is no norm: with the means 3/4 of the quotient and
    3/2 of the denominator, 3 / (3/2) = 2 and −(3/4) · 1 / (3/2) = −1/2. The same where the denominator rises from 1e-9:
    1 in all, 3 / (3/2) = 2 and −(1/2) · 3 / (3/2) = −1.
    """
    offset = 1e-9 if divide == "what is nearly 0" else 1

    class Quotient(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            a, b = self.layer(x).mean((2, 3))[:, :2].split(1, dim=1)
            return a / (offset + b).sqrt() if divide == "root" else a / (offset + b)

    image = torch.tensor([3.0, 1.0 if divide == "sum" else 3.0, 7.0]).view(1, 3, 1, 1)
    net = SplitModel(build_halves(Quotient(), "layer", image))
    found = contributions(net, net.head(image), None, torch.tensor([0])).values.flatten()
    torch.testing.assert_close(found, torch.tensor([*expected, 0.0]))


def test_a_norm_that_stays_at_zero_hands_nothing_on() -> None:
    """Rows that are 0 in the input as in the reference: the root's slope is infinite there. The others are complete."""

    class Dead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            return functional.normalize(self.layer(x).relu(), dim=3).mean((2, 3))

    image = torch.tensor([[-1.0, -2.0], [3.0, 4.0]]).expand(1, 3, 2, 2)
    net = SplitModel(build_halves(Dead(), "layer", image))
    found = contributions(net, net.head(image), None, torch.tensor([1]))
    torch.testing.assert_close(found.values[0, 1], torch.tensor([[0.0, 0.0], [3 / 20, 4 / 20]]))
    assert found.warnings == ((),)


@pytest.mark.parametrize("hooks", [False, True], ids=["traced", "not traced"])
@pytest.mark.parametrize("layer", ["stem", "blocks.0", "blocks.1", "blocks.2"])
@pytest.mark.parametrize("norm", [nn.LayerNorm, rms], ids=["layer norm", "RMS norm"])
def test_complete_without_cancelling_at_every_depth(norm: Callable[[int], nn.Module], layer: str, hooks: bool) -> None:
    """In float32, whose digits suffice."""
    net, acts = at(Small(norm), layer, "float32", hooks)
    target = net.tail(acts).argmax(1)
    found = contributions(net, acts, None, target)
    change = (net.tail(acts) - net.tail(torch.zeros_like(acts))).gather(1, target[:, None])[:, 0]
    torch.testing.assert_close(found.values.sum((1, 2, 3)), change, rtol=1e-4, atol=1e-5)
    assert found.warnings == ((), ())
    assert not bool(found.double.any())
    assert bool((magnitudes(found) < 10 * found.scale).all())


def magnitudes(found: Contributions) -> Tensor:
    return found.values.sum((2, 3)).abs().sum(1)


@pytest.mark.parametrize("layer", ["blocks.0", "blocks.1", "blocks.2"])
def test_close_to_exact_shapley_values(layer: str) -> None:
    """Eight channels: all 256 coalitions."""
    module = Small(nn.LayerNorm)
    net, acts = at(module, layer, "float64")
    hooked = literal.Hooked(module, layer)
    target = int(net.tail(acts)[0].argmax())
    phi = literal.shapley_values(literal.channel_game(hooked, images(1), target), WIDTH)
    found = contributions(net.sample(0), acts[:1], None, torch.tensor([target])).values.sum((2, 3))[0]
    assert float(torch.cosine_similarity(found, phi.double(), dim=0)) > 0.95


def test_convnext_is_close_to_permutation_shap() -> None:
    """Timm's smallest ConvNeXt. By the midpoint rule the cosine was 0.47, and Σ |φ| / |Δ| 1,700."""
    clf = load_model("timm:test_convnext", weights="random", device="cpu")
    image = clf.as_batch(load_image(SAMPLES[0].path))
    net = clf.split("stages.2")
    with torch.no_grad():
        acts = net.head(image)
        target = net.tail(acts).argmax(1)
    found = contributions(net, acts, None, target)
    game = ChannelGame(net.sample(0), acts, int(target))
    reference = shap_reference(game, torch.Generator().manual_seed(0), pairs=30)
    assert reference.ceiling > 0.99
    phi = found.values.sum((2, 3))[0].numpy()
    cosine = np.dot(phi, reference.phi) / np.linalg.norm(phi) / np.linalg.norm(reference.phi)
    assert cosine >= 0.9
    assert float(magnitudes(found) / found.delta.abs()) < 5
    assert found.warnings == ((),)
    assert not bool(found.double.any())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "layer"),
    [
        ("timm:nasnetalarge", "reduction_cell_0.conv_1x1.act"),
        ("timm:pnasnet5large", "cell_4.conv_1x1.act"),
    ],
)
def test_complete_behind_pooling_that_pads_by_infinity(network: str, layer: str) -> None:
    clf = load_model(network, weights="random", device="cpu")
    found = explain(clf, load_image(SAMPLES[0].path), method="lift-cam", layer=layer, target=5)
    net = clf.split(layer)
    with torch.no_grad():
        acts = net.head(clf.as_batch(load_image(SAMPLES[0].path)))
        change = float(net.tail(acts)[0, 5] - net.tail(torch.zeros_like(acts))[0, 5])
    assert found.coefficients is not None
    assert found.coefficients.sum() == pytest.approx(change, rel=1e-3)
    assert not any("incomplete" in sentence for sentence in found.warnings)
