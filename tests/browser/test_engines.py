"""The Benchmark page where other processes than the server's compute."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from scripts.serving import server_process
from tests.browser.visits import PATIENCE, Visit, wait_for_calm, wait_for_tiles

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    variables = {"OMP_NUM_THREADS": "1"} | os.environ | {"CAMSCOPE_ENGINE": "processes"}
    with server_process(tmp_path_factory.mktemp("server") / "server.log", variables) as served:
        yield served.address


@pytest.mark.slow
def test_a_run_in_processes_is_stopped_resumed_and_looked_into(visit: Visit) -> None:
    page = visit(
        path="/benchmark",
        **{"benchmark-methods": ["Grad-CAM", "LIFT-CAM", "Random (control)"], "metrics": "complexity"},
    )
    wait_for_tiles(page, 6)
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text(re.compile(r"^Last: \w+\.jpg")).wait_for()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text(re.compile(r"Cancelled at \d+ %")).wait_for()
    wait_for_calm(page)  # a click in the midst of a redrawing can be lost
    page.get_by_role("button", name="Resume").click()
    page.get_by_role("button", name="Resume").wait_for(state="detached")
    page.get_by_text("45 images · layer").wait_for(timeout=2 * PATIENCE)  # said of a table that is whole
    expect(page.get_by_role("button", name=re.compile("Complexity, "))).to_have_count(3)
    wait_for_tiles(page, 6)
