"""The app around a network of one's own: it opens with it, and what is wrong with it is told at the start."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cam_core.types import ModelError, TargetError
from pages.runtime import served
from pages.shared import models
from tests.pages.app_runs import BUNDLED, Open, heatmaps, html

ROOT = Path(__file__).parents[3]
NETWORK = """
import torch
from torch import nn
from cam_core import Classifier

def build():
    torch.manual_seed(0)
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)]
    return nn.Sequential(nn.Conv2d(3, 8, 3, stride=8), nn.ReLU(), *head)

def named():
    return Classifier(build(), ["cat", "dog"], (64, 64), name="Pets")

def features():
    return nn.Sequential(nn.Conv2d(3, 8, 3, stride=8), nn.Identity())

def grey():
    return nn.Sequential(nn.Conv2d(2, 8, 3, stride=8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))

def raises():
    raise ValueError("no weights here")

def number():
    return 3

def score(logits):
    return logits[:, 0]

value = 3
"""


@pytest.fixture
def my_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "my_module.py").write_text(NETWORK, encoding="utf-8")
    (tmp_path / "broken_module.py").write_text("import a_package_that_is_not_there", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("my_module", None)
    served._networks.clear()
    served._targets.clear()


@pytest.mark.parametrize(("function", "title"), [("build", "my_module:build"), ("named", "Pets")])
def test_the_app_opens_with_the_network(my_module: Path, open_app: Open, function: str, title: str) -> None:
    served.serve(f"my_module:{function}")
    at = open_app()
    model = next(entry for entry in at.selectbox if entry.label == "Model")
    assert model.value == models.opening() != BUNDLED and model.options[0] == title
    assert f"my_module:{function}, served by this machine, on " in html(at)
    assert len(heatmaps(at)) == 2 and not at.error
    assert "model" not in at.query_params
    assert not [entry for entry in at.selectbox if entry.label == "Weights"], "there is no untrained one of it"
    assert not [entry for entry in at.selectbox if entry.label == "Device"], "it stays where it is"
    assert f"Device: cpu, where whoever serves {title} has put it." in html(at)
    assert "Computing on CPU" in html(at) and "no GPU was found" not in html(at), "nobody looked for one"


def test_without_one_the_app_opens_with_the_bundled_network() -> None:
    assert models.opening() == BUNDLED and served.network("my_module:build") is None


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("my_module", "'my_module' names no function: write my_module:build"),
        ("my_modul:build", "the module my_modul cannot be imported (ModuleNotFoundError: No module named 'my_modul'"),
        ("broken_module:build", "No module named 'a_package_that_is_not_there', in "),
        ("my_module:value", "the module my_module has no function 'value'"),
        ("my_module:missing", "the module my_module has no function 'missing'"),
        ("my_module:raises", "my_module:raises raised ValueError: no weights here, in "),
        ("my_module:features", "my_module:features returned a network that cannot be explained: "),
        ("my_module:grey", "my_module:grey returned a network that cannot be explained: "),
        ("my_module:number", "my_module:number returned a network that cannot be explained: "),
    ],
)
def test_what_is_wrong_is_said(my_module: Path, reference: str, reason: str) -> None:
    with pytest.raises(ModelError, match=re.escape(reason)):
        served.serve(reference)
    assert served.name() == ""


def test_the_server_does_not_start_without_its_network(my_module: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pages", "--model", "my_module:raises", "--server.port", "0"],
        cwd=ROOT,
        env={"PYTHONPATH": str(my_module), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("The app is not served: my_module:raises raised ValueError: no weights here, in ")


def test_a_function_of_ones_own_is_served_as_a_target(my_module: Path) -> None:
    assert served.target() is None
    served.serve_target("my_module:score")
    target = served.target()
    assert target is not None and target.text == "my_module:score"
    for reference, reason in (
        ("my_module:nothing", "the module my_module has no function 'nothing'"),
        ("my_module:value", "has no function 'value': its type is int"),
        ("score", "write my_module:my_score"),
    ):
        with pytest.raises(TargetError, match=reason):
            served.serve_target(reference)
    assert served.target() is target, "the one before stays"
