"""Networks as other libraries make them, where those are installed: nothing here is downloaded."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn
from torchvision.models import googlenet

from cam_core import Classifier, explain
from cam_core.models.zoo.random_weights import calibrate
from tests.fingerprints import fingerprint
from tests.tiny import tiny, tiny_images

SIZE = (64, 64)
IMAGE = torch.randn(3, *SIZE, generator=torch.Generator().manual_seed(3))


def seeded(build: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build().eval()


def grad_cam(module: nn.Module, layer: str, logits: Callable[[Any], Tensor]) -> np.ndarray[Any, Any]:
    """Of the module as it is, by a hook of our own."""
    kept: list[Tensor] = []
    handle = module.get_submodule(layer).register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    score = logits(module(IMAGE[None]))[0, 1]
    handle.remove()
    (gradient,) = torch.autograd.grad(score, kept[0])
    return np.asarray((gradient.mean((2, 3), keepdim=True) * kept[0]).sum(1)[0].detach())


def check(module: nn.Module, logits: Callable[[Any], Tensor] = lambda output: output) -> Classifier:
    """Explained as by hand, on the fast path, and left alone."""
    before = fingerprint(module)
    clf = Classifier(module, input_size=SIZE, device="cpu")
    explanation = explain(clf, IMAGE, method="grad-cam", target=1)
    assert fingerprint(module) == before
    expected = grad_cam(module, clf.default_layer, logits)
    np.testing.assert_allclose(explanation.map, expected, atol=1e-5 * np.abs(expected).max())
    assert clf.split().halves.traced
    return clf


@pytest.mark.parametrize("kind", ["ResNet", "ConvNext", "ConvNextV2", "RegNet"])
def test_transformers(kind: str) -> None:
    library = pytest.importorskip("transformers")
    groups = {"embedding_size": 8, "groups_width": 8} if kind == "RegNet" else {}
    groups = {"embedding_size": 8} if kind == "ResNet" else groups
    config = getattr(library, f"{kind}Config")(
        hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], id2label={0: "cat", 1: "dog", 2: "owl"}, **groups
    )
    module = seeded(lambda: getattr(library, f"{kind}ForImageClassification")(config))
    assert check(module, lambda output: output.logits).labels == ["cat", "dog", "owl"]


def test_lightning() -> None:
    library = pytest.importorskip("lightning")

    class Trained(library.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.net = tiny("residual")

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x)

    assert check(Trained().eval()).default_layer == "net.relu2"


def test_onnx() -> None:
    pytest.importorskip("onnx2torch")
    import onnx
    import onnx2torch

    file = io.BytesIO()
    torch.onnx.export(tiny("residual"), (tiny_images(1),), file, dynamo=False, opset_version=13)
    file.seek(0)
    module = onnx2torch.convert(onnx.load(file))
    clf, plain = (Classifier(network, input_size=(16, 16), device="cpu") for network in (module, tiny("residual")))
    explanations = [explain(each, tiny_images(1)[0], method="grad-cam", target=1) for each in (clf, plain)]
    np.testing.assert_allclose(explanations[0].map, explanations[1].map, atol=1e-5)


def test_timm_in_half_precision_and_compiled() -> None:
    half = seeded(lambda: timm.create_model("resnet10t", num_classes=4)).half()
    plain = seeded(lambda: timm.create_model("resnet10t", num_classes=4)).half().float()
    for module in (half, torch.compile(half, backend="eager")):
        clf = Classifier(module, input_size=SIZE, device="cpu")
        explanation = explain(clf, IMAGE, method="grad-cam", target=1)
        expected = grad_cam(plain, clf.default_layer, lambda output: output)
        np.testing.assert_allclose(explanation.map, expected, atol=1e-5 * np.abs(expected).max())
        assert clf.split().halves.traced


@pytest.mark.filterwarnings("ignore:The default weight initialization")
def test_googlenet_while_it_trains() -> None:
    """Its training output is a named tuple with two more heads."""
    module = seeded(lambda: googlenet(num_classes=4, init_weights=True))
    calibrate(module, SIZE, 0)
    module.train()
    clf = Classifier(module, input_size=SIZE, device="cpu")
    explanation = explain(clf, IMAGE, method="grad-cam", target=1)
    assert module.training and clf.split().halves.traced
    expected = grad_cam(module.eval(), clf.default_layer, lambda output: output)
    np.testing.assert_allclose(explanation.map, expected, atol=1e-5 * np.abs(expected).max())
