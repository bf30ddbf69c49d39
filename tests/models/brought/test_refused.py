"""What cannot be explained as it is: refused in words that say what to bring instead, and never by a raw error."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from cam_core import Classifier, explain
from cam_core.types import CamError, ModelError
from tests.fingerprints import fingerprint
from tests.models.brought.as_brought import SIZE, Around, Output, as_written, returning
from tests.tiny import CLASSES, Plain, Untraceable, tiny, tiny_images


class Reading(nn.Module):
    """A network that needs a text beside the image."""

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        return image.mean((2, 3)) + text


class WithoutForward(nn.Module):
    """As a training module is written that only has steps."""

    def __init__(self) -> None:
        super().__init__()
        self.net = tiny("plain")


class OneAtATime(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.pool(self.features(x)).view(1, 8))


class Detached(Untraceable):
    """Cannot be traced, and cuts gradients off."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).detach()


class NoOddNumbers(Untraceable):
    """Fails for batches that were not tried when it came."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype != torch.float32:
            raise RuntimeError("float32 only")
        return super().forward(x)


def quantised() -> nn.Module:
    with pytest.warns(DeprecationWarning, match="deprecated"):
        return torch.ao.quantization.quantize_dynamic(tiny("plain"), {nn.Linear})


class Viewing(Plain):
    """Writes the number of images into the program."""

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.pool(self.features(x)).view(x.size(0), 8))


class Looping(Plain):
    """As long as its numbers are large: nobody knows how often."""

    def forward(self, x: Tensor) -> Tensor:
        logits = self.fc(torch.flatten(self.pool(self.features(x)), 1))
        while bool(logits.abs().max() > 0.1):
            logits = logits / 2
        return logits


def headless() -> nn.Module:
    network = resnet18(num_classes=CLASSES)
    network.fc = nn.Identity()  # type: ignore[assignment]
    return network


def lazy() -> nn.Module:
    return nn.Sequential(nn.LazyConv2d(4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))


def on_meta() -> nn.Module:
    return Plain().to("meta")


def locked() -> nn.Module:
    network = tiny("plain")
    network.lock = threading.Lock()  # type: ignore[assignment]
    return network


def segmenting(maps: Tensor) -> Any:
    return {"out": maps[:, :, None, None].expand(-1, -1, 4, 4)}


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "TorchScript with a loop": (
        lambda: torch.jit.script(as_written(Looping)()),
        r"TorchScript, which could not be taken apart \(prim::Loop is in its code\): bring the Python",
    ),
    "TorchScript inside": (lambda: Around(torch.jit.script(tiny("plain"))), "a part of the network is TorchScript"),
    "dynamically quantised": (quantised, "quantised.*bring the float network"),
    "integer weights": (
        lambda: Around(nn.ParameterList([nn.Parameter(torch.ones(2, dtype=torch.int8), requires_grad=False)])),
        "quantised",
    ),
    "lazy": (lazy, "run it once"),
    "meta device": (on_meta, "load the weights"),
    "a function": (lambda: lambda images: images, "nn.Module, not of a function"),
    "a file of ONNX": (lambda: "network.onnx", "not of a str.*load_model"),
    "timm's num_classes=0": (lambda: timm.create_model("resnet10t", num_classes=0), "features.*num_classes=0"),
    "head taken off": (headless, "features.*its fc is an nn.Identity"),
    "exported for one image": (
        lambda: torch.export.export(as_written(Viewing)(), (tiny_images(1),)),
        "2 images at once.*exported or traced for one image, make it again for any number",
    ),
    "timm's feature maps": (lambda: timm.create_model("resnet10t", features_only=True), "one score per position"),
    "structure without logits": (
        returning(lambda logits: Output(last_hidden_state=logits, pooler_output=logits)),
        r"Output \(last_hidden_state, pooler_output\).*logits=",
    ),
    "segmentation": (returning(segmenting), "2 × 5 × 4 × 4: one score per position.*logits="),
    "class indices": (returning(lambda logits: logits.argmax(1)), "int64 values, not scores.*argmax"),
    "no tensor": (returning(lambda logits: None), "returns NoneType"),
    "a mean over images": (returning(lambda logits: logits.mean()), "one number"),
    "another argument": (Reading, "asks for text beside the image"),
    "no forward": (WithoutForward, "WithoutForward has no forward"),
    "one image at a time": (as_written(OneAtATime), "2 images at once"),
    "no gradient": (lambda: Detached().eval(), "no gradient passes"),
    "a lock in it": (locked, "cannot be copied"),
    "no convolution": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(768, 2)), "no layer that yields a feature map"),
}


# Weights that have no values, or state that is not of tensors.
_WITHOUT_FINGERPRINT = ("lazy", "meta device", "dynamically quantised")


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_words(name: str) -> None:
    build, words = REFUSED[name]
    module = build()
    tried = isinstance(module, nn.Module) and name not in _WITHOUT_FINGERPRINT
    before = fingerprint(module) if tried else None
    with pytest.raises(ModelError, match=words):
        explain(Classifier(module, input_size=SIZE, device="cpu"), tiny_images(1)[0], method="grad-cam")
    assert (fingerprint(module) if tried else None) == before


def test_what_is_seen_without_running_it_is_refused_at_once() -> None:
    for name in list(REFUSED)[:10]:
        with pytest.raises(ModelError, match=REFUSED[name][1]):
            Classifier(REFUSED[name][0]())


def test_features_that_are_said_to_be_scores_are_taken() -> None:
    clf = Classifier(headless().eval(), input_size=(64, 64), device="cpu", logits=lambda features: features[:, :3])
    assert len(clf.labels) == 3


@pytest.mark.parametrize(
    ("choose", "words"),
    [(lambda output: output["scores"], "logits=… failed on Output.*KeyError"), (len, "gave int, not a tensor")],
)
def test_own_choice_of_logits_that_is_none(choose: Callable[[Any], Any], words: str) -> None:
    network = returning(lambda logits: Output(logits=logits))()
    with pytest.raises(ModelError, match=words):
        Classifier(network, input_size=SIZE, device="cpu", logits=choose).labels  # noqa: B018


def test_image_that_it_cannot_take() -> None:
    with pytest.raises(ModelError, match=r"cannot take an image of 4 × 16 × 16"):
        Classifier(tiny("plain"), input_size=SIZE, mean=[0.5] * 4, device="cpu").labels  # noqa: B018


def test_precision_that_an_untraced_network_cannot_take() -> None:
    clf = Classifier(NoOddNumbers().eval(), input_size=SIZE, device="cpu")
    with pytest.raises(CamError, match="cannot take an image of 3 × 16 × 16: float32 only"):
        clf.split(precision="float64")


def test_a_hook_that_cuts_gradients_off_is_no_observer() -> None:
    network = tiny("plain")
    network.get_submodule("features.1").register_forward_hook(lambda _module, _inputs, output: output.detach())
    clf = Classifier(network, input_size=SIZE, device="cpu")
    assert not clf.split("features.3").halves.traced
    with pytest.raises(ModelError, match=r"no gradient passes from the layer 'features\.0'"):
        clf.split("features.0")


def test_a_hook_on_a_network_whose_logits_have_to_be_found() -> None:
    network = returning(lambda logits: {"logits": logits})()
    network.register_forward_hook(lambda _module, _inputs, output: {"logits": 2 * output["logits"]})
    with pytest.raises(ModelError, match="a hook on the network itself"):
        Classifier(network, input_size=SIZE, device="cpu").labels  # noqa: B018
