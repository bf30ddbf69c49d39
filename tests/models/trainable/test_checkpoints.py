"""Checkpoints: there and back to the bit, and every kind of damage refused with its reason, nothing executed."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from cam_core import explain, load_model
from cam_core.images import Preprocessing
from cam_core.models.trainable import trained
from cam_core.models.trainable.checkpoints import card_path, load_checkpoint, preprocessing_of, save_checkpoint
from cam_core.models.trainable.lfi import ARCHITECTURES, build_network
from cam_core.models.trainable.trained import DIGIT_NETWORKS, digit_networks, find_trained
from cam_core.models.zoo.downloads import sha256_of
from cam_core.types import CamError, ModelError, WeightsError

LABELS = ["ant", "bee", "cat"]
SEEN = Preprocessing((32, 32), 32, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))
FACTS: dict[str, Any] = {"labels": LABELS, "preprocessing": SEEN, "data": "insects", "seed": 3, "accuracy": 0.875}
IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "runs" / "mine.safetensors"
    save_checkpoint(path, build_network("lfi", "resnet8", 3, seed=3, fin_relu="all", stem_stride=2), FACTS)
    return path


def edit(path: Path, **changes: Any) -> None:
    """Change the card; None takes a field out."""
    card = json.loads(card_path(path).read_text()) | changes
    card_path(path).write_text(json.dumps({key: value for key, value in card.items() if value is not None}))


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_there_and_back(tmp_path: Path, arch: str) -> None:
    network = build_network(arch, "resnet8", 3, stem_stride=2)
    network.loss(IMAGES, torch.tensor([0, 1]))  # moves the statistics
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, network, FACTS | {"note": "of one's own"})
    again, card = load_checkpoint(path)
    assert all(map(torch.equal, again.state_dict().values(), network.state_dict().values()))
    assert again.recipe == network.recipe and not again.training
    assert preprocessing_of(card) == SEEN
    assert (card["arch"], card["seed"], card["accuracy"], card["note"]) == (arch, 3, 0.875, "of one's own")
    assert card["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.json", "a.safetensors"]


def test_a_frozen_backbone_needs_no_official_weights_to_come_back(tmp_path: Path) -> None:
    network = build_network("baseline", "efficientnet_lite0", 3, frozen=True)
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, network, FACTS)
    again, _ = load_checkpoint(path)
    assert again.recipe.frozen
    assert all(map(torch.equal, again.state_dict().values(), network.state_dict().values()))


def test_a_failed_write_leaves_what_was_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space"):
        save_checkpoint(path, build_network("lfi", "resnet8", 3, seed=9), FACTS)
    assert path.read_bytes() == before
    assert len(list(path.parent.iterdir())) == 2
    load_checkpoint(path)


@pytest.mark.parametrize("missing", list(FACTS))
def test_a_card_must_say_everything(tmp_path: Path, path: Path, missing: str) -> None:
    facts, network = {key: value for key, value in FACTS.items() if key != missing}, build_network("lfi", "resnet8", 3)
    with pytest.raises(ModelError, match=f"does not state {missing}"):
        save_checkpoint(tmp_path / "b.safetensors", network, facts)
    edit(path, **{missing: None})
    with pytest.raises(ModelError, match=f"does not state {missing}"):
        load_checkpoint(path)


def test_wrong_names_and_numbers_are_refused_when_saving(tmp_path: Path) -> None:
    network = build_network("lfi", "resnet8", 4)
    with pytest.raises(ModelError, match="names 3 classes, the network 4"):
        save_checkpoint(tmp_path / "b.safetensors", network, FACTS)
    with pytest.raises(ModelError, match=r"must end in \.safetensors"):
        save_checkpoint(tmp_path / "b.pt", network, FACTS)


class Payload:
    """Unpickling it writes a file."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.witness,)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def malicious(path: Path) -> None:
    path.write_bytes(pickle.dumps({"weights": Payload(path.parent / "executed")}))


def malicious_zip(path: Path) -> None:
    torch.save({"weights": Payload(path.parent / "executed")}, path)


def other_shape(path: Path) -> None:
    state = load_file(path)
    save_file(state | {"classifier.weight": torch.zeros(4, 64)}, path)


def not_finite(path: Path) -> None:
    state = load_file(path)
    state["classifier.bias"][0] = torch.nan
    save_file(state, path)


DAMAGE = [(truncate, "damaged"), (malicious, "damaged"), (malicious_zip, "damaged")]
DAMAGE += [(other_shape, "do not fit this network"), (not_finite, "not finite")]


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, malicious, malicious_zip, other_shape])
def test_weights_that_are_not_the_cards_are_refused(path: Path, damage: Callable[[Path], None]) -> None:
    damage(path)
    with pytest.raises(WeightsError, match=r"mine\.safetensors is not the file that its card mine\.json describes"):
        load_checkpoint(path)
    assert not (path.parent / "executed").exists()


@pytest.mark.parametrize(("damage", "words"), DAMAGE, ids=[damage.__name__ for damage, _ in DAMAGE])
def test_also_where_the_card_vouches_for_them(path: Path, damage: Callable[[Path], None], words: str) -> None:
    damage(path)
    edit(path, sha256=sha256_of(path))
    for load in (load_checkpoint, lambda path: load_model(str(path), device="cpu")):
        with pytest.raises(WeightsError, match=words):
            load(path)
    assert not (path.parent / "executed").exists()


CARDS: list[tuple[dict[str, Any], str]] = [
    ({"format": 2}, "has the format 2; this version reads 1"),
    ({"arch": "gpt"}, "unknown architecture 'gpt'"),
    ({"backbone": "resnet9"}, "unknown model 'resnet9'"),
    ({"backbone": 7}, "describes no network"),
    ({"classes": 2}, "names 3 classes of 2"),
    ({"classes": 2.5, "labels": ["a", "b"]}, "names 2 classes of 2.5"),
    ({"labels": "abc"}, "no list of names"),
    ({"options": {"command": "rm"}}, "describes no network"),
    ({"options": [1]}, "describes no network"),
    ({"preprocessing": {"input_size": [0, 32]}}, "must be positive"),
    ({"preprocessing": {"size": 32}}, "cannot be used"),
    ({"preprocessing": 5}, "cannot be used"),
    ({"sha256": None}, "does not state sha256"),
]


@pytest.mark.parametrize(("changes", "words"), CARDS, ids=[words for _, words in CARDS])
def test_a_card_that_describes_nothing_is_refused(path: Path, changes: dict[str, Any], words: str) -> None:
    edit(path, **changes)
    with pytest.raises(ModelError) as caught:
        load_model(str(path), device="cpu")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "damaged, or no JSON"), ("[1]", "no JSON object"), ("[" * 100_000, "damaged, or no JSON")],
    ids=["half", "list", "deep"],
)
def test_a_card_that_is_none_is_refused(path: Path, text: str, words: str) -> None:
    card_path(path).write_text(text)
    with pytest.raises(ModelError, match=words):
        load_checkpoint(path)


def test_missing_files_are_named(path: Path, tmp_path: Path) -> None:
    with pytest.raises(CamError, match=r"no checkpoint .*nowhere\.safetensors"):
        load_checkpoint(tmp_path / "nowhere.safetensors")
    card_path(path).unlink()
    with pytest.raises(ModelError, match=r"no card 'mine\.json' beside the weights"):
        load_model(str(path), device="cpu")


# ---- as models


def test_a_checkpoint_is_a_model(path: Path) -> None:
    clf = load_model(str(path), device="cpu")
    network, _ = load_checkpoint(path)
    assert (clf.labels, clf.input_size, clf.preprocessing) == (LABELS, (32, 32), SEEN)
    assert clf.default_layer == "attended"
    assert [layer.name for layer in clf.layers][-2:] == ["features", "attended"]
    with torch.no_grad():
        torch.testing.assert_close(clf.logits(IMAGES), network(IMAGES), rtol=1e-4, atol=1e-5)
    assert explain(clf, IMAGES[0], method="lfi-cam").model == str(path)


def test_random_weights_are_a_control_for_it_too(path: Path) -> None:
    one, same, other = (load_model(str(path), "random", seed=seed, device="cpu") for seed in (1, 1, 2))
    assert torch.equal(one.logits(IMAGES), same.logits(IMAGES))
    assert not torch.equal(one.logits(IMAGES), other.logits(IMAGES))
    assert one.labels == LABELS and one.name.endswith("(random weights, seed 1)")


def test_what_is_known_of_a_checkpoint_before_it_is_built(path: Path) -> None:
    found = find_trained(str(path))
    network, _ = load_checkpoint(path)
    assert (found.arch, found.input_size, found.default_layer) == ("lfi", (32, 32), network.default_layer)
    assert found.title == "LFI-CAM, resnet8, insects"
    assert found.parameters == pytest.approx(sum(p.numel() for p in network.parameters()), rel=0.05)


def test_a_bundled_network_that_is_missing_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(trained, "DIGIT_NETWORKS", {"lfi_digits": tmp_path / "lfi_digits.safetensors"})
    with pytest.raises(ModelError, match=r"no checkpoint 'lfi_digits\.safetensors'.*train it by: .* --arch lfi"):
        load_model("lfi_digits", device="cpu")
    assert digit_networks() == {}


def test_names_of_the_digit_networks() -> None:
    assert list(DIGIT_NETWORKS) == ["lfi_digits", "abn_digits", "baseline_digits", "vit_digits"]
