"""One visitor's time at the served app: visit after visit, and a diary of what was asked and answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any, Final

from websockets.exceptions import WebSocketException

from benchmarks.load_visits import UPLOADER, Lesson, Question, own_photo, shown_picture
from scripts.serving import Server
from scripts.visitor import ErrorShown, NoAnswer, Visitor, Wanted, picture, visiting

FIRST_PAGE: Final = "first page"
OWN_PHOTO: Final = "own photo"
CURVES: Final = "curves"

VISIT: Final = 75.0  # seconds after which a visitor leaves
ARRIVALS: Final = 2.0  # visitors per second


@dataclass
class Request:
    """Something that a visitor asked for.

    Attributes:
        costs: the calls of the core that it takes.
        seconds: until it was answered; None if it was not.
        share: how much of it is done, as far as the page told.
        error: why there is no answer; empty where there is one, or the benchmark ended before.
    """

    kind: str
    costs: tuple[str, ...]
    seconds: float | None = None
    share: float = 0.0
    error: str = ""


@dataclass
class Diary:
    """All that a visitor has seen.

    Attributes:
        answers: questions, and addresses that hold the pictures that answered them.
        errors: what went wrong.
        attended: seconds.
    """

    requests: list[Request] = field(default_factory=list)
    answers: list[tuple[Question, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    bytes_in: int = 0
    attended: float = 0.0


def _past(moment: float) -> Callable[[], bool]:
    return lambda: time.perf_counter() > moment


class Attendance:
    """One visitor's time at the server: visit after visit, each with another photo."""

    def __init__(self, server: Server, lesson: Lesson, number: int, visitors: int, think: float) -> None:
        self.diary = Diary()
        self._server, self._lesson, self._think = server, lesson, think
        self._photos = count(number, visitors)
        self._draw = Random(number)
        self._delay = number / ARRIVALS

    async def attend(self) -> None:
        """Until cancelled."""
        await asyncio.sleep(self._delay)
        while True:
            await self.visit(next(self._photos), _past(time.perf_counter() + VISIT))

    async def visit(self, photo: int, enough: Callable[[], bool]) -> None:
        """Come, look, upload, click until it is enough, leave. What goes wrong ends the visit."""
        came = time.perf_counter()
        visitor: Visitor | None = None
        try:
            # A seed of its own: what the store has of the gallery's photo is no answer.
            link = self._lesson.link | {"seed": str(photo + 1)}
            async with visiting(self._server.address, self._lesson.path, link) as visitor:
                await self._look(visitor, FIRST_PAGE, came)
                await self._give_photo(visitor, photo)
                await self._click(visitor, photo, enough)
        except ErrorShown:
            pass  # the visitor has it among its errors
        except (NoAnswer, OSError, WebSocketException, LookupError) as error:
            self.diary.errors.append(f"{self._lesson.title}: {type(error).__name__}: {error}")
            await asyncio.sleep(1)
        finally:
            self.diary.attended += time.perf_counter() - came
            if visitor is not None:
                self.diary.bytes_in += visitor.bytes_in
                self.diary.errors += [f"{self._lesson.title}: {error}" for error in visitor.errors]

    async def _look(self, visitor: Visitor, kind: str, began: float) -> None:
        """Wait for what the page opens with, and for what fills it later."""
        lesson = self._lesson
        await self._answer(visitor, Request(kind, lesson.costs), began, map(picture, lesson.opens))
        if lesson.fills:
            await self._answer(visitor, Request(CURVES, lesson.filling_costs), began, lesson.fills)

    async def _give_photo(self, visitor: Visitor, photo: int) -> None:
        content = own_photo(photo)
        visitor.choose("Photo", "Upload")
        await visitor.drawn(lambda element: element.WhichOneof("type") == "file_uploader")
        await self._think_about_it()
        began = time.perf_counter()
        await visitor.upload(UPLOADER, f"{photo}.jpg", content)
        await self._look(visitor, OWN_PHOTO, began)

    async def _click(self, visitor: Visitor, photo: int, enough: Callable[[], bool]) -> None:
        clicks = self._lesson.clicks(visitor, photo)
        while not enough():
            await self._think_about_it()
            click = next(clicks)
            began = time.perf_counter()
            click.do()
            elements = await self._answer(visitor, Request(click.kind, click.costs), began, click.wanted())
            self.diary.answers += [
                (question, shown_picture(element, start))
                for (question, start), element in zip(click.pictures.items(), elements, strict=False)
            ]

    async def _answer(self, visitor: Visitor, request: Request, began: float, wanted: Iterable[Wanted]) -> list[Any]:
        self.diary.requests.append(request)
        try:
            elements = await visitor.drawn(*wanted)
        except NoAnswer as error:
            request.error = str(error)
            raise
        finally:
            request.share = visitor.progress
        request.seconds = time.perf_counter() - began
        return elements

    async def _think_about_it(self) -> None:
        await asyncio.sleep(self._think * self._draw.uniform(0.5, 1.5))
