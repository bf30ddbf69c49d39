"""The app on a tiny network: every page state in milliseconds, without weights and without a browser."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import torch
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash
from torch import Tensor

from cam_core import METHODS, Classifier
from cam_core.methods.registry import Method, method
from cam_core.parameters import Parameter
from cam_core.types import MethodError, WeightsError
from pages.runtime import compute
from pages.runtime.jobs import Jobs
from tests.tiny import CLASSES, SIZE, tiny

APP = str(Path(__file__).parents[2] / "app.py")
LABELS = ["ant", "bee", "cat", "dog", "eel"]
BUNDLED = "efficientnet_lite0"
PATIENCE = 30  # seconds until a test gives up waiting for a result


def load_tiny(
    name: str, weights: str = "default", seed: int = 0, device: str = "auto", progress: Any = None
) -> Classifier:
    """In place of `load_model`: one tiny network under every name; trained weights for the bundled one alone."""
    if weights == "default" and name != BUNDLED:
        raise WeightsError(f"{name}.pth is not on this machine. Put the file into the folder [checkpoints].")
    return Classifier(tiny("plain", seed), LABELS, SIZE, name=name, device="cpu")


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    """The visitor's jobs; stopped when the test ends."""
    own = Jobs()
    monkeypatch.setattr(compute, "visitor_jobs", lambda: own)
    yield own
    own.close()


@pytest.fixture(autouse=True)
def run_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    """AppTest forgets between two runs that `app.py` has navigation of its own, and would run the page's file alone."""
    original = PagesManager.__init__

    def initialise(self: PagesManager, *args: Any, **options: Any) -> None:
        PagesManager.uses_pages_directory = False
        original(self, *args, **options)

    monkeypatch.setattr(PagesManager, "__init__", initialise)


@pytest.fixture
def tiny_model(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every model is a tiny one, and nothing is remembered from the test before."""
    assert len(LABELS) == CLASSES
    monkeypatch.setattr(compute, "load_model", load_tiny)
    compute.classifier.clear()
    compute.results.clear()
    compute.preparations.clear()
    yield
    compute.classifier.clear()
    compute.results.clear()
    compute.preparations.clear()


def settle(at: AppTest) -> AppTest:
    """Run again until nothing is being computed: what the polling fragments do in a browser."""
    until = time.monotonic() + PATIENCE
    while at.get("progress"):
        assert time.monotonic() < until, "still computing"
        time.sleep(0.05)
        at.run()
    assert not at.exception, [entry.message for entry in at.exception]
    return at


Open = Callable[..., AppTest]


@pytest.fixture
def open_app(jobs: Jobs, tiny_model: None) -> Open:
    """`open_app(model="resnet18", methods=["CAM"])`: the app as a link with these parameters opens it.

    `page` is the file of a page other than the first.
    """

    def open_app(wait: bool = True, page: str = "", **link: str | list[str]) -> AppTest:
        at = AppTest.from_file(APP, default_timeout=PATIENCE)
        if page:  # `switch_page` knows a page's address only after a first run, which would be Compare's
            at._page_hash = calc_hash(Path(page).parent.name)
        at.query_params.update(link)
        at.run()
        return settle(at) if wait else at

    return open_app


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Method]:
    """Add a method to the registry for one test: `register("key", function, title="…")`."""

    def register(key: str, function: Callable[..., Tensor], **entry: Any) -> Method:
        monkeypatch.setattr(METHODS, "_entries", dict(METHODS))
        words = {"title": key, "paper": "a test", "formula": "none", "cost": "none", "fails": "never"}
        method(key, **(words | entry))(function)
        return METHODS[key]

    return register


def broken(net: Any, image: Tensor, acts: Tensor, target: Tensor, run: Any) -> Tensor:
    raise MethodError("the *tail* has no [0] to divide by")


def surprised(net: Any, image: Tensor, acts: Tensor, target: Tensor, run: Any) -> Tensor:
    raise ZeroDivisionError("nobody foresaw this")


def zero(net: Any, image: Tensor, acts: Tensor, target: Tensor, run: Any) -> Tensor:
    return torch.zeros(len(acts), *acts.shape[2:])


def endless(net: Any, image: Tensor, acts: Tensor, target: Tensor, run: Any) -> Tensor:
    run.expect(1_000_000)
    for _ in range(1_000_000):
        run.advance()
        time.sleep(0.005)
    return torch.zeros(len(acts), *acts.shape[2:])


def adjustable(
    net: Any,
    image: Tensor,
    acts: Tensor,
    target: Tensor,
    run: Any,
    steps: Annotated[int, Parameter("how many steps", low=1, high=9)] = 5,
    rate: Annotated[float, Parameter("how far each goes", low=0, high=1)] = 0.25,
    centred: Annotated[bool, Parameter("whether to subtract the mean")] = False,
    score: Annotated[Literal["logit", "probability"], Parameter("what is looked at")] = "logit",
) -> Tensor:
    """A map whose size tells the parameters that arrived."""
    value = steps + rate + 10 * centred + 100 * (score == "probability")
    return torch.arange(acts.shape[2] * acts.shape[3]).view(1, *acts.shape[2:]).float() * value
