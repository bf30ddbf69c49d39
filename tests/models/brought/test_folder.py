"""Folders as transformers saves image classifiers: read from this machine alone, or refused in words."""

from __future__ import annotations

import json
import pickle
import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from cam_core import Classifier, explain, load_model
from cam_core.images import Preprocessing
from cam_core.models.brought.folder import preprocessing_of
from cam_core.types import ModelError, WeightsError

LABELS = {"0": "cat", "1": "dog", "2": "eel"}
VIT = {
    "image_processor_type": "ViTImageProcessor",
    "do_resize": True,
    "size": {"height": 32, "width": 32},
    "resample": 2,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}


def photo(width: int = 128, height: int = 112) -> Image.Image:
    tiles = np.random.default_rng(0).integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
    return Image.fromarray(tiles.repeat(4, axis=0).repeat(4, axis=1))


# How images are prepared, by hand


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, Preprocessing((32, 32), 32, "bilinear", (0.5,) * 3, (0.5,) * 3, "stretch")),
        (
            {"size": {"height": 40, "width": 32}, "do_normalize": False},
            Preprocessing((40, 32), 32, "bilinear", (0.0,) * 3, (1.0,) * 3, "stretch"),
        ),
        (
            {
                "image_processor_type": "CLIPImageProcessorFast",
                "size": {"shortest_edge": 256},
                "do_center_crop": True,
                "crop_size": {"height": 224, "width": 192},
                "resample": 3,
            },
            Preprocessing((224, 192), 256, "bicubic", (0.5,) * 3, (0.5,) * 3),
        ),
        (
            {"image_processor_type": "ConvNextFeatureExtractor", "size": {"shortest_edge": 224}, "crop_pct": 0.875},
            Preprocessing((224, 224), 256, "bilinear", (0.5,) * 3, (0.5,) * 3),
        ),
        (
            {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 384}, "crop_pct": 0.875},
            Preprocessing((384, 384), 438, "bilinear", (0.5,) * 3, (0.5,) * 3, "stretch"),
        ),
    ],
    ids=["plain", "not square, not normalised", "crop", "ConvNeXT", "large ConvNeXT"],
)
def test_settings_become_a_preprocessing(settings: dict[str, Any], expected: Preprocessing) -> None:
    assert preprocessing_of(VIT | settings) == expected


@pytest.mark.parametrize(
    ("settings", "seen"),
    [
        ({"do_rescale": False}, lambda x: (255 * x - 0.25) / 0.5),
        ({"rescale_factor": 1 / 127.5, "rescale_offset": True}, lambda x: (2 * x - 1 - 0.25) / 0.5),
        ({"image_processor_type": "EfficientNetImageProcessor", "include_top": True}, lambda x: (x - 0.25) / 0.5 / 0.5),
    ],
    ids=["not rescaled", "from −1 to 1", "EfficientNet's second division"],
)
def test_other_ranges_of_pixels_are_folded_into_mean_and_deviation(settings: dict[str, Any], seen: Any) -> None:
    pixels = torch.rand(3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ours = preprocessing_of(VIT | {"image_mean": [0.25] * 3} | settings)
    torch.testing.assert_close(ours.normalise(pixels), seen(pixels))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"image_processor_type": "MobileViTImageProcessor"}, "prepared by MobileViTImageProcessor: load the network"),
        ({"image_processor_type": None}, "a processor without a name"),
        ({"resample": 1}, "resample=1, which is neither bilinear nor bicubic"),
        ({"do_resize": False}, "without being scaled"),
        (
            {"do_center_crop": True, "crop_size": {"height": 24, "width": 24}},
            "to size={'height': 32, 'width': 32} and crop_size={'height': 24, 'width': 24}",
        ),
    ],
)
def test_what_no_preprocessing_has_is_refused_in_words(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError) as error:
        preprocessing_of(VIT | settings)
    assert words in str(error.value) and "bring it as Classifier(module, preprocessing=…)" in str(error.value)


# The folder


class Small(nn.Module):
    """In place of a network of transformers, where that library is not installed."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3, stride=2)
        self.classifier = nn.Linear(4, 3)
        self.config = SimpleNamespace(id2label={int(key): label for key, label in LABELS.items()})

    def forward(self, pixel_values: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"logits": self.classifier(self.convolution(pixel_values).relu().mean((2, 3)))}


def written(folder: Path, **files: Any) -> Path:
    """A folder with what such a folder has; None leaves a file out."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    save_file(Small().state_dict(), folder / "model.safetensors")
    given = {"config": {"model_type": "small", "id2label": LABELS}, "preprocessor_config": VIT} | files
    for name, content in given.items():
        if content is not None:
            (folder / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, dict[str, Any]]]:
    """The least of transformers that is called; what it was asked for."""
    calls: list[tuple[Any, dict[str, Any]]] = []

    def from_pretrained(folder: Path, **options: Any) -> Any:
        calls.append((folder, options))
        settings = json.loads((folder / "preprocessor_config.json").read_text())
        return SimpleNamespace(to_dict=lambda: settings)

    def loaded(place: None, *, config: Any, state_dict: Any, **options: Any) -> Any:
        calls.append((place, options))
        module = Small()
        result = module.load_state_dict(state_dict, strict=False)
        return module, {"missing_keys": set(result.missing_keys)}

    monkeypatch.setattr(Small, "from_pretrained", staticmethod(loaded), raising=False)
    auto = SimpleNamespace(from_pretrained=from_pretrained)
    models = SimpleNamespace(from_config=lambda config, **options: calls.append((None, options)) or Small())
    library = SimpleNamespace(AutoConfig=auto, AutoImageProcessor=auto, AutoModelForImageClassification=models)
    monkeypatch.setitem(sys.modules, "transformers", library)
    return calls


def test_a_folder_is_a_network_with_its_labels_and_its_images(
    tmp_path: Path, asked: list[tuple[Any, dict[str, Any]]]
) -> None:
    state = torch.random.get_rng_state()
    clf = load_model(str(written(tmp_path / "pets")), device="cpu")
    assert (clf.name, clf.labels, clf.trained) == ("pets", list(LABELS.values()), True)
    assert clf.preprocessing == preprocessing_of(VIT)
    torch.manual_seed(0)
    expected = Small()(clf.preprocess(photo())[None])["logits"]
    torch.testing.assert_close(clf.logits(clf.preprocess(photo())[None]), expected)
    assert explain(clf, photo(), method="grad-cam", target="dog").saliency.shape == (32, 32)
    torch.random.set_rng_state(state)
    for place, options in asked:
        assert not options.get("trust_remote_code")
        assert place is None or options["local_files_only"]


@pytest.mark.usefixtures("asked")
def test_global_randomness_is_left_alone(tmp_path: Path) -> None:
    folder = written(tmp_path / "pets")
    before = torch.random.get_rng_state()
    load_model(str(folder))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.usefixtures("asked")
def test_labels_of_ones_own_and_of_another_number(tmp_path: Path) -> None:
    folder = str(written(tmp_path / "pets"))
    assert load_model(folder, labels=["a", "b", "c"]).labels == ["a", "b", "c"]
    with pytest.raises(ModelError, match="3 classes here, and 2 labels were given"):
        load_model(folder, labels=["a", "b"])
    with pytest.raises(ModelError, match="weights='random' cannot take their place"):
        load_model(folder, weights="random")


class Harm:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("harm"),))


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"config": None}, "has no config.json, which says what the network is"),
        ({"preprocessor_config": None}, "has no preprocessor_config.json, which says how its images are prepared"),
        ({"config": "not JSON"}, "config.json cannot be read as a configuration"),
        ({"config": {"quantization_config": {"quant_method": "bitsandbytes"}}}, "is quantised, and no gradient"),
    ],
)
def test_a_folder_that_lacks_something_is_refused_in_words(tmp_path: Path, files: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        load_model(str(written(tmp_path / "pets", **files)))


@pytest.mark.usefixtures("asked")
def test_pickled_weights_are_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = written(tmp_path / "pets")
    monkeypatch.chdir(tmp_path)
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Harm()))
    load_model(str(folder))
    (folder / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"no model\.safetensors: pytorch_model\.bin is a pickle, which can hold"):
        load_model(str(folder))
    assert not Path("harm").exists()


@pytest.mark.usefixtures("asked")
def test_a_network_saved_without_its_classifier_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "pets")
    weights = {name: value for name, value in Small().state_dict().items() if not name.startswith("classifier")}
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(WeightsError, match=r"2 are missing or of another shape, such as classifier\.bias\. Was the"):
        load_model(str(folder))


def test_without_transformers_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModelError, match=r"not installed: pip install camscope\[transformers\]"):
        load_model(str(written(tmp_path / "pets")))


@pytest.mark.usefixtures("asked")
def test_which_names_mean_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path does; a bare name does where the folder of that name holds a network."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resnet18").mkdir()
    assert load_model("resnet18", weights="random").name.startswith("resnet18 (random")
    with pytest.raises(ModelError, match=r"resnet18 has no config\.json"):
        load_model("./resnet18")
    written(tmp_path / "pets")
    assert load_model("pets").name == "pets"
    with pytest.raises(ModelError, match="unknown model"):
        load_model("elsewhere/pets")


# With transformers itself, where it is installed


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def real(folder: Path, kind: str) -> Path:
    """A tiny network of transformers with seeded weights, saved as that library saves."""
    transformers = pytest.importorskip("transformers")
    labels = {"id2label": {int(key): label for key, label in LABELS.items()}}
    torch.manual_seed(0)
    if kind == "vit":
        sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
        config = transformers.ViTConfig(image_size=32, patch_size=8, **sizes, **labels)
        network = transformers.ViTForImageClassification(config)
        processor = transformers.ViTImageProcessor(size={"height": 32, "width": 32})
    else:
        sizes = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}
        network = transformers.ResNetForImageClassification(transformers.ResNetConfig(**sizes, **labels))
        processor = transformers.ConvNextImageProcessor(size={"shortest_edge": 32}, crop_pct=0.8)
    network.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_a_folder_of_transformers_gives_its_logits_and_is_explained(tmp_path: Path, kind: str) -> None:
    transformers = pytest.importorskip("transformers")
    folder = real(tmp_path / kind, kind)
    clf = load_model(str(folder), device="cpu")
    network = transformers.AutoModelForImageClassification.from_pretrained(folder, local_files_only=True).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder, local_files_only=True)
    theirs = processor(photo(), return_tensors="pt")["pixel_values"]
    ours = clf.preprocess(photo())[None]
    assert (ours - theirs).abs().max() <= 2.1 / 255 / 0.5, "not two grey levels apart"
    with torch.no_grad():
        expected = network(theirs).logits
    torch.testing.assert_close(clf.logits(theirs), expected, atol=1e-5, rtol=1e-4)
    assert clf.labels == list(LABELS.values())
    explanation = explain(clf, photo(), method="grad-cam")
    assert not any("traced" in warning for warning in explanation.warnings)
    assert explanation.saliency.shape == (32, 32)
    other = explain(Classifier(network, preprocessing=clf.preprocessing), photo(), method="grad-cam")
    np.testing.assert_allclose(explanation.map, other.map, atol=1e-5)


@pytest.mark.usefixtures("offline")
def test_code_that_a_folder_brings_is_never_run(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    folder = real(tmp_path / "vit", "vit")
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "mine",
        "auto_map": {"AutoConfig": "mine.Mine", "AutoModelForImageClassification": "mine.Mine"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "mine.py").write_text(f"open({str(tmp_path / 'harm')!r}, 'w')")
    with pytest.raises(ModelError, match="transformers cannot load"):
        load_model(str(folder))
    assert not (tmp_path / "harm").exists()


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("ViTImageProcessor", {}),
        ("ViTImageProcessor", {"size": {"height": 40, "width": 32}, "do_normalize": False}),
        ("CLIPImageProcessor", {}),
        ("BitImageProcessor", {}),
        ("ConvNextImageProcessor", {}),
        ("ConvNextImageProcessor", {"size": {"shortest_edge": 224}}),
        ("EfficientNetImageProcessor", {}),
        ("EfficientNetImageProcessor", {"rescale_factor": 1 / 127.5, "rescale_offset": True}),
        ("MobileNetV1ImageProcessor", {}),
        ("SiglipImageProcessor", {}),
        ("BeitImageProcessor", {}),
    ],
)
def test_images_are_those_of_the_image_processor(kind: str, settings: dict[str, Any]) -> None:
    """But for rounding: theirs are resized by torchvision in whole grey levels, ours by Pillow."""
    processor = getattr(pytest.importorskip("transformers"), kind)(**settings)
    theirs = processor(photo(), return_tensors="pt")["pixel_values"][0]
    ours = preprocessing_of(processor.to_dict())
    level = 1 / 255 / min(ours.std)
    difference = (ours.tensor(photo()) - theirs).abs()
    assert difference.max() <= 4.1 * level and difference.mean() <= 0.02 * level
