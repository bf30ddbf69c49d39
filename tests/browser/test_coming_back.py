"""A page that is loaded again, a connection that broke, a second tab: the work goes on and is found."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Page, WebSocketRoute

from tests.browser.visits import HEATMAP, PATIENCE, Visit, wait_for_tiles

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

COMPUTING = "text=/Computing · \\d+ %/"


def share(page: Page, method: str = "Score-CAM") -> int:
    """How much of the method is done, in per cent; 100 where its map is there."""
    until = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < until:
        if page.locator(f'img[alt^="{method} heatmap "]').count():
            return 100
        shown = page.locator("[data-testid=stProgress]").all_inner_texts()
        if found := re.search(r"Computing · (\d+) %", " ".join(shown)):
            return int(found[1])
        time.sleep(0.05)
    raise AssertionError("neither a map nor a sign of work")


def only_grows(page: Page, done: int) -> bool:
    """Whether it goes on from there until the map is shown: work that was begun anew would begin at nothing."""
    while done < 100:
        now = share(page)
        if now < done:
            return False
        done = now
        page.wait_for_timeout(50)
    return True


def wait_for_share(page: Page, least: int, method: str = "Score-CAM") -> int:
    while (done := share(page, method)) < least:
        time.sleep(0.1)
    return done


@pytest.mark.slow
def test_a_tab_loaded_again_in_the_middle_of_score_cam_finds_it(visit: Visit) -> None:
    page = visit(methods=["Score-CAM", "Grad-CAM"], sample="bison", seed="11")
    done = wait_for_share(page, 25)
    assert done < 100
    page.reload()
    assert only_grows(page, done)
    wait_for_tiles(page, 2)


@pytest.mark.slow
def test_a_connection_that_broke_finds_its_work_again(visit: Visit) -> None:
    page = visit(methods=["Grad-CAM"], sample="koala", seed="12")
    sockets: list[WebSocketRoute] = []

    def pass_through(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    page.route_web_socket(re.compile("_stcore/stream"), pass_through)
    page.goto(re.sub("methods=Grad-CAM", "methods=Score-CAM&methods=Grad-CAM", page.url))
    page.wait_for_selector(HEATMAP)
    done = wait_for_share(page, 25)
    assert done < 100
    sockets[-1].close()
    until = time.monotonic() + PATIENCE / 1000
    while len(sockets) < 2:
        assert time.monotonic() < until, "no second connection"
        page.wait_for_timeout(100)
    assert only_grows(page, done)
    wait_for_tiles(page, 2)


@pytest.mark.slow
def test_a_cancel_in_one_tab_leaves_the_same_work_in_the_other(visit: Visit) -> None:
    # Half a minute's work at least: longer than two pages take to open, also on a busy machine.
    page = visit(methods=["SS-CAM", "Grad-CAM"], sample="jaguar", seed="13", **{"ss-cam.samples": "10"})
    assert wait_for_share(page, 1, "SS-CAM") < 100
    other = page.context.new_page()
    other.set_default_timeout(PATIENCE)
    other.goto(page.url)
    other.wait_for_selector(COMPUTING)
    other.get_by_role("button", name="Cancel").click()
    other.wait_for_selector("text=/^Cancelled/")
    other.close()
    wait_for_tiles(page, 2)
