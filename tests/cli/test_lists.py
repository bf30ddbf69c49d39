"""`models`, `layers`, `methods`: all there is, for people and for programs."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cam_core import CATALOG, METHODS, load_model
from cam_core.cli.methods import methods_markdown
from cam_core.models.load import named_networks
from cam_core.models.trainable.trained import DIGIT_NETWORKS, find_trained
from tests.cli.calls import Call


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rich takes stdout for a terminal of 80 columns."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a list must not need a network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


def cells(output: str) -> list[list[str]]:
    return [line.split("\t") for line in output.splitlines()]


def plain(output: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", output)


@pytest.mark.usefixtures("offline")
def test_models_lists_the_catalogue_and_where_the_weights_are(
    succeed: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    (cache / "resnet18-f37072fd.pth").touch()
    header, *rows = cells(succeed("models").stdout)
    weights = {row[0]: row[header.index("weights")] for row in rows}
    assert list(weights) == [*CATALOG, *DIGIT_NETWORKS]
    assert {weights.pop(name) for name in ("efficientnet_lite0", *DIGIT_NETWORKS)} == {"bundled"}
    assert weights.pop("resnet18") == "here"
    assert set(weights.values()) == {"download"}


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("model", ["efficientnet_lite0", "squeezenet1_1"])
def test_layers_are_those_of_the_loaded_network(succeed: Call, model: str) -> None:
    header, *rows = cells(succeed("layers", "--model", model).stdout)
    assert header == ["layer", "channels", "height", "width", "place"]
    loaded = load_model(model, weights="random").layers
    assert [row[:4] for row in rows] == [[x.name, str(x.channels), str(x.height), str(x.width)] for x in loaded]
    assert [row[0] for row in rows if row[4].endswith("default")] == [CATALOG[model].default_layer]


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("model", list(named_networks()))
def test_whatever_models_lists_has_its_layers_listed(succeed: Call, model: str) -> None:
    header, *rows = cells(succeed("models").stdout)
    default = {row[0]: row[header.index("default layer")] for row in rows}[model]
    _, *layers = cells(succeed("layers", "--model", model).stdout)
    assert [row[0] for row in layers if row[4].endswith("default")] == [default]


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("model", DIGIT_NETWORKS)
def test_layers_of_a_trained_network_are_those_of_the_loaded_one(succeed: Call, model: str) -> None:
    path = find_trained(model).path
    loaded = load_model(model, device="cpu").layers
    for name in (model, path):
        _, *rows = cells(succeed("layers", "--model", name).stdout)
        assert [row[:4] for row in rows] == [[x.name, str(x.channels), str(x.height), str(x.width)] for x in loaded]


def test_models_lists_what_can_be_named(succeed: Call) -> None:
    assert [row[0] for row in cells(succeed("models").stdout)[1:]] == list(named_networks())


@pytest.mark.usefixtures("offline")
def test_every_layer(succeed: Call) -> None:
    names = [row[0] for row in cells(succeed("layers", "-m", "resnet18", "--all").stdout)]
    assert {"relu", "layer1.0.bn2", "layer3.0", "layer4"} <= set(names)
    assert not {"avgpool", "fc"} & set(names)


@pytest.mark.usefixtures("offline")
def test_layers_of_a_network_of_timm(succeed: Call) -> None:
    assert cells(succeed("layers", "-m", "timm:resnet10t").stdout)[-1][:4] == ["layer4", "512", "6", "6"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("layers", "-m", "resnet99"), "unknown model 'resnet99'"),
        (("layers", "-m", "timm:gemma4_vit_167m"), "gemma4_vit_167m returns features, not class scores"),
        (("methods", "kam"), "unknown method 'kam'"),
        (("models", "resnet18"), "unexpected extra argument"),
    ],
    ids=str,
)
def test_wrong_call(refuse: Callable[..., str], args: tuple[str, ...], words: str) -> None:
    assert words in refuse(*args)


def test_methods_says_all_of_each(succeed: Call) -> None:
    header, *rows = cells(succeed("methods").stdout)
    assert [row[0] for row in rows] == list(METHODS)
    for row in rows:
        entry = METHODS[row[0]]
        facts = dict(zip(header, row, strict=True))
        for name in ("title", "paper", "formula", "cost", "fails"):
            assert facts[name] == " ".join(getattr(entry, name).split())
        assert facts["signed"] == ("signed" if entry.signed else "positive")
        assert facts["exact"] == ("exact" if entry.exact else "approximate")
        assert facts["unit of coefficients"] == (entry.unit or "–")
        assert entry.claim in facts["paper's claim"]


def test_one_method_with_its_parameters(succeed: Call) -> None:
    rows = cells(succeed("methods", "opti-cam", "grad-cam").stdout)[1:]
    assert {row[0] for row in rows} == {"opti-cam", "grad-cam"}
    options = [row[1] for row in rows if row[1].startswith("--param")]
    assert options[:2] == ["--param preset=paper", "--param steps=0"]
    assert len(options) == len(METHODS["opti-cam"].parameters)
    (early,) = (row for row in rows if "early_stop" in row[1])
    assert early[1] == "--param early_stop=true" and early[2].endswith("(true | false)")


def test_markdown_is_one_table_of_equal_rows(succeed: Call) -> None:
    text = succeed("methods", "--markdown").stdout
    assert text == methods_markdown() + "\n"
    rows = [re.split(r"(?<!\\)\|", line) for line in text.splitlines()]
    assert len({len(row) for row in rows}) == 1
    assert [row[1].strip() for row in rows[2:]] == [f"`{key}`" for key in METHODS]
    assert set("".join(rows[1])) <= set("- ")


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(
    ("args", "names"),
    [
        (("models",), list(CATALOG)),
        (("methods",), list(METHODS)),
        (("methods", "opti-cam"), ["--param learning_rate=0.1"]),
        (("layers",), ["bn1", "blocks.5", "bn2"]),
    ],
    ids=lambda value: str(value[0]),
)
def test_at_a_terminal_the_table_fits_and_keeps_names_whole(
    succeed: Call, args: tuple[str, ...], names: list[str]
) -> None:
    lines = plain(succeed(*args).stdout).splitlines()
    assert max(map(len, lines)) <= 80
    assert not any("\t" in line for line in lines)
    for name in names:
        assert any(f" {name} " in f" {line} " for line in lines), name


@pytest.mark.usefixtures("offline")
def test_methods_says_which_work_at_a_layer_and_why_not(succeed: Call) -> None:
    header, *rows = cells(succeed("methods", "--layer", "blocks.5").stdout)
    answers = {row[0]: row[2] for row in rows}
    assert header == ["key", "title", "at blocks.5"] and list(answers) == list(METHODS)
    assert {key for key, answer in answers.items() if answer != "yes"} == {"cam", "lfi-cam"}
    assert answers["cam"].startswith("no: the tail is not pooling and one linear layer: ")
    _, row = cells(succeed("methods", "cam", "--layer", "attended", "--model", "lfi_digits").stdout)
    assert row == ["cam", "CAM", "yes"]
