"""What an explanation says where DeepLIFT's contributions miss the change in logit, or cancel."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cam_core import SAMPLES, explain, load_image, load_model
from cam_core.deeplift import contributions, rules
from cam_core.models.split.halves import build_halves
from cam_core.models.split.model import SplitModel
from cam_core.types import Explanation
from tests import literal
from tests.methods.by_hand import ask, linear
from tests.pretend.device import pretend
from tests.tiny import TINY, tiny, tiny_classifier, tiny_images

NUMBER = r"(-?[\d.]+(?:e[+-]?\d+)?)"
INCOMPLETE = rf"DeepLIFT is incomplete here: its contributions sum to {NUMBER}, but the logit changes by {NUMBER}\."
CANCELLING = rf"contributions cancel: .* magnitudes sum to {NUMBER}, but the logit changes by {NUMBER}\."


def numbers(pattern: str, found: Explanation) -> tuple[float, float]:
    """The two numbers of the one sentence that matches."""
    (match,) = (match for sentence in found.warnings if (match := re.search(pattern, sentence)))
    return float(match[1]), float(match[2])


def hidden() -> nn.Module:
    """y_0 = ReLU(4 · 5/2 − 8 · 1/2 − 3) = 3 from 0."""
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        linear([(4.0, -8.0, 2.0)], [-3.0]),
        nn.ReLU(),
        linear([[1.0], [0.0]], [0.0, 0.0]),
    )


@pytest.mark.parametrize(("factor", "said"), [(1.0, False), (1.0005, False), (1.002, True), (2.0, True), (0.9, True)])
def test_an_incomplete_rule_is_said_with_its_numbers(
    monkeypatch: pytest.MonkeyPatch, factor: float, said: bool
) -> None:
    """A multiplier that is wrong by a factor makes the sum wrong by it; up to a thousandth is let pass."""
    right = rules._rescale_multiplier
    monkeypatch.setattr(rules, "_rescale_multiplier", lambda *args: factor * right(*args))
    found = ask("lift-cam", hidden())
    if said:
        assert numbers(INCOMPLETE, found) == pytest.approx((3 * factor, 3), rel=1e-3)
    else:
        assert not any("incomplete" in sentence for sentence in found.warnings)


def test_not_a_number_is_incomplete(monkeypatch: pytest.MonkeyPatch) -> None:
    right = rules._rescale_multiplier
    monkeypatch.setattr(rules, "_rescale_multiplier", lambda *args: torch.nan * right(*args))
    net, acts = difference(1.0)
    sentences = contributions(net, acts, None, torch.tensor([0])).warnings[0]
    assert any("sum to nan" in sentence for sentence in sentences)


class Difference(nn.Module):
    """y_0 = ReLU(weight · a_0 − weight · a_1 + a_2), y_1 = −y_0 / 2 + `other`."""

    def __init__(self, weight: float, other: float = 0.0) -> None:
        super().__init__()
        self.layer, self.weight, self.other = nn.Identity(), weight, other

    def forward(self, x: Tensor) -> Tensor:
        a = self.layer(x).mean((2, 3))
        first = torch.relu(self.weight * a[:, 0] - self.weight * a[:, 1] + a[:, 2])
        return torch.stack([first, self.other - first / 2], 1)


def difference(weight: float, other: float = 0.0) -> tuple[SplitModel, Tensor]:
    """Channels of 1, 1 and 1: Σ |φ| = 2 · weight + 1, where y_0 changes by 1."""
    image = torch.ones(1, 3, 2, 2)
    net = SplitModel(build_halves(Difference(weight, other), "layer", image))
    return net, net.head(image)


@pytest.mark.parametrize(("weight", "said"), [(1.0, False), (49.0, False), (50.0, True), (400.0, True)])
def test_cancelling_values_are_said_with_their_numbers(weight: float, said: bool) -> None:
    """From a hundred times the change on."""
    net, acts = difference(weight)
    sentences = contributions(net, acts, None, torch.tensor([0])).warnings[0]
    matches = [match for sentence in sentences if (match := re.search(CANCELLING, sentence))]
    assert len(matches) == said
    if said:
        assert (float(matches[0][1]), float(matches[0][2])) == pytest.approx((2 * weight + 1, 1))


def test_a_change_that_is_nothing_beside_the_logits_is_not_divided_by() -> None:
    """Where another logit is 10,000, a change of 1 counts as one of 10: Σ |φ| = 801 is not a hundred of those."""
    net, acts = difference(400.0, other=1e4)
    found = contributions(net, acts, None, torch.tensor([0]))
    assert float(found.scale) == pytest.approx(10, rel=1e-3)
    assert found.warnings == ((),)


def test_each_sample_has_its_own_sentences() -> None:
    image = torch.ones(2, 3, 2, 2)
    image[1, :2] = torch.tensor([1.0, 0.0])[:, None, None]
    net = SplitModel(build_halves(Difference(400.0), "layer", image[:1]))
    first, second = contributions(net, net.head(image), None, torch.tensor([0, 0])).warnings
    assert len(first) == 1 and second == ()


@pytest.mark.parametrize(
    ("network", "layer"),
    [(key, layer) for key, network in TINY.items() for layer in network.layers if (key, layer) != ("lfi", "features")],
)
def test_every_construction_is_complete_and_cancels_only_where_it_says(network: str, layer: str) -> None:
    hooked = literal.Hooked(tiny(network), layer)
    for image in tiny_images(3):
        acts = hooked.activations(image[None])
        logits, before = (hooked.logits_from(a, image[None])[0] for a in (acts, torch.zeros_like(acts)))
        target = int(logits.argmax())
        found = explain(tiny_classifier(network), image, method="lift-cam", layer=layer, target=target)
        scale = max(float((logits - before)[target].abs()), 1e-3 * float(logits.abs().max()))
        assert found.coefficients is not None
        assert not any("incomplete" in sentence for sentence in found.warnings)
        cancels = np.abs(found.coefficients).sum() > 100 * scale
        assert any(re.search(CANCELLING, sentence) for sentence in found.warnings) == cancels


@pytest.mark.parametrize("layer", ["blocks.2", "blocks.6", "bn2"])
def test_a_trained_network_says_nothing(layer: str) -> None:
    clf = load_model("efficientnet_lite0", device="cpu")
    for sample in SAMPLES[:2]:
        assert explain(clf, load_image(sample.path), method="lift-cam", layer=layer).warnings == ()


def test_on_apples_gpu_float64_is_the_cpus() -> None:
    """ReLU(3·10⁵ a_0 − 3·10⁵ a_1 + a_2) from 0: float32 has no digit left of a_2."""
    module, image = Difference(3e5), torch.tensor([0.3, 0.3, 0.7]).view(1, 3, 1, 1)
    target = torch.tensor([0])
    here = contributions(SplitModel(build_halves(module, "layer", image)), image, None, target)
    with pretend("mps"):
        halves = build_halves(module, "layer", image.to("mps"))
        there = contributions(SplitModel(halves), image.to("mps"), None, target.to("mps"))
        assert there.values.device.type == "mps"
        np.testing.assert_allclose(there.values.cpu(), here.values)
    assert "were computed in float64." in here.warnings[0][0]
    assert "were computed in float64, on the CPU: Apple's GPU has none." in there.warnings[0][0]


class Insisting(nn.Module):
    """`Difference`, and a linear layer that is given float32 whatever the network's weights are."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.layer, self.inner, self.head = nn.Identity(), Difference(weight), linear([[1.0, 0.0]], [0.0])

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.inner(self.layer(x)).float())


def test_a_network_that_insists_on_float32_stays_in_it() -> None:
    image = torch.ones(1, 3, 2, 2)
    net = SplitModel(build_halves(Insisting(4e4), "layer", image))
    found = contributions(net, net.head(image), None, torch.tensor([0]))
    assert not bool(found.double.any())
    torch.testing.assert_close(found.values.sum((2, 3)), torch.tensor([[4e4, -4e4, 1.0]]), rtol=1e-3, atol=1e-2)
    assert any("cancel" in sentence for sentence in found.warnings[0])
