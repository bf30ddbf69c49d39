"""ONNX files: read, converted and explained as the network that they were made from, or refused in words."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cam_core import Classifier, explain, load_model
from cam_core.models.brought.onnx_file import check_runs, end_in_logits, preprocessing_of
from cam_core.models.load import is_whole
from cam_core.types import ModelError
from tests.cli.calls import run
from tests.tiny import CLASSES, SIZE, Plain, tiny, tiny_images

FLOAT, INTEGERS = 1, 7  # as ONNX counts types


def node(kind: str, inputs: list[str], outputs: list[str], name: str = "") -> SimpleNamespace:
    return SimpleNamespace(op_type=kind, input=inputs, output=outputs, name=name)


def outlined(
    shape: tuple[int, ...] = (0, 3, *SIZE), kind: int = FLOAT, last: str = "Gemm", **metadata: str
) -> SimpleNamespace:
    """What an ONNX model says of itself, with the network's weights among its inputs, as old exporters write them."""
    tensor = SimpleNamespace(elem_type=kind, shape=SimpleNamespace(dim=[SimpleNamespace(dim_value=n) for n in shape]))
    image = SimpleNamespace(name="image", type=SimpleNamespace(tensor_type=tensor))
    weight = SimpleNamespace(name="weight", external_data=[])
    graph = SimpleNamespace(
        input=[image, SimpleNamespace(name="weight")],
        initializer=[weight],
        node=[node("Conv", ["image", "weight"], ["maps"], "first"), node(last, ["maps"], ["scores"])],
        output=[SimpleNamespace(name="scores")],
    )
    props = [SimpleNamespace(key=f"Image.{key}", value=value) for key, value in metadata.items()]
    return SimpleNamespace(graph=graph, metadata_props=props)


# How images are prepared, by hand


@pytest.mark.parametrize(
    ("value", "black", "white"),
    [
        ("NominalRange_0_255", 0, 255),
        ("Normalized_0_1", 0, 1),
        ("Normalized_1_1", -1, 1),
        ("NominalRange_16_235", 16, 235),
    ],
)
def test_a_stated_range_is_what_black_and_white_become(value: str, black: float, white: float) -> None:
    preprocessing = preprocessing_of(outlined(NominalPixelRange=value))
    pixels = torch.tensor([0.0, 1.0])[None, :, None].expand(3, 2, 1)
    expected = torch.tensor([black, white])[None, :, None].expand(3, 2, 1)
    torch.testing.assert_close(preprocessing.normalise(pixels), expected.float(), rtol=1e-5, atol=1e-4)


def test_size_and_channels_are_those_of_the_input() -> None:
    preprocessing = preprocessing_of(outlined((1, 1, 96, 112)))
    assert (preprocessing.input_size, preprocessing.resize, preprocessing.channels) == ((96, 112), 128, 1)
    left_open = preprocessing_of(outlined((0, 0, 0, 0)))
    assert (left_open.input_size, left_open.resize, left_open.channels) == ((224, 224), 256, 3)
    assert left_open.mean == (0.485, 0.456, 0.406)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (outlined((1, 224, 224, 3)), "takes 1 × 224 × 224 × 3, with the channels last: export it with"),
        (outlined((0, 768)), r"takes \? × 768, not images × channels × height × width"),
        (outlined(kind=INTEGERS), "takes whole numbers, through which no gradient passes"),
        (outlined(BitmapPixelFormat="Bgr8"), "blue, green and red in this order"),
    ],
)
def test_an_input_that_is_no_photo_is_refused(model: SimpleNamespace, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        preprocessing_of(model)


def test_two_inputs_are_refused() -> None:
    model = outlined()
    model.graph.initializer.clear()
    with pytest.raises(ModelError, match="takes 2 inputs, not images alone"):
        preprocessing_of(model)


# Where the logits are


@pytest.mark.parametrize("last", ["Softmax", "LogSoftmax", "Sigmoid"])
def test_what_makes_probabilities_at_the_end_is_left_out(last: str) -> None:
    graph = outlined(last=last).graph
    end_in_logits(graph)
    assert [each.op_type for each in graph.node] == ["Conv"] and [each.name for each in graph.output] == ["maps"]


def test_what_is_no_end_stays() -> None:
    graph = outlined(last="Softmax").graph
    graph.node.append(node("Gemm", ["scores"], ["more"]))
    graph.output[0].name = "more"
    end_in_logits(graph)
    assert [each.op_type for each in graph.node] == ["Conv", "Softmax", "Gemm"]
    several = outlined(last="Softmax").graph
    several.output.append(SimpleNamespace(name="maps"))
    end_in_logits(several)
    assert len(several.node) == 2


# What was converted is tried


class Fixed(Plain):
    """As a network becomes that is exported for one image: its number is written into a reshape."""

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.pool(self.features(x)).reshape(1, 8))


class Mixing(Plain):
    """Runs on two images, but as if they were one."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.mean(0, keepdim=True)).expand(len(x), -1)


class Rounding(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward((16 * x).long().float())


class Choosing(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).argmax(1)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Fixed, r"exported for a fixed number of images.*\(it cannot take images of 2 × 3 × 16 × 16: "),
        (Mixing, "exported for a fixed number of images"),
        (Rounding, "no gradient passes through it"),
        (Choosing, "no floating-point numbers, and so no class scores"),
    ],
)
def test_a_network_that_cannot_be_explained_is_refused(kind: Callable[[], nn.Module], words: str) -> None:
    module = kind().eval().requires_grad_(False)
    with pytest.raises(ModelError, match=words):
        check_runs(module, preprocessing_of(outlined()))


def test_one_that_can_be_explained_is_not() -> None:
    check_runs(tiny("plain").requires_grad_(False), preprocessing_of(outlined()))


# Around the libraries, which may not be here


@pytest.fixture
def libraries(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The least of onnx and onnx2torch that is called."""
    told = SimpleNamespace(model=outlined(), converted=lambda _model: tiny("plain"), asked=[])

    def load(path: Path, load_external_data: bool = True) -> Any:
        told.asked.append(load_external_data)
        return told.model

    monkeypatch.setitem(sys.modules, "onnx", SimpleNamespace(load=load))
    monkeypatch.setitem(sys.modules, "onnx2torch", SimpleNamespace(convert=lambda model: told.converted(model)))
    return told


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pets.onnx"
    path.write_bytes(b"as an exporter writes it")
    return path


def test_a_file_is_a_network_by_its_path(file: Path, libraries: SimpleNamespace) -> None:
    clf = load_model(str(file), device="cpu")
    assert (clf.name, clf.classes, clf.input_size, clf.trained) == ("pets.onnx", CLASSES, SIZE, True)
    image = tiny_images(1)
    torch.testing.assert_close(clf.logits(image), tiny("plain")(image), rtol=1e-4, atol=1e-5)
    assert [each.name for each in libraries.model.graph.node] == ["first", "Gemm_1"]
    assert load_model(str(file), labels=list("abcde"), device="cpu").labels == list("abcde")
    with pytest.raises(ModelError, match="5 classes here, and 2 labels were given"):
        load_model(str(file), labels=["a", "b"], device="cpu")
    with pytest.raises(ModelError, match="weights='random' cannot take their place"):
        load_model(str(file), weights="random")


@pytest.mark.usefixtures("libraries")
def test_commands_take_its_path_and_record_its_checksum(file: Path, tmp_path: Path) -> None:
    done = run("explain", "dog", "--model", file, "--method", "grad-cam", "--json", tmp_path / "made.json")
    assert done.exit_code == 0, done.stderr
    record = json.loads((tmp_path / "made.json").read_text())["model"]
    assert record["weights_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest() and record["name"] == str(file)
    layers, methods = (
        run("layers", "--model", file),
        run("methods", "grad-cam", "--model", file, "--layer", "features.0"),
    )
    assert "features.2" in layers.stdout and "yes" in methods.stdout, (layers.stderr, methods.stderr)


def test_weights_in_another_file_have_to_be_beside_it(file: Path, libraries: SimpleNamespace) -> None:
    location = SimpleNamespace(key="location", value="pets.onnx.data")
    libraries.model.graph.initializer[0].external_data = [location]
    with pytest.raises(ModelError, match=r"a file of their own, pets\.onnx\.data, which is not beside it"):
        load_model(str(file))
    assert libraries.asked == [False], "nothing is looked for where the file points"
    (file.parent / "pets.onnx.data").write_bytes(b"weights")
    assert load_model(str(file), device="cpu").classes == CLASSES


def test_what_the_libraries_raise_is_put_into_words(file: Path, libraries: SimpleNamespace) -> None:
    def unknown(_model: Any) -> Any:
        raise NotImplementedError(
            "Converter is not implemented (OperationDescription(domain='', operation_type='Det', version=11))"
        )

    libraries.converted = unknown
    with pytest.raises(ModelError, match=r"pets\.onnx cannot be explained: onnx2torch does not know the operation Det"):
        load_model(str(file))
    libraries.converted = lambda _model: 1 / 0
    with pytest.raises(ModelError, match=r"does not know a part of it \(division by zero\)"):
        load_model(str(file))
    libraries.model.graph.node.clear()
    with pytest.raises(ModelError, match="holds no network"):
        load_model(str(file))
    del libraries.model.graph
    with pytest.raises(ModelError, match=r"pets\.onnx is damaged, or no ONNX file"):
        load_model(str(file))


def test_without_the_extra_it_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx2torch", None)
    with pytest.raises(ModelError, match=r"not installed: pip install camscope\[onnx\]"):
        load_model(str(file))
    with pytest.raises(ModelError, match=r"there is no file .*cats\.onnx"):
        load_model(str(file.with_name("cats.onnx")))


def test_which_names_mean_a_network_with_its_weights(tmp_path: Path) -> None:
    assert is_whole("NET.ONNX") and is_whole(str(tmp_path))
    assert not is_whole("resnet18") and not is_whole("net.safetensors")


# With the libraries themselves


def exported(path: Path, change: Callable[[Any, Any], None] = lambda _onnx, _graph: None) -> Path:
    """The tiny plain network, written by hand, after something was done to its graph."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnx2torch")
    helper = onnx.helper
    weights = {
        name: onnx.numpy_helper.from_array(value.numpy(), name) for name, value in tiny("plain").state_dict().items()
    }
    half = {"strides": [2, 2], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["image", "features.0.weight", "features.0.bias"], ["a"], name="features.0", **half),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "features.2.weight", "features.2.bias"], ["c"], name="features.2", **half),
        helper.make_node("Relu", ["c"], ["d"], name="features.3"),
        helper.make_node("GlobalAveragePool", ["d"], ["e"]),
        helper.make_node("Flatten", ["e"], ["f"]),
        helper.make_node("Gemm", ["f", "fc.weight", "fc.bias"], ["scores"], transB=1),
    ]
    image = helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, ["images", 3, *SIZE])
    scores = helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, ["images", CLASSES])
    graph = helper.make_graph(nodes, "tiny", [image], [scores], list(weights.values()))
    change(onnx, graph)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path


def followed_by(kind: str, **attributes: Any) -> Callable[[Any, Any], None]:
    """One more operation at the end."""

    def change(onnx: Any, graph: Any) -> None:
        graph.node.append(onnx.helper.make_node(kind, ["scores"], ["more"], **attributes))
        graph.output[0].name = "more"

    return change


@pytest.mark.parametrize("method", ["grad-cam", "lift-cam", "cam", "layer-cam"])
def test_an_onnx_file_is_explained_as_the_network_that_it_was_made_from(tmp_path: Path, method: str) -> None:
    clf = load_model(str(exported(tmp_path / "tiny.onnx", followed_by("Softmax", axis=1))), device="cpu")
    plain = Classifier(tiny("plain"), input_size=SIZE, device="cpu")
    image = tiny_images(1)[0]
    ours = explain(clf, image, method=method, layer="features/3", target=1)
    expected = explain(plain, image, method=method, layer="features.3", target=1)
    np.testing.assert_allclose(ours.map, expected.map, atol=1e-5)
    assert ours.score == pytest.approx(expected.score, abs=1e-5), "the logit, not its softmax"
    assert clf.split("features/3").halves.traced and clf.default_layer == "features/3"
    assert [layer.name for layer in clf.layers] == ["features/0", "Relu_1", "features/2", "features/3"]


def test_an_operation_that_the_converter_does_not_know(tmp_path: Path) -> None:
    path = exported(tmp_path / "tiny.onnx", followed_by("Det"))
    with pytest.raises(ModelError, match=r"tiny\.onnx cannot be explained: onnx2torch does not know the operation Det"):
        load_model(str(path))


def test_a_file_for_one_image(tmp_path: Path) -> None:
    def change(onnx: Any, graph: Any) -> None:
        graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, 8]), "shape"))
        flat = next(each for each in graph.node if each.op_type == "Flatten")
        flat.CopyFrom(onnx.helper.make_node("Reshape", ["e", "shape"], ["f"]))

    with pytest.raises(ModelError, match="exported for a fixed number of images: export it again"):
        load_model(str(exported(tmp_path / "tiny.onnx", change)))


def test_a_damaged_file(tmp_path: Path) -> None:
    path = exported(tmp_path / "tiny.onnx")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ModelError, match=r"tiny\.onnx is damaged, or no ONNX file"):
        load_model(str(path))
