"""The visitor without a browser does what Streamlit's own client does with the server's messages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.server import ServerConnection, serve

from benchmarks.app_core import NETWORK
from benchmarks.load_visits import METHODS_BOX, UPLOADER, Answers, Question, compare, own_photo, shown_picture
from cam_core import load_model
from scripts import visitor as module
from scripts.serving import serving
from scripts.visitor import ErrorShown, NoAnswer, Visitor, html, picture, visiting


def begun(*parts: str) -> ForwardMsg:
    message = ForwardMsg()
    message.new_session.name = "app"
    message.metadata.run.fragment_ids.extend(parts)
    return message


def text(body: str, hash: str = "") -> ForwardMsg:
    """A piece of HTML; with a hash, one that the client keeps."""
    message = ForwardMsg(hash=hash)
    message.metadata.cacheable = bool(hash)
    message.delta.new_element.html.body = body
    return message


def reference(hash: str) -> ForwardMsg:
    return ForwardMsg(ref_hash=hash)


def repeat(part: str, interval: float) -> ForwardMsg:
    message = ForwardMsg()
    message.auto_rerun.fragment_id, message.auto_rerun.interval = part, interval
    return message


def select(label: str, *options: str, part: str = "") -> ForwardMsg:
    message = ForwardMsg()
    message.delta.fragment_id = part
    box = message.delta.new_element.selectbox
    box.id, box.label, box.query_param_key = f"id of {label}", label, "kind"
    box.options.extend(options)
    return message


def ended() -> ForwardMsg:
    return ForwardMsg(script_finished=ForwardMsg.FINISHED_SUCCESSFULLY)


class Stage:
    """A server that says what the test has it say, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[ClientState] = []
        self._connected: asyncio.Future[ServerConnection] = asyncio.get_running_loop().create_future()

    async def serve(self, connection: ServerConnection) -> None:
        self._connected.set_result(connection)
        async for payload in connection:
            assert isinstance(payload, bytes)
            self.asked.append(BackMsg.FromString(payload).rerun_script)

    async def say(self, *messages: ForwardMsg) -> None:
        connection = await self._connected
        for message in messages:
            await connection.send(message.SerializeToString())

    async def hang_up(self) -> None:
        await (await self._connected).close()


def on_stage(play: Callable[[Stage, Visitor], Awaitable[None]]) -> None:
    async def perform() -> None:
        stage = Stage()
        async with serve(stage.serve, "127.0.0.1", 0, subprotocols=list(module._PROTOCOLS)) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            async with visiting(f"http://127.0.0.1:{port}", "/page", {"a": ["1", "2"]}) as visitor:
                await play(stage, visitor)

    asyncio.run(asyncio.wait_for(perform(), 20))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def test_the_first_message_asks_for_the_page_of_the_link() -> None:
    async def play(stage: Stage, visitor: Visitor) -> None:
        await until(lambda: bool(stage.asked))
        assert (stage.asked[0].page_name, stage.asked[0].query_string) == ("page", "a=1&a=2")

    on_stage(play)


def test_a_part_is_asked_for_again_until_the_whole_page_is_drawn_anew() -> None:
    async def play(stage: Stage, visitor: Visitor) -> None:
        await stage.say(begun(), repeat("a", 0.05), repeat("b", 0.05), ended())
        await until(lambda: [state.fragment_id for state in stage.asked].count("a") >= 3)
        assert all(state.is_auto_rerun for state in stage.asked[1:])
        stop = ForwardMsg()
        stop.stop_auto_rerun.fragment_ids.append("b")
        await stage.say(begun("a"), stop, ended())  # a part's own run stops nobody but whom it names
        await asyncio.sleep(0.2)
        stage.asked.clear()
        await asyncio.sleep(0.3)
        assert {state.fragment_id for state in stage.asked} == {"a"}
        await stage.say(begun(), ended())
        await asyncio.sleep(0.2)
        stage.asked.clear()
        await asyncio.sleep(0.3)
        assert not stage.asked

    on_stage(play)


def test_a_kept_message_is_drawn_again_by_reference() -> None:
    async def play(stage: Stage, visitor: Visitor) -> None:
        await stage.say(begun(), text("large", hash="h"), select("Kind", "x"), ended())
        await visitor.drawn(html("large"))
        await until(lambda: "Kind" in visitor.widgets)
        visitor.choose("Kind", "x")
        await until(lambda: len(stage.asked) == 2)
        assert list(stage.asked[1].cached_message_hashes) == ["h"]
        await stage.say(begun(), reference("h"), ended())
        (element,) = await visitor.drawn(html("large"))
        assert element.html.body == "large" and not visitor.errors
        await stage.say(reference("unknown"))
        await until(lambda: bool(visitor.errors))
        assert "does not have" in visitor.errors[0]

    on_stage(play)


def test_a_click_sends_its_value_the_part_and_the_address() -> None:
    async def play(stage: Stage, visitor: Visitor) -> None:
        await stage.say(begun(), select("Kind", "x", "y", part="p"), ended())
        await until(lambda: "Kind" in visitor.widgets)
        visitor.choose("Kind", "y")
        await until(lambda: len(stage.asked) == 2)
        (state,) = stage.asked[1].widget_states.widgets
        assert (state.id, state.string_value, stage.asked[1].fragment_id) == ("id of Kind", "y", "p")
        assert stage.asked[1].query_string == "a=1&a=2&kind=y"

    on_stage(play)


def test_only_what_was_drawn_after_the_click_answers_it() -> None:
    async def play(stage: Stage, visitor: Visitor) -> None:
        await stage.say(begun(), select("Kind", "x"), ended())
        await until(lambda: "Kind" in visitor.widgets)
        visitor.choose("Kind", "x")
        answer = asyncio.create_task(visitor.drawn(html("answer", without="…")))
        await stage.say(text("answer to an earlier click"), begun("p"), text("answer …"), text("answer to this one"))
        assert [element.html.body for element in await answer] == ["answer to this one"]

    on_stage(play)


def test_red_messages_closed_sockets_and_silence_are_no_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(stage: Stage, visitor: Visitor) -> None:
        red = ForwardMsg()
        red.delta.new_element.alert.format, red.delta.new_element.alert.body = Alert.ERROR, "No map."
        yellow = ForwardMsg()
        yellow.delta.new_element.alert.format = Alert.WARNING
        answer = asyncio.create_task(visitor.drawn(html("answer")))
        await stage.say(begun(), yellow, red)
        with pytest.raises(ErrorShown, match="No map"):
            await answer
        monkeypatch.setattr(module, "PATIENCE", 0.5)
        with pytest.raises(NoAnswer, match="no news"):
            await visitor.drawn(html("answer"))
        monkeypatch.undo()
        await stage.hang_up()
        with pytest.raises(NoAnswer, match="closed"):
            await visitor.drawn(html("answer"))

    on_stage(play)


def test_progress_is_news(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 1.5)

    async def play(stage: Stage, visitor: Visitor) -> None:
        answer = asyncio.create_task(visitor.drawn(html("answer")))
        for percent in range(0, 50, 10):
            message = ForwardMsg()
            message.delta.new_element.progress.value = percent
            message.delta.new_element.progress.text = f"{percent} %"
            await stage.say(begun("p"), message)
            await asyncio.sleep(0.6)
        assert visitor.progress == 0.4 and not answer.done()
        await stage.say(text("answer"))
        await answer

    on_stage(play)


def served(tmp_path: Path, play: Callable[[str], Coroutine[Any, Any, None]]) -> None:
    with serving(tmp_path / "server.log") as address:
        asyncio.run(play(address))


@pytest.mark.slow
def test_a_visitor_of_the_app_gets_the_answers_of_the_core_to_an_own_photo(tmp_path: Path) -> None:
    answers = Answers(load_model(NETWORK))
    shown: dict[Question, str] = {}

    async def play(address: str) -> None:
        async with visiting(address) as visitor:
            await visitor.drawn(picture("Grad-CAM heatmap"), picture("LIFT-CAM heatmap"))
            assert METHODS_BOX in visitor.widgets
            visitor.choose("Photo", "Upload")
            await visitor.drawn(lambda element: element.WhichOneof("type") == "file_uploader")
            await visitor.upload(UPLOADER, "own.jpg", own_photo(1))
            await visitor.drawn(picture("own.jpg, with the frame"), picture("LIFT-CAM heatmap"))
            clicks = compare(visitor, photo=1)
            for _ in range(3):
                click = next(clicks)
                click.do()
                elements = await visitor.drawn(*click.wanted())
                for (question, start), element in zip(click.pictures.items(), elements, strict=True):
                    shown[question] = shown_picture(element, start)
            assert not visitor.errors

    served(tmp_path, play)
    assert [question.rank for question in shown] == [0, 0, 1, 1]
    assert all(answers.own(question, shown[question]) for question in shown)
    another = Question(photo=2, rank=0, about=next(iter(shown)).about)
    assert not answers.own(another, next(iter(shown.values())))
