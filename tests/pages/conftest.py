"""The app on a tiny network: every page state in milliseconds, without weights and without a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash
from torch import Tensor

from cam_core import METHODS, Classifier
from cam_core.methods.registry import Method, method, no_pass
from pages.runtime import compute
from pages.runtime.jobs import Jobs
from pages.runtime.visits import Visits
from tests.pages.app_runs import APP, LABELS, PATIENCE, Open, load_tiny, settle
from tests.pretend.device import Ledger, pretend
from tests.tiny import CLASSES, SIZE


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    """The visitor's jobs; stopped when the test ends."""
    own = Jobs()
    monkeypatch.setattr(compute, "visitor_jobs", lambda: own)
    yield own
    own.close()


class Browser:
    """A browser of one tab, which can be loaded again: what `compute.visitor_jobs` then is, by the real visits."""

    def __init__(self) -> None:
        self._tab = 1
        self._visits = Visits(lambda tab: tab == str(self._tab))

    def jobs(self) -> Jobs:
        return self._visits.tab("browser", str(self._tab), most=100)

    def reload(self) -> None:
        self._tab += 1


@pytest.fixture
def own_browser(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    """The visitor's browser; all its jobs are stopped when the test ends."""
    own = Browser()
    monkeypatch.setattr(compute, "visitor_jobs", own.jobs)
    yield own
    for job in own._visits.jobs:
        job.cancel()


@pytest.fixture(autouse=True)
def run_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    """AppTest forgets between two runs that `app.py` has navigation of its own, and would run the page's file alone."""
    original = PagesManager.__init__

    def initialise(self: PagesManager, *args: Any, **options: Any) -> None:
        PagesManager.uses_pages_directory = False
        original(self, *args, **options)

    monkeypatch.setattr(PagesManager, "__init__", initialise)


@pytest.fixture(autouse=True)
def no_keeper(monkeypatch: pytest.MonkeyPatch) -> None:
    """A keeper is for as long as a server is: it would look, and collect garbage, beside all tests that follow."""
    monkeypatch.setattr(compute, "keep", lambda *everything: None)


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
def apple(monkeypatch: pytest.MonkeyPatch, tiny_model: None) -> Iterator[Ledger]:
    """A pretended GPU of Apple's, on which every model is that leaves the choice to us."""

    def load(name: str, device: str, **options: Any) -> Classifier:
        loaded = load_tiny(name, **options)
        return Classifier(loaded.module, LABELS, SIZE, name=name, device=device)

    monkeypatch.setattr(compute, "load_model", load)
    with pretend("mps", old=True) as ledger:
        yield ledger


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Method]:
    """Add a method to the registry for one test: `register("key", function, title="…")`."""

    def register(key: str, function: Callable[..., Tensor], **entry: Any) -> Method:
        monkeypatch.setattr(METHODS, "_entries", dict(METHODS))
        words = {"title": key, "plain": "A test.", "family": "Controls", "paper": "a test", "formula": "none"}
        words |= {"cost": "none", "planned": no_pass, "fails": "never"}
        method(key, **(words | entry))(function)
        return METHODS[key]

    return register
