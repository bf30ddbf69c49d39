"""The Benchmark page where other processes than the server's compute."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from scripts.serving import server_process
from tests.browser.visits import Visit, run_stopped_and_resumed, wait_for_tiles

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
    run_stopped_and_resumed(page)
    expect(page.get_by_role("button", name=re.compile("Complexity, "))).to_have_count(3)
    wait_for_tiles(page, 6)
