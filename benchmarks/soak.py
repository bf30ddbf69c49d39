"""Visitors who come, work and leave, many of them: does the app hold more after a thousand jobs than after a hundred?

    python -m benchmarks.soak                                # two CPU threads, a quarter of an hour
    python -m benchmarks.soak --jobs 60 --every 20           # only printed

Visitors without a browser, a few at a time, each with a photo of its own and five requests that must be computed; one
visit in ten is broken off while Score-CAM computes. Memory, threads, files and sockets of the server are read when all
of a block have left and it has looked what it may give back. The server keeps who has left for two minutes, in case
they come back: the first reading and the last are taken after that time.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import count, cycle
from pathlib import Path
from typing import Annotated, Any, Final

sys.path.insert(0, str(Path(__file__).parents[1]))

import typer

from benchmarks.app_core import FIRST_METHODS, NETWORK
from benchmarks.app_cost import Holdings, holdings, rest
from benchmarks.common import machine, publish, show
from benchmarks.load import tracebacks
from benchmarks.load_attendance import CURVES, FIRST_PAGE, Attendance
from benchmarks.load_visits import LESSONS, METHODS_BOX, SCORE_CAM, SLOW
from cam_core import METHODS
from pages.runtime.visits import SWEEP
from scripts.serving import Server, server_process
from scripts.visitor import picture, visiting

JOBS: Final = 1000
EVERY: Final = 100
PER_VISIT: Final = 5
TOGETHER: Final = 4  # visitors at a time
A_LOOK: Final = SWEEP + 1.0  # seconds in which the server looks once at least what it may give back
KEPT: Final = 130.0  # seconds for which Streamlit keeps who has left, and a little more
MOST_GROWTH: Final = 0.05
THINK: Final = 0.5  # seconds between clicks: who takes none clicks on what is being drawn

_BROKEN_OFF: Final = 10  # one visit in so many


@dataclass(frozen=True)
class Reading:
    """The server's possessions after so many jobs and visits.

    Attributes:
        rested: whether those who left have been forgotten by then.
    """

    jobs: int
    visits: int
    rested: bool
    held: Holdings


class Soak:
    """Visits to one server, block by block."""

    def __init__(self, server: Server) -> None:
        self.readings: list[Reading] = []
        self.errors: list[str] = []
        self._server = server
        self._photos = count()
        self._lessons = cycle(lesson for lesson in LESSONS if not lesson.slow)
        self._jobs, self._visits = 0, 0

    async def block(self, jobs: int) -> None:
        """Visits until so many jobs more are done.

        Raises:
            RuntimeError: several visits in a row came to nothing.
        """
        until = self._jobs + jobs
        while (before := self._jobs) < until:
            await asyncio.gather(*(self._visit(next(self._photos)) for _ in range(TOGETHER)))
            if self._jobs == before:
                raise RuntimeError(f"no visit got an answer; last error: {self.errors[-1:]}")

    async def _visit(self, number: int) -> None:
        self._visits += 1
        if number % _BROKEN_OFF == _BROKEN_OFF - 1:
            await self._break_off(number)
            return
        attendance = Attendance(self._server, next(self._lessons), number, visitors=1, think=THINK)
        requests = attendance.diary.requests

        def answered() -> int:
            return sum(each.seconds is not None and each.kind not in (FIRST_PAGE, CURVES) for each in requests)

        await attendance.visit(number, lambda: answered() >= PER_VISIT)
        self._jobs += answered()
        self.errors += attendance.diary.errors

    async def _break_off(self, number: int) -> None:
        """Ask for Score-CAM, and leave while it is computed."""
        async with visiting(self._server.address, SCORE_CAM.path, {"seed": str(number)}) as visitor:
            await visitor.drawn(*map(picture, SCORE_CAM.opens))
            visitor.choose(METHODS_BOX, *(METHODS[method].title for method in (FIRST_METHODS[0], SLOW)))
            await visitor.drawn(lambda element: element.WhichOneof("type") == "progress")
            self.errors += visitor.errors

    async def forget(self) -> None:
        """Wait until those who left are forgotten; that happens when somebody comes."""
        await asyncio.sleep(KEPT)
        async with visiting(self._server.address) as visitor:
            await visitor.drawn(*map(picture, SCORE_CAM.opens))

    def read(self, rested: bool) -> None:
        """Note what the server holds, once it does nothing and has given back what it does not need for that."""
        rest(self._server.pid)
        time.sleep(A_LOOK)
        rest(self._server.pid)
        self.readings.append(Reading(self._jobs, self._visits, rested, holdings(self._server.pid)))
        print(self.readings[-1], file=sys.stderr, flush=True)


def soak(server: Server, jobs: int, every: int, kept: bool) -> Soak:
    """All blocks."""
    made = Soak(server)
    for number in range(-(-jobs // every)):
        asyncio.run(made.block(min(every, jobs - number * every)))
        made.read(rested=False)
        if kept and (number == 0 or (number + 1) * every >= jobs):
            asyncio.run(made.forget())
            made.read(rested=True)
    return made


def verdicts(readings: Sequence[Reading]) -> dict[str, bool]:
    """Whether the server holds no more at the last reading than at the first of its kind; of memory, hardly more."""
    last = readings[-1]
    first = next(reading for reading in readings if reading.rested == last.rested)
    growth = last.held.megabytes / first.held.megabytes - 1
    return {
        f"memory grows by {growth:.1%} (wanted: less than {MOST_GROWTH:.0%})": growth < MOST_GROWTH,
        **{
            f"{name} grow by {getattr(last.held, name) - getattr(first.held, name)} (wanted: not at all)": (
                getattr(last.held, name) <= getattr(first.held, name)
            )
            for name in ("threads", "files", "sockets")
        },
    }


COLUMNS: Final = ("jobs", "visits", "who left is forgotten", "memory MB", "threads", "files", "sockets")


def row(reading: Reading) -> list[Any]:
    """A line of the table."""
    held = reading.held
    forgotten = "yes" if reading.rested else ""
    return [reading.jobs, reading.visits, forgotten, f"{held.megabytes:.0f}", held.threads, held.files, held.sockets]


def main(
    jobs: Annotated[int, typer.Option(help="requests that the server computes an answer for")] = JOBS,
    every: Annotated[int, typer.Option(help="jobs from one reading to the next")] = EVERY,
    name: Annotated[str, typer.Option(help="of the files in benchmarks/results")] = "soak-cpu",
) -> None:
    """Measure and, where nothing was left out, publish."""
    whole = (jobs, every) == (JOBS, EVERY)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch, server_process(log := Path(scratch) / "server.log") as server:
        made = soak(server, jobs, every, kept=whole)
        logged = tracebacks(log.read_text(errors="replace"))
    told = [
        *(f"{'Yes' if met else 'NO'}: {fact}." for fact, met in verdicts(made.readings).items()),
        *(f"Gone wrong {times} ×: {error}" for error, times in {**Counter(made.errors), **logged}.items()),
        f"{made.readings[-1].visits} visits in {time.perf_counter() - began:.0f} s, {TOGETHER} at a time; one in "
        f"{_BROKEN_OFF} broken off while {METHODS[SLOW].title} computes.",
    ]
    described = machine("cpu") | {"streamlit": version("streamlit")}
    title = f"What the app holds after many visits: {NETWORK} on {described['threads']} threads"
    table = [row(reading) for reading in made.readings]
    if whole:
        record = {
            "machine": described,
            "settings": {"per visit": PER_VISIT, "together": TOGETHER, "kept": KEPT, "think": THINK},
            "readings": [asdict(reading) for reading in made.readings],
            "errors": dict(Counter(made.errors)),
            "tracebacks": logged,
        }
        publish(name, title, COLUMNS, table, record, told)
    else:
        show(title, COLUMNS, table)
    print(*told, sep="\n\n")


if __name__ == "__main__":
    typer.run(main)
