"""A visitor of the served app, in Chromium: what stands where on a page, when an answer is on the screen, what it took.

with visiting(browser, address, "/deletion", {"steps": "14"}) as visitor:
    visitor.open()
    visitor.settle()
    visitor.slide(CHANGED_SLIDER, {"all": every(FRAME, "21 %")})
    visitor.answers()["all"]                 # seconds from the key to the pictures
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from playwright.sync_api import Browser, Page, Request, TimeoutError, WebSocket

from benchmarks.app_cost import rest

# What stands where. Everything that this benchmark knows of the pages' looks is in these lines.
HEATMAP: Final = 'img[alt*=" heatmap "]'
HEATMAP_OF: Final = 'img[alt^="{method} heatmap "]'
PHOTO: Final = 'img[alt^="{title}, with the frame"]'
GALLERY: Final = ".st-key-sample-{key} button"
CHANNEL_MAP: Final = 'img[alt^="Channel "][alt*=" heatmap "]'
BARS: Final = ".st-key-channel-bars .js-plotly-plot .barlayer .trace"
CHANNEL_FACTS: Final = ".cam-facts"
FRAME: Final = 'img[alt*=" of its pixels "]'
CURVES: Final = '[class*="st-key-chart-"] .js-plotly-plot'
AREAS: Final = ".st-key-poll-areas table"
WAITING: Final = "text=is being computed now"
UNDER_WAY: Final = "text=/ · \\d+ %/"
CANCEL: Final = "Cancel"
METHODS_BOX: Final = "Methods"
STEPS_BOX: Final = "Steps"
BUDGET_BOX: Final = "Budget"
OPACITY_SLIDER: Final = "Opacity"
CHANGED_SLIDER: Final = "Pixels changed"
CALM: Final = """(document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'
    && !document.querySelector('[data-testid=stProgress], [data-testid=stStatusWidget]'))"""

_HAS_CHART_SCRIPT: Final = "performance.getEntriesByType('resource').some(entry => entry.name.includes('PlotlyChart'))"

Link = Mapping[str, str | Sequence[str]]

_SIZE: Final = {"width": 1280, "height": 1000}
_PATIENCE: Final = 300_000  # milliseconds
_MOMENT: Final = 1000  # milliseconds
_CALM_LOOKS: Final = 6  # a tenth of a second apart: between two polls there is a moment that seems calm

# A browser tells of every change of the page, so nothing is polled. An answer counts when it has been painted: the
# message that is posted from a frame's callback comes after that frame. Time begins with the first key or pointer after
# `expect`, or with navigation.
_WATCH: Final = """
window.bench = {
  seen: selector => [...document.querySelectorAll(selector)].filter(p => p.complete && p.naturalWidth > 0),
  sources: selector => [...document.querySelectorAll(selector)].map(p => p.src),
  text: selector => [...document.querySelectorAll(selector)].map(p => p.innerText).join('|'),
  lines: selector => [...document.querySelectorAll(selector)].filter(chart => chart._fullData).map(
    chart => chart._fullData.filter(line => line.name && line.y?.length > 1)),
  shape: line => `${line.name}:${Array.from(line.x ?? []).join()}:${Array.from(line.y).join()}`,
  expect(conditions, started, patience) {
    const seconds = {}
    const begin = event => { started ??= event.timeStamp }
    const kinds = ['pointerdown', 'keydown']
    kinds.forEach(kind => addEventListener(kind, begin, true))
    this.answer = new Promise((resolve, reject) => {
      const painted = name => requestAnimationFrame(() => {
        const channel = new MessageChannel()
        channel.port1.onmessage = () => {
          seconds[name] = (performance.now() - started) / 1000
          if (Object.keys(seconds).length === Object.keys(conditions).length) {
            observer.disconnect()
            document.removeEventListener('load', look, true)
            kinds.forEach(kind => removeEventListener(kind, begin, true))
            resolve(seconds)
          }
        }
        channel.port2.postMessage(0)
      })
      const open = new Set(Object.keys(conditions))
      const look = () => {
        if (started === null) return
        for (const name of open) {
          let met = false
          try { met = conditions[name]() } catch { /* half drawn */ }
          if (met) { open.delete(name); painted(name) }
        }
      }
      const observer = new MutationObserver(look)
      observer.observe(document, {childList: true, subtree: true, attributes: true, characterData: true})
      document.addEventListener('load', look, true)  // windows do not hear of pictures
      setTimeout(() => reject(new Error(`no answer for ${[...open]}`)), patience)
    })
  },
  async calm(condition, looks) {
    for (let calm = 0; calm < looks; calm = condition() ? calm + 1 : 0) await new Promise(go => setTimeout(go, 100))
  },
}
"""


def pictures(selector: str, count: int) -> str:
    """So many pictures are there and decoded."""
    return f"() => bench.seen({json.dumps(selector)}).length >= {count}"


def present(selector: str) -> str:
    """It is there."""
    return f"() => document.querySelector({json.dumps(selector)}) !== null"


def other_pictures(selector: str, count: int) -> str:
    """So many are there that were not there before."""
    quoted = json.dumps(selector)
    return f"(before => () => bench.seen({quoted}).filter(p => !before.includes(p.src)).length >= {count})(\
bench.sources({quoted}))"


def every(selector: str, alt: str) -> str:
    """All pictures, as many as there were before, are described with these words."""
    quoted, words = json.dumps(selector), json.dumps(alt)
    return f"(before => () => bench.seen({quoted}).filter(p => p.alt.includes({words})).length >= before)(\
bench.seen({quoted}).length)"


def both(*conditions: str) -> str:
    """All of the conditions at a time."""
    return f"(all => () => all.every(met => met()))([{', '.join(conditions)}])"


def other_text(selector: str, containing: str, without: str = "\0") -> str:
    """The text there has become another one, with some words and without some others."""
    text = f"bench.text({json.dumps(selector)})"
    return f"(before => () => {text} !== before && {text}.includes({json.dumps(containing)}) && \
![...{json.dumps(without)}].some(sign => {text}.includes(sign)))({text})"


def new_points(selector: str) -> str:
    """A curve shows two points or more that it did not show before."""
    lines = f"bench.lines({json.dumps(selector)}).flat().map(bench.shape)"
    return f"(before => () => {lines}.some(line => !before.includes(line)))({lines})"


def whole_curves(selector: str, points: int) -> str:
    """Every chart has lines with so many points, or one more: a line runs through its dot."""
    whole = f"[{points}, {points + 1}].includes(line.y.length)"
    return f"() => (charts => charts.length && charts.every(lines => lines.some(line => {whole})))(\
bench.lines({json.dumps(selector)}))"


@dataclass
class Traffic:
    """All that has gone over the wire for one page, by now.

    Attributes:
        received: messages on the websocket, to the browser.
        sent: bytes of each message on the websocket, from the browser.
        requests: those that have been answered over HTTP.
    """

    received: list[bytes] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Listen."""
        page.on("websocket", self._listen)
        page.on("requestfinished", self._answered)

    def _listen(self, socket: WebSocket) -> None:
        socket.on("framereceived", lambda payload: self.received.append(_as_bytes(payload)))
        socket.on("framesent", lambda payload: self.sent.append(len(_as_bytes(payload))))

    def _answered(self, request: Request) -> None:
        if request.url.startswith("http"):
            self.requests.append(request)

    def now(self) -> tuple[int, int, int]:
        """A place in it, for `since`."""
        return len(self.received), len(self.sent), len(self.requests)

    def since(self, place: tuple[int, int, int]) -> Traffic:
        """All that came after that place."""
        received, sent, requests = place
        return Traffic(self.received[received:], self.sent[sent:], self.requests[requests:])

    @property
    def bytes_in(self) -> int:
        """To the browser: messages, and what requests were answered with, as transferred."""
        answers = (request.sizes() for request in self.requests)
        return sum(map(len, self.received)) + sum(max(0, sizes["responseBodySize"]) for sizes in answers)

    @property
    def bytes_out(self) -> int:
        """From the browser, headers of requests apart."""
        return sum(self.sent) + sum(request.sizes()["requestBodySize"] for request in self.requests)


def _as_bytes(payload: str | bytes) -> bytes:
    return payload if isinstance(payload, bytes) else payload.encode()


@dataclass
class Visitor:
    """Somebody who looks at one page."""

    page: Page
    address: str
    traffic: Traffic

    def await_answers(self, conditions: Mapping[str, str]) -> None:
        """From the next key or pointer on, time until each condition is met on the screen."""
        self.page.evaluate(_expecting(conditions, "null"))

    def open(self, conditions: Mapping[str, str] | None = None) -> None:
        """Follow the link, and time from then until each condition is met."""
        if conditions:
            self.page.add_init_script(_expecting(conditions, "0"))
        self.page.goto(self.address, wait_until="commit")

    def answers(self) -> dict[str, float]:
        """Seconds until each condition was met; waits for the last."""
        seconds: dict[str, float] = self.page.evaluate("bench.answer")
        return seconds

    def settle(self) -> None:
        """Wait until there is something to see, nothing is computed or drawn, and the script for charts is there."""
        self.page.wait_for_selector(f"{HEATMAP}, {FRAME}")
        self.await_chart_script()
        self.page.evaluate(f"bench.calm(() => {CALM}, {_CALM_LOOKS})")

    def await_chart_script(self) -> None:
        """Wait until the script for charts is there: it is large, and comes after everything else."""
        self.page.wait_for_function(_HAS_CHART_SCRIPT)

    def choose(self, box: str, option: str, conditions: Mapping[str, str]) -> None:
        """Choose in a list; the click on the option is what is answered."""
        field = self.page.get_by_role("combobox", name=box)
        field.click()
        field.press_sequentially(option)
        item = self.page.get_by_role("option", name=option, exact=True)
        item.wait_for()
        self.await_answers(conditions)
        item.click()

    def type(self, box: str, text: str, conditions: Mapping[str, str]) -> None:
        """Write a number; the Enter key is what is answered."""
        field = self.page.get_by_role("spinbutton", name=box)
        field.fill(text)
        self.await_answers(conditions)
        field.press("Enter")

    def slide(self, slider: str, conditions: Mapping[str, str]) -> None:
        """Move a slider by one step."""
        self.page.get_by_role("slider", name=slider).focus()
        self.await_answers(conditions)
        self.page.keyboard.press("ArrowRight")

    def click(self, selector: str, conditions: Mapping[str, str]) -> None:
        """Click on something."""
        target = self.page.locator(selector).first
        target.scroll_into_view_if_needed()
        self.await_answers(conditions)
        target.click()

    def click_bar(self, place: int, conditions: Mapping[str, str]) -> None:
        """Click into the middle of a bar."""
        box = self.page.locator(BARS).first.locator(".point").nth(place).bounding_box()
        if box is None:
            raise RuntimeError("the page has no bars")
        self.await_answers(conditions)
        self.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    def cancel(self) -> None:
        """Stop what is computed, if anything still is, one job after the other."""
        while (button := self.page.get_by_role("button", name=CANCEL).first).is_visible():
            with suppress(TimeoutError):  # it may end by itself
                button.click(timeout=_MOMENT)
            self.page.wait_for_timeout(_MOMENT)


def _expecting(conditions: Mapping[str, str], started: str) -> str:
    listed = ", ".join(f"{json.dumps(name)}: {condition}" for name, condition in conditions.items())
    return f"bench.expect({{{listed}}}, {started}, {_PATIENCE})"


def await_window(browser: Browser) -> None:
    """Wait until a new window is ready.

    Chromium builds its own surface as a page, for a second in which it takes a processor: who follows a link sits in
    front of a window that is there.
    """
    session = browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    rest(next(process["id"] for process in processes if process["type"] == "browser"))


@contextmanager
def visiting(browser: Browser, server: str, path: str, link: Link) -> Iterator[Visitor]:
    """A new visitor, with nothing in the browser's cache, who is about to follow a link."""
    size: Any = _SIZE
    context = browser.new_context(viewport=size)
    try:
        context.add_init_script(_WATCH)
        page = context.new_page()
        page.set_default_timeout(_PATIENCE)
        traffic = Traffic()
        traffic.watch(page)
        await_window(browser)
        yield Visitor(page, f"{server}{path}?{urlencode(link, doseq=True)}", traffic)
    finally:
        context.close()
