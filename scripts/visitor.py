"""A visitor without a browser: it speaks Streamlit's own messages, so that many fit beside the server on one machine.

async with visiting(address, "/", {"methods": "Grad-CAM"}) as visitor:
    await visitor.drawn(picture("Grad-CAM heatmap"))
    visitor.choose("Methods", "Grad-CAM", "HiResCAM")
    (element,) = await visitor.drawn(picture("HiResCAM heatmap"))

As a browser does, it asks for a part again as often as the app tells it to, keeps large messages that the server may
refer to later, and sends the state of all widgets that were touched each time. It draws nothing.
"""

from __future__ import annotations

import asyncio
import http.client
import itertools
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import uuid4

from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.Common_pb2 import FileURLs
from streamlit.proto.Delta_pb2 import Delta
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

Link = Mapping[str, str | Sequence[str]]
Wanted = Callable[[Element], bool]
"""Whether an element is what somebody waits for."""

PATIENCE: Final = 60.0
"""Seconds without an answer, and without news of it, after which there will be none."""

_XSRF: Final = "_streamlit_xsrf"
_KEPT_RUNS: Final = 2  # runs for which a browser keeps a large message that is not used
_TAKEN: Final = (200, 204)
_PROTOCOLS: Final = [Subprotocol("streamlit"), Subprotocol("PLACEHOLDER_AUTH_TOKEN")]


class NoAnswer(Exception):
    """The answer that did not come."""


class ErrorShown(NoAnswer):
    """The page said instead that something went wrong; what, is among the visitor's `errors`."""


def picture(start: str) -> Wanted:
    """Whether it is a picture whose description begins like this."""
    return lambda element: any(image.alt.startswith(start) for image in element.imgs.imgs)


def html(containing: str, without: str = "") -> Wanted:
    """Whether it is a piece of HTML with some words, and with none of some signs."""
    return lambda element: containing in element.html.body and not any(sign in element.html.body for sign in without)


@dataclass
class Widget:
    """A widget as it was drawn last.

    Attributes:
        kind: of element: "multiselect", "selectbox" and so on.
        fragment: the part that is drawn again when it changes; empty for the whole page.
    """

    kind: str
    proto: Any
    fragment: str


@dataclass
class _Kept:
    """A large message that the server may refer to: what it drew, in which part, and the run that used it last."""

    delta: Delta
    run: int


@dataclass
class _Waiting:
    """A look out for elements of the runs that begin after run `since`."""

    since: int
    wanted: Sequence[Wanted]
    answer: asyncio.Future[list[Element]]
    met: dict[int, Element] = field(default_factory=dict)

    def look(self, element: Element) -> None:
        for place, wanted in enumerate(self.wanted):
            if place not in self.met and wanted(element):
                self.met[place] = element
        if len(self.met) == len(self.wanted) and not self.answer.done():
            self.answer.set_result([self.met[place] for place in range(len(self.wanted))])


class Visitor:
    """One tab of a browser, looked at through its websocket.

    Attributes:
        bytes_in: size of all messages to the browser.
        progress: the share of its work that the last bar showed, 0 to 1, since `drawn` was last called.
        errors: what a reader would have seen go wrong: exceptions, red messages, a page that does not exist.
        widgets: by label.
    """

    def __init__(self, socket: ClientConnection, address: str, path: str, link: Link) -> None:
        self.bytes_in = 0
        self.progress = 0.0
        self.errors: list[str] = []
        self.widgets: dict[str, Widget] = {}
        self._socket, self._address = socket, address
        self._page, self._page_hash = path.strip("/"), ""
        self._query = urlencode(link, doseq=True)
        self._session = ""
        self._runs, self._run_is_whole, self._clicked_at = 0, True, 0
        self._states: dict[str, WidgetState] = {}
        self._drawn_now: set[str] = set()
        self._kept: dict[str, _Kept] = {}
        self._timers: dict[str, tuple[float, asyncio.TimerHandle]] = {}
        self._waiting: _Waiting | None = None
        self._urls: asyncio.Future[list[FileURLs]] | None = None
        self._news_at, self._news = time.monotonic(), ""
        self._outbox: set[asyncio.Task[None]] = set()
        self._listener = asyncio.create_task(self._listen())

    def open(self) -> None:
        """Ask for the page."""
        self._ask(BackMsg(rerun_script=self._state()))

    def choose(self, label: str, *options: str) -> None:
        """Choose in a list: exactly these options."""
        widget = self.widgets[label]
        state = WidgetState(id=widget.proto.id)
        if widget.kind == "selectbox":
            state.string_value = options[0]
        else:
            state.string_array_value.data[:] = options
        self._change(widget, state, options)

    def slide(self, label: str, value: float) -> None:
        """Move a slider."""
        widget = self.widgets[label]
        state = WidgetState(id=widget.proto.id)
        state.double_array_value.data[:] = [value]
        self._change(widget, state, [f"{value:g}"])

    async def upload(self, label: str, name: str, content: bytes) -> None:
        """Give a file to the widget that takes one."""
        widget = self.widgets[label]
        self._urls = asyncio.get_running_loop().create_future()
        message = BackMsg()
        message.file_urls_request.request_id = str(uuid4())
        message.file_urls_request.session_id = self._session
        message.file_urls_request.file_names[:] = [name]
        self._ask(message)
        (urls,) = await asyncio.wait_for(self._urls, PATIENCE)
        status = await asyncio.to_thread(_put, self._address, urls.upload_url, name, content)
        if status not in _TAKEN:
            raise NoAnswer(f"the upload of {name} was answered with {status}")
        state = WidgetState(id=widget.proto.id)
        info = state.file_uploader_state_value.uploaded_file_info.add(name=name, size=len(content))
        info.file_id = urls.file_id
        info.file_urls.CopyFrom(urls)
        self._change(widget, state, [])

    async def drawn(self, *wanted: Wanted) -> list[Element]:
        """The elements that meet the conditions, one each, of what was drawn after the last click.

        Raises:
            NoAnswer: the socket closed, something went wrong on the page, or there was no news of it for a minute.
        """
        waiting = _Waiting(self._clicked_at, wanted, asyncio.get_running_loop().create_future())
        self._waiting, self._news_at, self.progress = waiting, time.monotonic(), 0.0
        seen_errors = len(self.errors)
        either: list[asyncio.Future[Any]] = [waiting.answer, self._listener]
        try:
            while not waiting.answer.done():
                await asyncio.wait(either, timeout=1, return_when=asyncio.FIRST_COMPLETED)
                self._complain(seen_errors, waiting)
            return waiting.answer.result()
        finally:
            self._waiting = None

    def _complain(self, seen_errors: int, waiting: _Waiting) -> None:
        if waiting.answer.done():
            return
        if len(self.errors) > seen_errors:
            raise ErrorShown(self.errors[-1])
        if self._listener.done():
            raise NoAnswer("the server closed the socket")
        if time.monotonic() - self._news_at > PATIENCE:
            raise NoAnswer(f"no answer and no news for {PATIENCE:g} s; last news: {self._news or 'none'}")

    async def close(self) -> None:
        """Leave."""
        self._stop_timers()
        self._listener.cancel()
        await self._socket.close()

    def _change(self, widget: Widget, state: WidgetState, options: Sequence[str]) -> None:
        self._states[state.id] = state
        if key := getattr(widget.proto, "query_param_key", ""):
            self._query = urlencode(parse_qs(self._query) | {key: list(options)}, doseq=True)
        self._clicked_at = self._runs
        self._ask(BackMsg(rerun_script=self._state(widget.fragment)))

    def _state(self, fragment: str = "", by_itself: bool = False) -> ClientState:
        state = ClientState(query_string=self._query, fragment_id=fragment, is_auto_rerun=by_itself)
        state.page_script_hash, state.page_name = self._page_hash, "" if self._page_hash else self._page
        state.widget_states.widgets.extend(self._states.values())
        state.cached_message_hashes.extend(self._kept)
        return state

    def _ask(self, message: BackMsg) -> None:
        if self._listener.done():
            return
        task = asyncio.create_task(self._send(message.SerializeToString()))
        self._outbox.add(task)
        task.add_done_callback(self._outbox.discard)

    async def _send(self, payload: bytes) -> None:
        try:
            await self._socket.send(payload)
        except ConnectionClosed:
            return  # the listener knows

    async def _listen(self) -> None:
        try:
            async for payload in self._socket:
                assert isinstance(payload, bytes)
                self.bytes_in += len(payload)
                self._take(ForwardMsg.FromString(payload))
        except ConnectionClosed:
            self._stop_timers()
            return

    def _take(self, message: ForwardMsg) -> None:
        """Everything that a browser does with a message except drawing."""
        kind = message.WhichOneof("type")
        if kind == "delta":
            self._take_delta(self._remember(message))
        elif kind == "ref_hash":
            self._take_reference(message.ref_hash)
        elif kind == "new_session":
            self._begin_run(message)
        elif kind == "script_finished":
            self._end_run(message)
        elif kind == "auto_rerun":
            self._repeat(message.auto_rerun.fragment_id, message.auto_rerun.interval)
        elif kind == "stop_auto_rerun":
            for fragment in message.stop_auto_rerun.fragment_ids:
                self._stop_timer(fragment)
        elif kind == "navigation":
            self._page_hash = message.navigation.page_script_hash
        elif kind == "page_info_changed":
            self._query = message.page_info_changed.query_string
        elif kind == "file_urls_response" and self._urls is not None:
            self._urls.set_result(list(message.file_urls_response.file_urls))
        elif kind == "page_not_found":
            self.errors.append(f"there is no page {message.page_not_found.page_name}")
        elif kind == "session_event" and message.session_event.HasField("script_compilation_exception"):
            self.errors.append(message.session_event.script_compilation_exception.message)

    def _begin_run(self, message: ForwardMsg) -> None:
        self._runs += 1
        self._run_is_whole = not message.metadata.run.fragment_ids
        self._session = message.new_session.initialize.session_id or self._session
        if self._run_is_whole:
            self._drawn_now.clear()
            self._stop_timers()

    def _end_run(self, message: ForwardMsg) -> None:
        if message.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
            self.errors.append("the app could not be compiled")
        if message.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN:
            return
        if self._run_is_whole:  # what is not on the page any more has no state
            self._states = {key: state for key, state in self._states.items() if key in self._drawn_now}
        parts = set(message.metadata.run.fragment_ids)
        for key, kept in list(self._kept.items()):
            if self._runs - kept.run > _KEPT_RUNS and (not parts or kept.delta.fragment_id in parts):
                del self._kept[key]

    def _remember(self, message: ForwardMsg) -> Delta:
        if message.metadata.cacheable:
            self._kept[message.hash] = _Kept(message.delta, self._runs)
        return message.delta

    def _take_reference(self, hash: str) -> None:
        kept = self._kept.get(hash)
        if kept is None:
            self.errors.append("the server refers to a message that the browser does not have")
        else:
            kept.run = self._runs
            self._take_delta(kept.delta)

    def _take_delta(self, delta: Delta) -> None:
        if delta.WhichOneof("type") != "new_element":
            return
        element = delta.new_element
        kind = element.WhichOneof("type") or ""
        proto = getattr(element, kind)
        if kind == "exception":
            self.errors.append(f"{proto.type}: {proto.message}")
        elif kind == "alert" and proto.format == Alert.ERROR:
            self.errors.append(proto.body)
        elif kind == "progress":
            self._hear(proto.text, proto.value / 100)
        elif getattr(proto, "id", "") and hasattr(proto, "label"):
            self.widgets[proto.label] = Widget(kind, proto, delta.fragment_id)
            self._drawn_now.add(proto.id)
        if self._waiting is not None and self._runs > self._waiting.since:
            self._waiting.look(element)

    def _hear(self, text: str, share: float) -> None:
        self.progress = share
        if text != self._news:
            self._news, self._news_at = text, time.monotonic()

    def _repeat(self, fragment: str, interval: float) -> None:
        if fragment in self._timers and self._timers[fragment][0] == interval:
            return
        self._stop_timer(fragment)
        self._tick(fragment, interval, first=True)

    def _tick(self, fragment: str, interval: float, first: bool = False) -> None:
        if not first:
            self._ask(BackMsg(rerun_script=self._state(fragment, by_itself=True)))
        again = asyncio.get_running_loop().call_later(interval, self._tick, fragment, interval)
        self._timers[fragment] = (interval, again)

    def _stop_timer(self, fragment: str) -> None:
        if fragment in self._timers:
            self._timers.pop(fragment)[1].cancel()

    def _stop_timers(self) -> None:
        for fragment in list(self._timers):
            self._stop_timer(fragment)


@asynccontextmanager
async def visiting(address: str, path: str = "/", link: Link | None = None) -> AsyncIterator[Visitor]:
    """A visitor who has just followed a link to a page."""
    uri = f"ws://{urlsplit(address).netloc}/_stcore/stream"
    async with connect(uri, max_size=None, subprotocols=_PROTOCOLS, ping_interval=None) as socket:
        visitor = Visitor(socket, address, path, link or {})
        visitor.open()
        try:
            yield visitor
        finally:
            await visitor.close()


def _put(address: str, url: str, name: str, content: bytes) -> int:
    """Send a file as a browser does; the status of the answer."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=PATIENCE)
    try:
        connection.request("GET", "/_stcore/health")
        answer = connection.getresponse()
        answer.read()
        cookies = itertools.chain.from_iterable(
            cookie.split(";") for cookie in answer.headers.get_all("Set-Cookie") or []
        )
        token = next((cookie.partition("=")[2] for cookie in cookies if cookie.startswith(f"{_XSRF}=")), "")
        edge = uuid4().hex
        head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        headers = {
            "Content-Type": f"multipart/form-data; boundary={edge}",
            "X-Xsrftoken": token,
            "Cookie": f"{_XSRF}={token}",
        }
        connection.request("PUT", url, head.encode() + content + f"\r\n--{edge}--\r\n".encode(), headers)
        return connection.getresponse().status
    finally:
        connection.close()
