"""The trainable networks against their formulas written out in loops, and what training and cutting rely on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from cam_core import Classifier, explain
from cam_core.images import Preprocessing
from cam_core.models.split.halves import build_halves
from cam_core.models.trainable.abn import ABN
from cam_core.models.trainable.backbones import build_backbone
from cam_core.models.trainable.baseline import Baseline
from cam_core.models.trainable.lfi import ARCHITECTURES, FIN_RELU, LFI, build_network, channel_masks
from cam_core.types import MethodError, ModelError, UnsupportedOperation
from tests.literal.lfi import abn_forward, lfi_forward
from tests.tiny import calibrate, enliven

CLASSES = 5
SIZE = 32
IMAGES = torch.randn(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 4])


def lively(arch: str, backbone: str = "resnet8", **options: object) -> Baseline:
    """In evaluation mode, with weights and statistics that are neither 0 nor 1."""
    network = build_network(arch, backbone, CLASSES, stem_stride=2, **options)  # type: ignore[arg-type]
    enliven(network)
    calibrate(network, torch.randn(16, 3, SIZE, SIZE))
    return network.eval()


def classifier(network: Baseline) -> Classifier:
    preprocessing = Preprocessing((SIZE, SIZE), SIZE)
    layers, default = network.layers, network.default_layer
    return Classifier(network, preprocessing=preprocessing, layers=layers, default_layer=default, device="cpu")


# ---- the formulas


@pytest.mark.parametrize("relu", FIN_RELU)
def test_lfi_is_what_its_formula_says(relu: str) -> None:
    network = lively("lfi", fin_relu=relu).double()
    assert isinstance(network, LFI)
    images = IMAGES[:2].double()
    with torch.no_grad():
        logits, attention = network(images), network.attention(images)
        weights = network.importance(images, network.features(images))
    for index, image in enumerate(images):
        for found, expected in zip(
            (logits[index], attention[index], weights[index]), lfi_forward(network, image, relu), strict=True
        ):
            np.testing.assert_allclose(found.numpy(), expected, rtol=1e-8, atol=1e-8)


def test_abn_is_what_its_formula_says() -> None:
    network = lively("abn").double()
    assert isinstance(network, ABN)
    images = IMAGES[:2].double()
    with torch.no_grad():
        logits, attention = network(images), network.attention(images)
        branch = network.branch(network.features(images))[1]
    for index, image in enumerate(images):
        for found, expected in zip(
            (logits[index], attention[index], branch[index]), abn_forward(network, image), strict=True
        ):
            np.testing.assert_allclose(found.numpy(), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("relu", "count"), [("alternate", 2), ("all", 4)])
def test_orderings_of_relu(relu: str, count: int) -> None:
    network = build_network("lfi", "resnet8", 2, fin_relu=relu)
    assert isinstance(network, LFI)
    assert sum(isinstance(part, nn.ReLU) for part in network.importance.convolutions) == count


@pytest.mark.parametrize(("backbone", "relu"), [("resnet8", "alternate"), ("imagenet-resnet18", "all")])
def test_ordering_by_the_kind_of_backbone(backbone: str, relu: str) -> None:
    assert build_network("lfi", backbone, 2).recipe.fin_relu == relu


def test_losses_are_cross_entropies() -> None:
    for arch in ("lfi", "baseline"):
        network = lively(arch)
        loss, logits = network.loss(IMAGES, LABELS)
        assert torch.equal(logits, network(IMAGES))
        assert torch.equal(loss, functional.cross_entropy(logits, LABELS))
    network = lively("abn")
    assert isinstance(network, ABN)
    loss, logits = network.loss(IMAGES, LABELS)
    branch = network.branch(network.features(IMAGES))[1]
    assert torch.equal(logits, network(IMAGES))
    expected = functional.cross_entropy(logits, LABELS) + functional.cross_entropy(branch, LABELS)
    torch.testing.assert_close(loss, expected)


# ---- exact behaviour at the edges


def test_masks_of_constant_and_empty_channels_are_exact() -> None:
    acts = torch.tensor([[[[0.0, 0.0], [0.0, 0.0]], [[3.0, 3.0], [3.0, 3.0]], [[1.0, 2.0], [5.0, 3.0]]]])
    expected = torch.tensor([[[[0.0, 0.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]], [[0.0, 0.25], [1.0, 0.5]]]])
    assert torch.equal(channel_masks(acts), expected)


def test_masks_are_zero_where_a_signed_channel_is_zero() -> None:
    assert torch.equal(channel_masks(torch.tensor([[[[-1.0, 0.0], [1.0, 3.0]]]])), torch.tensor([[[[0, 0], [0.5, 1]]]]))


def test_gradients_through_constant_channels_are_finite() -> None:
    acts = torch.tensor([[[[2.0, 2.0], [2.0, 2.0]], [[0.0, 0.0], [0.0, 0.0]]]], requires_grad=True)
    (gradient,) = torch.autograd.grad(channel_masks(acts).square().sum(), acts, create_graph=True)
    (second,) = torch.autograd.grad(gradient.sum(), acts, allow_unused=True)
    assert gradient.isfinite().all()
    assert second is None or second.isfinite().all()


@pytest.mark.parametrize("value", [0.0, 2.0])
def test_constant_features_give_a_constant_attention_as_it_is(value: float) -> None:
    network = lively("lfi")
    assert isinstance(network, LFI)
    channels = network.classifier.in_features
    acts = torch.full((2, channels, 4, 4), value)
    weights = network.importance(IMAGES[:2], acts)
    torch.testing.assert_close(network.weighted(acts, weights), torch.full((2, 4, 4), value))


@pytest.mark.parametrize("backbone", ["resnet8", "densenet10"])
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_evaluation_is_independent_of_the_batch(arch: str, backbone: str) -> None:
    network = lively(arch, backbone).double()
    images = IMAGES.double()
    with torch.no_grad():
        torch.testing.assert_close(network(images), torch.cat([network(image[None]) for image in images]))
        if arch != "baseline":
            alone = torch.cat([network.attention(image[None]) for image in images])
            torch.testing.assert_close(network.attention(images), alone)


def test_attention_lies_between_0_and_1_and_the_baseline_has_none() -> None:
    for arch in ("lfi", "abn"):
        attention = lively(arch).attention(IMAGES)
        assert attention is not None and attention.shape == (4, 4, 4)
        assert attention.min() >= 0 and attention.max() <= 1
    assert lively("baseline").attention(IMAGES) is None


# ---- building


@pytest.mark.parametrize(
    ("backbone", "channels", "size"),
    [("resnet20", 64, 8), ("resnet44", 256, 8), ("densenet10", 27, 8), ("imagenet-resnet18", 512, 2)],
)
def test_backbones_have_the_channels_and_resolution_of_the_paper(backbone: str, channels: int, size: int) -> None:
    built = build_backbone(backbone)
    assert built.channels == channels
    assert built.features.eval()(IMAGES[:1]).shape == (1, channels, size, size)


def test_224_pixels_end_in_14_positions() -> None:
    with torch.device("meta"):
        features = build_backbone("imagenet-resnet18").features
        assert features(torch.empty(2, 3, 224, 224)).shape == (2, 512, 14, 14)


@pytest.mark.parametrize("depth", [20, 32, 44, 110])
def test_depth_counts_convolutions(depth: int) -> None:
    """6n + 2 with one linear layer; a bottleneck block has three convolutions where a basic one has two."""
    with torch.device("meta"):
        features = build_backbone(f"resnet{depth}").features
    kernels = [part for part in features.modules() if isinstance(part, nn.Conv2d)]
    shortcuts = sum(name.endswith("downsample.0") for name, _ in features.named_modules())
    blocks = (depth - 2) // 6 * 3
    assert len(kernels) - shortcuts == 1 + blocks * (3 if depth >= 44 else 2)


def test_all_architectures_share_the_backbone() -> None:
    parts = [build_network(arch, "resnet8", 3, seed=1).features.state_dict() for arch in ARCHITECTURES]
    assert parts[0].keys() == parts[1].keys() == parts[2].keys()


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_seed_decides_the_weights_and_nothing_else_is_touched(arch: str) -> None:
    state = torch.get_rng_state()
    one, same, other = (build_network(arch, "resnet8", 3, seed=seed).state_dict() for seed in (4, 4, 5))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(map(torch.equal, one.values(), same.values()))
    assert not torch.equal(one["features.stem.0.weight"], other["features.stem.0.weight"])
    assert one["classifier.weight"].any()


def test_initialisation_is_the_references() -> None:
    network = build_network("lfi", "resnet20", 10)
    assert isinstance(network, LFI)
    weight = next(network.importance.convolutions.parameters())
    assert float(weight.detach().std()) == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.02)
    assert all(bool((part.weight == 1).all()) for part in network.modules() if isinstance(part, nn.BatchNorm2d))


WRONG: list[tuple[Callable[[], object], str]] = [
    (lambda: build_network("cam", "resnet20", 3), "unknown architecture 'cam'; there are: lfi, baseline, abn"),
    (lambda: build_network("lfi", "resnet20", 0), "classes=0"),
    (lambda: build_network("lfi", "resnet20", 3, fin_relu="some"), "fin_relu='some'"),
    (lambda: build_network("lfi", "resnet20", 3, stem_stride=3), "stem_stride=3"),
    (lambda: build_network("lfi", "resnet20", 3, frozen=True), "no official weights"),
    (lambda: build_network("lfi", "resnet18", 3, stem_stride=2), "keeps its stride"),
    (lambda: build_network("lfi", "imagenet-resnet19", 3), "unknown backbone 'imagenet-resnet19'"),
    (lambda: build_network("lfi", "resnet21", 3), "unknown model 'resnet21'"),
    (lambda: build_network("lfi", "resnet9998", 3), "unknown model 'resnet9998'"),
]


@pytest.mark.parametrize(("build", "words"), WRONG, ids=[words for _, words in WRONG])
def test_what_cannot_be_built_is_refused(build: Callable[[], object], words: str) -> None:
    with pytest.raises(ModelError) as caught:
        build()
    assert words in str(caught.value)


# ---- training


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_weight_learns(arch: str) -> None:
    network = build_network(arch, "resnet8", CLASSES, stem_stride=2)
    network.loss(IMAGES, LABELS)[0].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in network.parameters())


def test_a_frozen_backbone_gets_no_gradient_and_keeps_its_statistics() -> None:
    network = build_network("lfi", "efficientnet_lite0", CLASSES, frozen=True)
    before = {name: value.clone() for name, value in network.features.state_dict().items()}
    network.train()
    optimiser = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    network.loss(IMAGES, LABELS)[0].backward()
    optimiser.step()
    after = network.features.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert all(parameter.grad is None for parameter in network.features.parameters())
    assert all(parameter.grad is not None for parameter in network.classifier.parameters())
    assert not network.features.training and network.importance.training  # type: ignore[union-attr]


def test_a_catalogue_backbone_ends_at_its_default_layer() -> None:
    from cam_core import load_model

    clf = load_model("efficientnet_lite0", device="cpu")
    network = build_network("baseline", "efficientnet_lite0", 3, frozen=True).eval()
    seen: list[Tensor] = []
    clf.module.get_submodule("bn2").register_forward_hook(lambda _m, _i, output: seen.append(output))
    with torch.no_grad():
        clf.module(IMAGES)
        assert torch.equal(network.features(IMAGES), seen[0])


# ---- explaining


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_cut_anywhere_to_the_bit(arch: str) -> None:
    network = lively(arch)
    with torch.no_grad():
        expected = network(IMAGES[:2])
        for layer, _ in network.layers:
            halves = build_halves(network, layer, IMAGES[:1], prepared=False)
            assert halves.traced
            acts, context = halves.head(IMAGES[:2])
            assert torch.equal(halves.tail(acts, context), expected)


@pytest.mark.parametrize("layer", ["features", "attended"])
def test_lfi_cam_is_the_networks_own_attention(layer: str) -> None:
    network = lively("lfi")
    assert isinstance(network, LFI)
    found = explain(classifier(network), IMAGES[0], method="lfi-cam", layer=layer)
    with torch.no_grad():
        acts = network.features(IMAGES[:1])
        weights = network.importance(IMAGES[:1], acts)
        attention = network.attention(IMAGES[:1])
    weighted = torch.einsum("k,khw->hw", weights[0], acts[0])
    np.testing.assert_allclose(found.map, weighted.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.coefficients, weights[0].numpy(), rtol=1e-4, atol=1e-6)
    positive = np.maximum(found.map, 0)
    own = (positive - positive.min()) / (positive.max() - positive.min())
    np.testing.assert_allclose(own, attention[0].numpy(), atol=1e-4)
    assert float(found.coefficients.sum()) == pytest.approx(1, abs=1e-5)
    assert found.passes.head + found.passes.tail >= 3


def test_lfi_cam_works_on_a_compiled_network_and_in_other_precisions() -> None:
    clf = classifier(lively("lfi"))
    usual = explain(clf, IMAGES[0], method="lfi-cam")
    double = explain(clf, IMAGES[0], method="lfi-cam", precision="float64")
    compiled = explain(clf, IMAGES[0], method="lfi-cam", compiled=True)
    np.testing.assert_allclose(usual.map, double.map, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(usual.map, compiled.map, rtol=1e-4, atol=1e-5)


def test_lfi_cam_says_what_to_load_and_where_to_look() -> None:
    for arch in ("baseline", "abn"):
        with pytest.raises(MethodError, match=r"take lfi_digits, or an LFI network that you have trained"):
            explain(classifier(lively(arch)), IMAGES[0], method="lfi-cam")
    with pytest.raises(MethodError, match=r"64 × 4 × 4.*not this layer \(32 × 8 × 8\): choose the layer 'features'"):
        explain(classifier(lively("lfi")), IMAGES[0], method="lfi-cam", layer="features.layer2")


def test_an_untraced_network_has_no_lfi_cam() -> None:
    clf = classifier(lively("lfi"))
    net = clf.split("features", force_hooks=True)
    with torch.no_grad():
        acts = net.head(IMAGES[:1])
    assert net.outputs_of(IMAGES[:1], acts, ("importance.softmax",)) is None


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_post_hoc_methods_run_on_it(arch: str) -> None:
    clf = classifier(lively(arch))
    for method in ("cam", "grad-cam", "lift-cam", "score-cam", "shap", "owen-cam"):
        assert np.isfinite(explain(clf, IMAGES[0], method=method, target=1).map).all()
    for method in ("grad-cam", "score-cam", "owen-cam"):
        found = explain(clf, IMAGES[0], method=method, layer="features", target=1)
        assert np.isfinite(found.map).all() and found.map.any()


def test_behind_the_attention_shapley_values_are_exact_and_before_it_lift_cam_says_why_not() -> None:
    clf = classifier(lively("lfi"))
    lift, shap = (explain(clf, IMAGES[0], method=key, target=1).coefficients for key in ("lift-cam", "shap"))
    np.testing.assert_allclose(lift, shap, rtol=1e-4, atol=1e-6)
    with pytest.raises(UnsupportedOperation, match="'amin'"):
        explain(clf, IMAGES[0], method="lift-cam", layer="features")
