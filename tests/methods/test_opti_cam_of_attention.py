"""Opti-CAM with the class token's attention maps as channels: the literal loop on rows written out, and refusals."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

from cam_core import METHODS, Classifier, explain
from cam_core.methods.class_attention import class_attention
from cam_core.models.zoo.random_weights import calibrate
from cam_core.types import MethodError
from tests import literal
from tests.literal.activation_cams import blend_normalised
from tests.token_networks import TOKENS, token_classifier, token_images, token_module

# The layer, and the block whose attention comes next behind it.
NEXT = {"patch_embed.proj": 0, "blocks.0": 1, "blocks.1": 2, "blocks.2.norm1": 2}
WITH_CLASS_TOKEN = ("vit", "wide with registers", "deit")
mixing_attention = partial(explain, method="opti-cam", channels="class-attention")


def rows_of(key: str, block: int, x: Tensor) -> Tensor:
    """(heads, h, w) of one image, from what a plain float64 copy hands to the attention."""
    module = token_module(key).double()
    kept: list[Tensor] = []
    module.blocks[block].norm1.register_forward_hook(lambda _m, _i, output: kept.append(output))
    with torch.no_grad():
        module(x.double())
    _, _, height, width = TOKENS[key].layers[0]
    rows = literal.class_token_rows(module.blocks[block], kept[0][0], TOKENS[key].extra)
    return rows.reshape(-1, height, width)


@pytest.mark.parametrize("layer", ["blocks.0", "blocks.2.norm1"])
@pytest.mark.parametrize("key", ["vit", "wide with registers"])
def test_the_map_is_that_of_the_literal_loop_over_heads(key: str, layer: str) -> None:
    clf, x = token_classifier(key), token_images(key, 1)
    found = mixing_attention(
        clf, x[0], layer=layer, target=2, steps=6, learning_rate=0.5, mask_space="normalized", precision="float64"
    )
    rows = rows_of(key, NEXT[layer], x)
    net = literal.Hooked(clf.module, layer)
    expected, trace = literal.opti_cam(net, x.double(), 2, blend_normalised, iterations=6, rate=0.5, mixed=rows)
    assert found.coefficients is None and found.map.shape == rows.shape[1:]
    np.testing.assert_allclose(found.map, expected.map, rtol=1e-5)
    np.testing.assert_allclose(found.extras["trace"], trace, rtol=1e-5)
    assert np.abs(found.map - rows.mean(0).numpy()).max() > 1e-3 * found.map.max()  # no longer where it began


@pytest.mark.parametrize("force_hooks", [False, True], ids=["as it is", "by hooks"])
@pytest.mark.parametrize("layer", NEXT)
@pytest.mark.parametrize("key", WITH_CLASS_TOKEN)
def test_rows_are_those_of_the_next_attention_image_by_image(key: str, layer: str, force_hooks: bool) -> None:
    images = token_images(key)
    net = token_classifier(key).split(layer, force_hooks=force_hooks)
    with torch.no_grad():
        found = class_attention(net, net.head(images))
    assert not found.requires_grad and bool((found.sum((2, 3)) < 1).all())
    for image, maps in zip(images, found, strict=True):
        torch.testing.assert_close(maps.double(), rows_of(key, NEXT[layer], image[None]), rtol=1e-4, atol=1e-6)


def test_attention_that_is_written_in_several_steps_has_the_same_rows() -> None:
    module, image = token_module("vit"), token_images("vit", 1)
    for part in module.modules():
        if hasattr(part, "fused_attn"):
            part.fused_attn = False
    net = Classifier(module, input_size=(64, 64), device="cpu").split("blocks.1")
    with torch.no_grad():
        found = class_attention(net, net.head(image))
    torch.testing.assert_close(found[0].double(), rows_of("vit", 2, image), rtol=1e-4, atol=1e-6)


class Torchs(nn.Module):
    """torch's own encoder layers behind a class token."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, stride=8)
        self.class_token = nn.Parameter(torch.randn(1, 1, 16))
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True) for _ in range(2))
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.class_token.expand(x.shape[0], -1, -1), self.patches(x).flatten(2).transpose(1, 2)], 1)
        for layer in self.layers:
            x = layer(x)
        return self.head(x[:, 0])


def test_torchs_own_attention_has_rows_too() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        module = Torchs().eval()
    image = token_images("untraceable", 1)
    clf = Classifier(module, input_size=(32, 24), device="cpu")
    found = mixing_attention(clf, image[0], layer="layers.0", steps=1).map
    given: list[Tensor] = []
    with torch.no_grad():
        module.layers[0].register_forward_hook(lambda _m, _i, output: given.append(output))
        module(image)
        _, weights = module.layers[1].self_attn(given[0], given[0], given[0])  # (1, N, N), the mean over heads
    np.testing.assert_allclose(found.ravel(), weights[0, 0, 1:], rtol=1e-4)


@pytest.mark.parametrize(
    ("key", "layer", "reason"),
    [
        ("swin", "norm", "no token attends to them there beside themselves"),
        ("untraceable", "layers.0", "no token attends to them there beside themselves"),
        ("vit", "norm", "no token attends to them there beside themselves"),
        ("beit", "blocks.1", "the network decides by its patches"),
    ],
)
def test_without_a_class_token_that_looks_on_it_is_refused_in_words(key: str, layer: str, reason: str) -> None:
    with pytest.raises(MethodError, match=f"needs a class token that decides.*{reason}: choose channels='activations'"):
        mixing_attention(token_classifier(key), token_images(key, 1)[0], layer=layer)


def test_registers_alone_are_no_class_token() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = timm.create_model(
            "vit_tiny_patch16_224",
            img_size=64,
            embed_dim=24,
            depth=3,
            num_heads=2,
            num_classes=5,
            class_token=False,
            reg_tokens=2,
            global_pool="avg",
        )
        calibrate(module, (64, 64), seed=0)
    clf = Classifier(module.eval(), input_size=(64, 64), device="cpu")
    with pytest.raises(MethodError, match="the network decides by its patches"):
        mixing_attention(clf, token_images("vit", 1)[0], layer="blocks.0")


def test_it_costs_one_pass_of_the_tail_more() -> None:
    clf, image = token_classifier("vit"), token_images("vit", 1)[0]
    plain, mixed = (
        explain(clf, image, method="opti-cam", steps=3, early_stop=False, channels=channels).passes
        for channels in ("activations", "class-attention")
    )
    assert (mixed.head, mixed.tail) == (plain.head, plain.tail + 1)
    planned = {
        channels: METHODS["opti-cam"].planned(None, METHODS["opti-cam"].validate({"channels": channels}))
        for channels in ("activations", "class-attention")
    }
    assert planned["class-attention"].tail == planned["activations"].tail + 1
