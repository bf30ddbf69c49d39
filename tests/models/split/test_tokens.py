"""Tokens seen as channels × height × width: which, where, and that the halves still make the network."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from cam_core import METHODS, Classifier, explain, methods_at
from cam_core.models.split.layers import in_words, inspect_layers
from cam_core.models.split.views import Grids, View
from cam_core.types import LayerError, MethodError, ModelError
from tests.token_networks import TOKENS, token_classifier, token_images, token_module

EVERY_LAYER = [(key, layer) for key, network in TOKENS.items() for layer, *_ in network.layers]


def output_of(module: nn.Module, layer: str, images: Tensor) -> Tensor:
    kept: list[Tensor] = []
    handle = module.get_submodule(layer).register_forward_hook(lambda _m, _i, output: kept.append(output.clone()))
    with torch.no_grad():
        module(images)
    handle.remove()
    return kept[-1]


@pytest.mark.parametrize("key", TOKENS)
def test_blocks_are_offered_up_to_where_the_patches_decide(key: str) -> None:
    clf = token_classifier(key)
    assert [(layer.name, layer.channels, layer.height, layer.width) for layer in clf.layers] == [*TOKENS[key].layers]
    assert clf.default_layer == TOKENS[key].default


@pytest.mark.parametrize("key", TOKENS)
def test_the_default_is_the_last_whose_patches_have_a_gradient(key: str) -> None:
    """By hand: a step along each layer's patches moves the logits at the default, and nowhere behind it."""
    module, image = token_module(key), token_images(key, 1)
    names = [name for name, _ in module.named_modules() if name]
    module.requires_grad_(True)
    outputs: dict[str, Tensor] = {}
    for name in names:
        module.get_submodule(name).register_forward_hook(lambda _m, _i, out, name=name: outputs.update({name: out}))
    logits = module(image.requires_grad_())
    (gradient,) = torch.autograd.grad(logits[0, 0], outputs[TOKENS[key].default], retain_graph=True)
    assert bool((patches(gradient, TOKENS[key].extra) != 0).any())
    if TOKENS[key].extra and key != "beit":
        for name in ("blocks.2", "norm"):
            (gradient,) = torch.autograd.grad(logits[0, 0], outputs[name], retain_graph=True)
            assert not bool((patches(gradient, TOKENS[key].extra) != 0).any())


def patches(tokens: Tensor, extra: int) -> Tensor:
    return tokens[:, extra:] if tokens.ndim == 3 else tokens


@pytest.mark.parametrize("force_hooks", [False, True], ids=["as it is", "by hooks"])
@pytest.mark.parametrize(("key", "layer"), EVERY_LAYER)
def test_the_halves_make_the_network(key: str, layer: str, force_hooks: bool) -> None:
    clf, images = token_classifier(key), token_images(key)
    net = clf.split(layer, force_hooks=force_hooks)
    assert net.halves.traced == (TOKENS[key].traced and not force_hooks)
    with torch.no_grad():
        expected = clf.module(images)
        found = net.tail(net.head(images))
    assert float((found - expected).abs().max()) <= 1e-4 * float(expected.abs().max())


@pytest.mark.parametrize("force_hooks", [False, True], ids=["as it is", "by hooks"])
@pytest.mark.parametrize(("key", "layer"), EVERY_LAYER)
def test_every_patch_stands_where_it_is_in_the_image(key: str, layer: str, force_hooks: bool) -> None:
    clf, images = token_classifier(key), token_images(key)
    with torch.no_grad():
        acts = clf.split(layer, force_hooks=force_hooks).head(images)
    whole = output_of(clf.module, layer, images)
    if key == "hiera" and layer.startswith("blocks."):  # by timm's own way back to rows
        whole = token_module(key).reroll(whole, int(layer.removeprefix("blocks.")))
    _, channels, height, width = next(shape for shape in TOKENS[key].layers if shape[0] == layer)
    assert acts.shape == (2, channels, height, width)
    for i in range(height):
        for j in range(width):
            if whole.ndim == 3:
                at = whole[:, TOKENS[key].extra + i * width + j]
            else:
                at = whole[:, i, j] if whole.shape[-1] == channels else whole[:, :, i, j]
            torch.testing.assert_close(acts[:, :, i, j], at, rtol=1e-4, atol=1e-5)


def test_class_and_register_tokens_are_those_of_the_unmasked_image() -> None:
    """A tail of zeros, against a pass of the network in which the patches alone are set to 0."""
    for key in ("vit", "wide with registers", "deit", "beit"):
        module, images, extra = token_module(key), token_images(key), TOKENS[key].extra
        clf = token_classifier(key)
        for force_hooks in (False, True):
            net = clf.split("blocks.1", force_hooks=force_hooks)
            with torch.no_grad():
                found = net.tail(torch.zeros_like(net.head(images)))

            def emptied(_module: nn.Module, _inputs: object, output: Tensor, extra: int = extra) -> Tensor:
                return torch.cat([output[:, :extra], torch.zeros_like(output[:, extra:])], 1)

            handle = module.blocks[1].register_forward_hook(emptied)
            with torch.no_grad():
                expected = module(images)
            handle.remove()
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_the_first_patches_of_the_image_are_the_first_of_the_map() -> None:
    """Only one patch of the image changes: at the embedding, only its position does."""
    for key in ("vit", "swin", "wide with registers", "untraceable"):
        clf = token_classifier(key)
        layer, _, height, _ = TOKENS[key].layers[0]
        image = token_images(key, 1)
        other = image.clone()
        side = TOKENS[key].size[0] // height
        other[:, :, side : 2 * side, :side] += 1
        net = clf.split(layer)
        with torch.no_grad():
            moved = (net.head(image) - net.head(other)).abs().sum((0, 1)) > 1e-6
        assert moved.nonzero().tolist() == [[1, 0]]


@pytest.mark.parametrize("key", ["vit", pytest.param("swin", marks=pytest.mark.slow), "untraceable"])
def test_what_is_said_of_each_method_beforehand_is_what_happens(key: str) -> None:
    clf, image = token_classifier(key), token_images(key, 1)[0]
    for layer in (clf.default_layer, clf.layers[1].name):
        for method, reason in methods_at(clf, layer).items():
            if METHODS[method].multi_layer:
                continue
            if reason:
                with pytest.raises(MethodError) as refusal:
                    explain(clf, image, method=method, layer=layer)
                assert str(refusal.value) == reason
            else:
                assert explain(clf, image, method=method, layer=layer).saliency.shape == TOKENS[key].size
    assert methods_at(clf)["lift-cam"] == methods_at(clf)["shap"] == methods_at(clf)["owen-cam"] == ""
    assert "LRP has no rule for the operation" in methods_at(clf, clf.layers[0].name)["lrp-cam"]


def test_pooling_and_a_linear_layer_behind_tokens_too() -> None:
    clf = token_classifier("swin")
    assert methods_at(clf, "norm")["cam"] == ""
    image = token_images("swin", 1)[0]
    weights = torch.as_tensor(explain(clf, image, method="cam", target=3).coefficients)
    torch.testing.assert_close(weights, clf.module.head.fc.weight[3].detach())
    lift = torch.as_tensor(explain(clf, image, method="lift-cam", target=3).coefficients)
    acts = output_of(clf.module, "norm", image[None])
    torch.testing.assert_close(lift, weights * acts[0].mean((0, 1)), rtol=1e-4, atol=1e-5)
    assert "stands in the way" in methods_at(token_classifier("vit"))["cam"]


def test_a_named_layer_behind_the_last_attention_has_no_gradient_and_says_so() -> None:
    found = explain(token_classifier("vit"), token_images("vit", 1)[0], method="grad-cam", layer="norm")
    assert found.map.shape == (4, 4)
    assert any("constant" in sentence for sentence in found.warnings)


class Dropping(nn.Module):
    """Works on the first ten of sixteen patches."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, stride=8)
        self.blocks = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.patches(x).flatten(2).transpose(1, 2)[:, :10]).mean(1))


def test_tokens_that_form_no_grid_are_refused_in_words() -> None:
    module = Dropping().eval()
    with pytest.raises(LayerError, match=r"'blocks.layers.0' yields 10 × 16 values: neither.*grid such as 4 × 4"):
        inspect_layers(module, (32, 32), ["blocks.layers.0"])
    with pytest.raises(LayerError, match="neither channels × height × width"):
        Classifier(module, input_size=(32, 32), default_layer="blocks", device="cpu").split("blocks")
    with pytest.raises(ModelError, match=r"work on tokens.*the layer 'blocks' yields 10 × 16 values: neither"):
        _ = Classifier(module, input_size=(32, 32), device="cpu").layers


class OfAnySize(Dropping):
    """All tokens, and no table of positions that would ask for so many."""

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


@pytest.mark.parametrize("force_hooks", [False, True])
def test_tokens_of_another_grid_are_refused_in_words(force_hooks: bool) -> None:
    clf = Classifier(OfAnySize().eval(), input_size=(32, 32), device="cpu")
    net = clf.split("blocks", force_hooks=force_hooks)
    with pytest.raises(LayerError, match="known on a grid of 4 × 4 alone"):
        net.head(torch.zeros(1, 3, 64, 64))


class Unroll(nn.Module):
    """Puts tokens into an order of its own, as Hiera's does, and does not say into which."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.order = torch.randperm(count, generator=torch.Generator().manual_seed(0))

    def forward(self, x: Tensor) -> Tensor:
        return x[:, self.order]


def test_tokens_in_an_order_of_their_own_are_refused() -> None:
    module = token_module("hiera")
    module.unroll = Unroll(8 * 16)
    with pytest.raises(LayerError, match="not in the order of the image"):
        inspect_layers(module, (32, 64), ["blocks.1"])
    with pytest.raises(ModelError, match=r"work on tokens.*cannot be seen as.*not in the order of the image"):
        _ = Classifier(module, input_size=(32, 64), device="cpu").layers


def grids(size: tuple[int, int], extra: int, *known: tuple[int, int]) -> Grids:
    result = Grids(size, extra)
    for grid in known:
        result.learn(torch.Size([1, 1, *grid]), spatial=True)
    return result


@pytest.mark.parametrize(
    ("grid", "windows"), [((4, 6), ()), ((4, 6), ((2, 3),)), ((8, 12), ((2, 2), (2, 3))), ((12, 4), ((3, 1), (2, 2)))]
)
def test_windows_position_by_position(grid: tuple[int, int], windows: tuple[tuple[int, int], ...]) -> None:
    """The rank of a patch, by hand: its position in the smallest window counts most, that of the windows least."""
    view = View("tokens", grid, 1, windows)
    ranks = torch.zeros(grid, dtype=torch.long)
    for i in range(grid[0]):
        for j in range(grid[1]):
            rank, row, column, height, width = 0, i, j, *grid
            for high, wide in windows:
                rank = rank * high * wide + row % high * wide + column % wide
                row, column, height, width = row // high, column // wide, height // high, width // wide
            ranks[i, j] = rank * height * width + row * width + column
    tokens = torch.randn(2, 1 + grid[0] * grid[1], 5, generator=torch.Generator().manual_seed(0))
    acts = view.maps(tokens)
    assert torch.equal(acts, tokens[:, 1:].transpose(1, 2)[:, :, ranks])
    assert torch.equal(view.output(acts, tokens), tokens)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((1, 197, 8), View("tokens", (14, 14), 1)),
        ((1, 196, 8), View("tokens", (14, 14), 0)),
        ((1, 49, 8), View("tokens", (7, 7), 0)),  # half of it
        ((1, 14, 14, 8), View("channels last", (14, 14))),
        ((1, 8, 14, 14), View()),
        ((4, 49, 8), View()),  # windows are no image
        ((1, 195, 8), View()),
        ((1, 4, 197, 197), View()),
    ],
)
def test_views_by_shape(shape: tuple[int, ...], expected: View) -> None:
    assert grids((224, 224), 1, (14, 14), (1, 1)).view(torch.Size(shape)) == expected


def test_a_grid_is_shaped_like_the_image() -> None:
    assert grids((64, 64), 0, (2, 8), (4, 4)).view(torch.Size([1, 16, 3])) == View("tokens", (4, 4))
    assert grids((32, 128), 0, (4, 4), (2, 8)).view(torch.Size([1, 16, 3])) == View("tokens", (2, 8))


def test_layers_in_words() -> None:
    labels = [layer.label for layer in token_classifier("vit").layers]
    assert labels[1] == "block 0 · 24 × 4 × 4"
    assert labels[-1] == "block 2, norm1 · 24 × 4 × 4"
    assert in_words("layers.0.blocks.1") == "layer 0, block 1"
    assert in_words("features.29") == "features.29"


class Crosswise(nn.Module):
    """Tokens that lie in memory channel by channel up to the mean over them, as in a relative-position ViT."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.blocks, self.head = nn.Conv2d(3, 96, 4, 4), nn.ModuleList([Halfway()]), nn.Linear(96, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks[0](self.embed(x).flatten(2).transpose(1, 2)).mean(1))


class Halfway(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mixed = nn.Linear(96, 96)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mixed(x)


def test_another_order_in_memory_costs_last_digits_and_not_the_fast_path() -> None:
    module, images = Crosswise().eval(), torch.randn(3, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    clf = Classifier(module, input_size=(40, 40), device="cpu")
    net = clf.split("blocks.0")
    assert net.halves.traced and clf.default_layer == "blocks.0"
    with torch.no_grad():
        torch.testing.assert_close(net.tail(net.head(images)), module(images), rtol=1e-5, atol=1e-6)
