"""One parameter followed from its declaration to the shell, the widget, the link and the function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import pytest
import torch
from streamlit.testing.v1 import AppTest
from torch import Tensor
from typer.testing import CliRunner

from cam_core import METHODS, explain
from cam_core.cli import app, inputs
from cam_core.cli.requests import read_requests
from cam_core.declarations.parameters import DeclaredParameter, Parameter
from cam_core.methods import Method
from cam_core.types import MethodError
from pages.runtime import compute
from tests.pages.app_runs import Open, load_tiny, settle

arrived: list[int] = []


def climbing(
    net: Any,
    image: Tensor,
    acts: Tensor,
    target: Tensor,
    run: Any,
    rungs: Annotated[int, Parameter("steps of the ladder", low=2, high=9)] = 4,
) -> Tensor:
    """The one declaration; the function tells what arrived."""
    arrived.append(rungs)
    return torch.arange(acts.shape[2] * acts.shape[3]).view(1, *acts.shape[2:]).float() * rungs


@pytest.fixture(autouse=True)
def registered(register: Callable[..., Method]) -> None:
    arrived.clear()
    register("climbing", climbing)


def test_registration_reads_it() -> None:
    (rungs,) = METHODS["climbing"].parameters
    assert rungs == DeclaredParameter("steps of the ladder", low=2, high=9, name="rungs", kind="int", default=4)


def test_the_command_line_lists_it() -> None:
    listed = CliRunner().invoke(app, ["methods", "climbing"]).stdout
    assert "climbing\t--param rungs=4\tsteps of the ladder (int, 2–9)\n" in listed


def test_the_command_line_hands_it_to_the_function(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(inputs, "load_model", lambda name, **_: load_tiny("efficientnet_lite0"))
    assert [request.params for request in read_requests(["climbing"], ["rungs=7"], ())] == [{"rungs": 7}]
    call = ["explain", "panda", "--method", "climbing", "--out", str(tmp_path / "map.png")]
    assert CliRunner().invoke(app, [*call, "--param", "rungs=7"]).exit_code == 0
    assert arrived == [7]
    refused = CliRunner().invoke(app, [*call, "--param", "rungs=1"])
    assert refused.exit_code == 2 and "rungs='1' is out of range (2 to 9)" in refused.stderr


def test_the_widget_the_link_and_the_function_have_it(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    records = []
    monkeypatch.setattr(compute, "explain", lambda *a, **k: records.append(explain(*a, **k)) or records[-1])
    at = open_app(methods=["climbing"])
    widget = at.number_input(key="climbing.rungs")
    assert (widget.label, widget.help) == ("rungs", "steps of the ladder")
    assert (widget.value, widget.min, widget.max, widget.step) == (4, 2, 9, 1)
    assert widget.proto.query_param_key == "climbing.rungs", "the browser writes it into the address under this name"
    widget.set_value(7).run()
    settle(at)
    assert arrived == [4, 7]
    assert [record.params for record in records] == [{"rungs": 4}, {"rungs": 7}]


def test_a_link_opens_it(open_app: Open) -> None:
    at: AppTest = open_app(methods=["climbing"], **{"climbing.rungs": "7"})
    assert at.number_input(key="climbing.rungs").value == 7
    assert arrived == [7]


def test_the_core_hands_it_to_the_function() -> None:
    clf = load_tiny("efficientnet_lite0")
    image = torch.zeros(3, *clf.input_size)
    assert explain(clf, image, method="climbing").params == {"rungs": 4}
    assert explain(clf, image, method="climbing", rungs=9).params == {"rungs": 9}
    assert arrived == [4, 9]
    with pytest.raises(MethodError, match=r"rungs=10 is out of range \(2 to 9\)"):
        explain(clf, image, method="climbing", rungs=10)
