"""Weights from files: whatever is wrong with one is said, and nothing in it is ever run."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from cam_core.models.zoo.weights import classifier_name, count_classes, load_weights, read_state_dict
from cam_core.types import WeightsError
from tests.tiny import CLASSES, tiny


@pytest.fixture
def state() -> dict[str, Tensor]:
    return tiny("residual").state_dict()


def same(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


# ---- reading


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.bin", "w.safetensors"])
def test_a_state_dict_is_read_as_it_was_written(tmp_path: Path, state: dict[str, Tensor], name: str) -> None:
    path = tmp_path / name
    if name.endswith("safetensors"):
        save_file(state, path)
    else:
        torch.save(state, path)
    assert same(read_state_dict(path), dict(state))
    assert same(read_state_dict(str(path)), dict(state))


def test_the_old_format_of_torch_is_read(tmp_path: Path, state: dict[str, Tensor]) -> None:
    torch.save(state, tmp_path / "w.pth", _use_new_zipfile_serialization=False)
    assert same(read_state_dict(tmp_path / "w.pth"), dict(state))


def _prefixed(prefix: str) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda state: {prefix + key: value for key, value in state.items()}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": state},
        lambda state: {"epoch": 3, "model": state, "optimizer": {"lr": 0.1}},
        lambda state: {"model_state_dict": state},
        _prefixed("module."),
        _prefixed("_orig_mod."),
        _prefixed("module._orig_mod."),
        lambda state: {"state_dict": _prefixed("module.")(state)},
    ],
)
def test_what_training_wraps_around_the_weights_is_taken_off(
    tmp_path: Path, state: dict[str, Tensor], wrap: Callable[[dict[str, Tensor]], object]
) -> None:
    torch.save(wrap(dict(state)), tmp_path / "w.pt")
    assert same(read_state_dict(tmp_path / "w.pt"), dict(state))


class Malicious:
    """Unpickled by a reader that runs code, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("wrap", [lambda bad: bad, lambda bad: {"fc.weight": torch.zeros(2), "extra": bad}])
def test_code_in_a_file_is_not_run(tmp_path: Path, wrap: Callable[[object], object]) -> None:
    proof = tmp_path / "was-run"
    torch.save(wrap(Malicious(proof)), tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r"asks to run \S*mkdir, which was refused.*state_dict"):
        read_state_dict(tmp_path / "w.pt")
    assert not proof.exists()
    # The file is a working one: a reader that trusts it does run it.
    torch.load(tmp_path / "w.pt", weights_only=False)
    assert proof.exists()


def test_a_bare_pickle_is_not_run(tmp_path: Path) -> None:
    proof = tmp_path / "was-run"
    (tmp_path / "w.pt").write_bytes(pickle.dumps(Malicious(proof)))
    with pytest.raises(WeightsError):
        read_state_dict(tmp_path / "w.pt")
    assert not proof.exists()


def test_a_whole_pickled_network_is_refused(tmp_path: Path) -> None:
    torch.save(tiny("plain"), tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r"asks to run tests\.tiny\.Plain.*Save the weights alone"):
        read_state_dict(tmp_path / "w.pt")


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_file_cut_short_is_refused(tmp_path: Path, state: dict[str, Tensor], name: str, share: float) -> None:
    path = tmp_path / name
    if name.endswith("safetensors"):
        save_file(state, path)
    else:
        torch.save(state, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(WeightsError, match=f"{name} is damaged"):
        read_state_dict(path)


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n" + bytes(64), b"no weights at all", b"\x80\x04\x95"])
def test_another_kind_of_file_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=f"{name} is damaged"):
        read_state_dict(tmp_path / name)


@pytest.mark.parametrize(
    "content", [{}, [1, 2], torch.zeros(3), {"fc.weight": 1.5}, {"state_dict": {}}, {1: torch.zeros(1)}]
)
def test_a_file_without_weights_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r"w\.pt holds no weights"):
        read_state_dict(tmp_path / "w.pt")


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pt", tmp_path):
        with pytest.raises(WeightsError, match=r"no weights file.*'default', 'random' or a file's path"):
            read_state_dict(path)


# ---- fitting


def test_fitting_weights_are_loaded(state: dict[str, Tensor]) -> None:
    module = tiny("residual", seed=1)
    load_weights(module, state, "w.pt")
    assert same(module.state_dict(), state)


def test_old_files_lack_the_counters_of_batch_norm(state: dict[str, Tensor]) -> None:
    module = tiny("residual", seed=1)
    load_weights(module, {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}, "w.pt")
    assert torch.equal(module.state_dict()["conv1.weight"], state["conv1.weight"])


def test_half_precision_is_widened(state: dict[str, Tensor]) -> None:
    module = tiny("residual", seed=1)
    load_weights(module, {k: v.half() if v.is_floating_point() else v for k, v in state.items()}, "w.pt")
    assert module.get_parameter("conv1.weight").dtype == torch.float32
    torch.testing.assert_close(module.state_dict()["conv1.weight"], state["conv1.weight"].half().float())


def _broken(state: dict[str, Tensor], kind: str) -> dict[str, Tensor]:
    wrong = {key: value.clone() for key, value in state.items()}
    if kind == "shape":
        wrong["conv1.weight"] = torch.zeros(8, 8, 1, 1)
    elif kind == "missing":
        del wrong["bn1.weight"]
    elif kind == "unknown":
        wrong["conv9.weight"] = torch.zeros(1)
    elif kind == "many":
        wrong = {f"x{index}": torch.zeros(1) for index in range(9)}
    else:
        wrong["conv2.weight"][0, 0, 0, 0] = float(kind)
    return wrong


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            "shape",
            r"w\.pt do not fit.*1 of another shape \(conv1\.weight is 8×8×1×1 there and 8×8×3×3 in the network\)",
        ),
        ("missing", r"1 missing \(bn1\.weight\)"),
        ("unknown", r"1 unknown to the network \(conv9\.weight\)"),
        ("many", r"17 missing \(.*, and \d+ more\); 9 unknown to the network \(x0, x1, x2, and 6 more\)"),
        ("nan", r"w\.pt are not finite.*conv2\.weight"),
        ("inf", r"w\.pt are not finite.*conv2\.weight"),
        ("-inf", r"w\.pt are not finite.*conv2\.weight"),
    ],
)
def test_what_does_not_fit_is_named_and_the_network_left_alone(
    state: dict[str, Tensor], kind: str, message: str
) -> None:
    module = tiny("residual", seed=1)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    with pytest.raises(WeightsError, match=message):
        load_weights(module, _broken(state, kind), "w.pt")
    assert same(module.state_dict(), before)


def test_weights_that_only_training_uses_may_be_there(state: dict[str, Tensor]) -> None:
    more = {**state, "aux1.fc.weight": torch.zeros(2)}
    load_weights(tiny("residual", seed=1), more, "w.pt", auxiliary=("aux1.",))
    with pytest.raises(WeightsError, match=r"aux1\.fc\.weight"):
        load_weights(tiny("residual", seed=1), more, "w.pt")


def test_the_dots_in_the_names_of_old_densenets() -> None:
    def dense(parts: OrderedDict[str, nn.Module]) -> nn.Module:
        return nn.ModuleDict({"denselayer1": nn.ModuleDict(parts)})

    module = dense(OrderedDict(norm1=nn.BatchNorm2d(4), conv2=nn.Conv2d(4, 2, 1)))
    old = {
        key.replace("norm1", "norm.1").replace("conv2", "conv.2"): value for key, value in module.state_dict().items()
    }
    assert "denselayer1.norm.1.running_mean" in old
    other = dense(OrderedDict(norm1=nn.BatchNorm2d(4), conv2=nn.Conv2d(4, 2, 1)))
    load_weights(other, old, "w.pth")
    assert same(other.state_dict(), module.state_dict())


# ---- the number of classes


def test_the_classifier_is_the_last_layer_with_so_many_outputs() -> None:
    assert classifier_name(tiny("max-pool"), CLASSES) == "classifier.4"
    assert classifier_name(tiny("max-pool"), 77) is None


@pytest.mark.parametrize("classes", [2, CLASSES, 12])
def test_classes_are_counted_in_the_file(classes: int) -> None:
    module = tiny("plain")
    state = module.state_dict()
    state["fc.weight"], state["fc.bias"] = torch.zeros(classes, 8), torch.zeros(classes)
    assert count_classes(state, module, CLASSES) == classes


def test_a_file_of_another_network_says_nothing_of_classes() -> None:
    assert count_classes({"fc.weight": torch.zeros(12, 9)}, tiny("plain"), CLASSES) == CLASSES
    assert count_classes({"other": torch.zeros(12, 8)}, tiny("plain"), CLASSES) == CLASSES
