"""DeepLIFT through attention: each rule as written out slowly, and small transformers complete at every layer."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from cam_core.analysis.shapley_fidelity import shap_reference
from cam_core.deeplift import RuleMode, contributions
from cam_core.deeplift.attention import Bilinear, Softmax
from cam_core.models.split.halves import build_halves
from cam_core.models.split.model import SplitModel
from cam_core.shapley import ChannelGame
from cam_core.types import UnsupportedOperation
from tests import literal
from tests.token_networks import TOKENS, token_classifier, token_images


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("scale", [1.0, 30.0, 400.0], ids=["soft", "peaked", "one-hot"])
@pytest.mark.parametrize("zeros", [True, False], ids=["reference zeros", "another reference"])
def test_softmax_equals_the_rule_written_out(scale: float, zeros: bool) -> None:
    x, upstream = scale * random(3, 5), random(3, 5, seed=1)
    reference = torch.zeros_like(x) if zeros else scale * random(3, 5, seed=2)
    x[0, 1] = reference[0, 1]  # an entry that does not move
    leaf = x.clone().requires_grad_()
    (found,) = torch.autograd.grad(Softmax.apply(leaf, reference, 1), leaf, upstream)
    for row in range(3):
        by_hand = literal.softmax_multipliers(x[row].tolist(), reference[row].tolist(), upstream[row].tolist())
        torch.testing.assert_close(found[row], torch.tensor(by_hand, dtype=torch.float64), rtol=1e-7, atol=1e-12)
    change = (upstream * (x.softmax(1) - reference.softmax(1))).sum(1)
    torch.testing.assert_close((found * (x - reference)).sum(1), change, rtol=1e-9, atol=1e-9)
    assert bool((found.abs() <= 10 * upstream.abs().sum(1, keepdim=True)).all())


def test_softmax_in_float32_keeps_its_digits_where_nearly_nothing_moves() -> None:
    x = random(4, 6)
    reference = x + 1e-6 * random(4, 6, seed=1)
    upstream = random(4, 6, seed=2)
    leaf, coarse = x.clone().requires_grad_(), x.float().requires_grad_()
    (fine,) = torch.autograd.grad(Softmax.apply(leaf, reference, 1), leaf, upstream)
    (found,) = torch.autograd.grad(Softmax.apply(coarse, reference.float(), 1), coarse, upstream.float())
    torch.testing.assert_close(found.double(), fine, rtol=1e-3, atol=1e-4)


def test_a_masked_position_of_a_softmax_gets_nothing() -> None:
    x = torch.tensor([[1.0, -math.inf, 2.0]], requires_grad=True)
    reference = torch.tensor([[0.0, -math.inf, 0.0]])
    (found,) = torch.autograd.grad(Softmax.apply(x, reference, 1), x, torch.tensor([[1.0, 1.0, 0.0]]))
    assert float(found[0, 1]) == 0
    assert bool(torch.isfinite(found).all())


def test_a_product_of_matrices_equals_the_rule_written_out() -> None:
    x, y, x_reference, y_reference = random(2, 3), random(3, 4, seed=1), random(2, 3, seed=2), random(3, 4, seed=3)
    upstream = random(2, 4, seed=4)
    leaves = x.clone().requires_grad_(), y.clone().requires_grad_()
    product = Bilinear.apply(*leaves, torch.matmul, x_reference, y_reference)
    torch.testing.assert_close(product, x @ y)
    of_x, of_y = torch.autograd.grad(product, leaves, upstream)
    for i in range(2):
        for k in range(3):
            by_hand = sum(upstream[i, j] * (y[k, j] + y_reference[k, j]) / 2 for j in range(4))
            torch.testing.assert_close(of_x[i, k], by_hand)
    for k in range(3):
        for j in range(4):
            by_hand = sum(upstream[i, j] * (x[i, k] + x_reference[i, k]) / 2 for i in range(2))
            torch.testing.assert_close(of_y[k, j], by_hand)


class Attention(nn.Module):
    """One layer of attention between a convolution and a mean, in one of the ways in which networks write it."""

    def __init__(self, way: str) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layer = nn.Conv2d(3, 6, 1)
        self.inner = nn.MultiheadAttention(6, 2, batch_first=way == "torch's module, images first")
        for parameter in self.inner.parameters():
            nn.init.normal_(parameter, std=0.7)
        self.head = nn.Linear(6, 4)
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.layer(x).flatten(2).transpose(1, 2)
        if self.way == "torch's module, images first":
            return self.head(self.inner(tokens, tokens, tokens, need_weights=False)[0].mean(1))
        if self.way == "torch's module, sequence first":
            first = tokens.transpose(0, 1)
            return self.head(self.inner(first, first, first)[0].mean(0))
        weight, bias = self.inner.in_proj_weight, self.inner.in_proj_bias
        q, k, v = functional.linear(tokens, weight, bias).unflatten(2, (3, 2, 3)).permute(2, 0, 3, 1, 4)
        if self.way == "fused":
            out = functional.scaled_dot_product_attention(q, k, v)
        elif self.way == "einsum":
            weights = torch.einsum("bhqd,bhkd->bhqk", q, k).mul(3**-0.5).softmax(-1)
            out = torch.einsum("bhqk,bhkd->bhqd", weights, v)
        else:
            out = (q * 3**-0.5 @ k.transpose(-2, -1)).softmax(dim=-1) @ v
        return self.head(self.inner.out_proj(out.transpose(1, 2).flatten(2)).mean(1))


WAYS = ["products", "fused", "einsum", "torch's module, images first", "torch's module, sequence first"]


@pytest.mark.parametrize("hooks", [False, True], ids=["traced", "not traced"])
@pytest.mark.parametrize("zeros", [True, False], ids=["reference zeros", "another reference"])
@pytest.mark.parametrize("way", WAYS)
def test_attention_equals_the_rules_written_out(way: str, zeros: bool, hooks: bool) -> None:
    module = Attention(way).double()
    images = random(2, 3, 2, 3)
    net = SplitModel(build_halves(module, "layer", images[:1], precision="float64", force_hooks=hooks), "float64")
    with torch.no_grad():
        acts = net.head(images)
    reference = torch.zeros_like(acts) if zeros else acts.flip(0) / 2
    found = contributions(net, acts, None if zeros else reference, torch.tensor([1, 3]))
    for row, target in enumerate((1, 3)):
        x, x0 = (a[row].flatten(1).T for a in (acts, reference))
        upstream = module.head.weight[target].expand(len(x), -1) / len(x)
        by_hand = literal.attention_multipliers(module.inner, x, x0, upstream) * (x - x0)
        torch.testing.assert_close(found.values[row].flatten(1).T, by_hand.detach(), rtol=1e-7, atol=1e-10)


EVERY_LAYER = [(key, layer) for key, network in TOKENS.items() for layer, *_ in network.layers]


@pytest.mark.parametrize(("key", "layer"), EVERY_LAYER)
def test_small_transformers_are_complete_at_every_layer(key: str, layer: str) -> None:
    """Against two passes of the tail without any rule; three images, whose windows share a dimension with them."""
    clf, images = token_classifier(key), token_images(key, 3)
    net = clf.split(layer)
    with torch.no_grad():
        acts = net.head(images)
        logits = net.tail(acts)
        target = logits.argmax(1)
        change = (logits - net.tail(torch.zeros_like(acts))).gather(1, target[:, None])[:, 0]
    found = contributions(net, acts, None, target)
    scale = torch.maximum(change.abs(), 1e-3 * logits.abs().amax(1))
    assert bool(((found.values.sum((1, 2, 3)) - change).abs() <= 1e-3 * scale).all())
    assert not any("incomplete" in sentence for sentences in found.warnings for sentence in sentences)


@pytest.mark.parametrize("key", ["vit", "swin", "untraceable"])
def test_a_batch_is_explained_as_each_image_alone(key: str) -> None:
    clf, images = token_classifier(key), token_images(key, 3)
    layer = TOKENS[key].layers[1][0]
    net = clf.split(layer)
    with torch.no_grad():
        acts = net.head(images)
    together = contributions(net, acts, None, torch.tensor([0, 1, 2])).values
    for row in range(3):
        alone = contributions(net.sample(row), acts[row : row + 1], None, torch.tensor([row])).values
        torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("key", "layer", "least"), [("vit", "blocks.0", 0.8), ("swin", "layers.0", 0.8)])
def test_close_to_permutation_shap(key: str, layer: str, least: float) -> None:
    clf, image = token_classifier(key), token_images(key, 1)
    net = clf.split(layer)
    with torch.no_grad():
        acts = net.head(image)
        target = net.tail(acts).argmax(1)
    phi = contributions(net, acts, None, target).values.sum((2, 3))[0]
    game = ChannelGame(net.sample(0), acts, int(target))
    reference = shap_reference(game, torch.Generator().manual_seed(0), pairs=60)
    assert reference.ceiling > 0.95
    shap = torch.as_tensor(reference.phi)
    assert float(torch.cosine_similarity(phi.double(), shap.double(), dim=0)) > least


def test_an_option_of_attention_without_a_rule_is_refused_in_words() -> None:
    attention = nn.MultiheadAttention(8, 2, add_bias_kv=True).eval()
    tokens = torch.randn(5, 1, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    with RuleMode(), pytest.raises(UnsupportedOperation, match="multi-head attention only without"):
        attention(tokens, tokens, tokens)


@pytest.mark.parametrize("averaged", [True, False])
def test_attention_taken_apart_is_torchs_own_with_a_mask_for_each_head_and_with_its_weights(averaged: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    attention = nn.MultiheadAttention(8, 2).eval().double().requires_grad_(False)
    tokens = torch.randn(5, 3, 8, generator=generator, dtype=torch.float64).requires_grad_()
    mask = torch.randn(6, 5, 5, generator=generator, dtype=torch.float64)
    wanted = attention(tokens, tokens, tokens, attn_mask=mask, average_attn_weights=averaged)
    with RuleMode():
        found = attention(tokens, tokens, tokens, attn_mask=mask, average_attn_weights=averaged)
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs)
