"""A full class at the served app: how long clicks take, and whether everybody gets an answer of their own.

    python -m benchmarks.load                              # two CPU threads, a quarter of an hour
    python -m benchmarks.load --visitors 8 --seconds 60    # only printed

A server of the app, as users start it, and visitors without a browser on the same machine, who send what a browser
sends and obey what it obeys. Each has a photo of its own and attends a lesson: Compare, Deletion, Channels in turn, and
some of them Score-CAM. They come two per second, think between clicks, and leave after a while to come back with
another photo. Every picture that answers a click is compared with the one that the core gives, when all is over.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import typer

from benchmarks.app_core import NETWORK
from benchmarks.app_cost import Cpu, Holdings, cpu, holdings
from benchmarks.common import machine, publish, show
from benchmarks.load_attendance import ARRIVALS, CURVES, FIRST_PAGE, VISIT, Attendance, Diary, Request
from benchmarks.load_visits import (
    LESSONS,
    QUICK,
    Answers,
    Question,
    core_seconds,
    lessons,
)
from cam_core import load_model
from scripts.serving import Server, server_process
from scripts.visitor import picture, visiting

VISITORS: Final = (20, 40)
SECONDS: Final = 300.0
THINK: Final = 10.0  # seconds between an answer and the next click, on average
LONG_WORK: Final = (CURVES, "slow")

_ONE_IN = 5  # has slow work
_PERCENTILES = (50, 95)
_TRACEBACK = r"^Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)*(\S.*)$"


@dataclass
class Level:
    """The measurements with one number of visitors.

    Attributes:
        seconds: how long it lasted; processor seconds are of that time.
        foreign: answers that are not those of the core.
        logged: the last lines of the tracebacks in the server's log, with how often each was there.
    """

    visitors: int
    slow: int
    seconds: float
    diaries: list[Diary]
    server_cpu: float
    load_cpu: float
    held: Holdings
    logged: dict[str, int]
    foreign: list[Question] = field(default_factory=list)

    @property
    def requests(self) -> list[Request]:
        """All visitors' requests."""
        return [request for diary in self.diaries for request in diary.requests]

    @property
    def errors(self) -> list[str]:
        """Everything that went wrong for a visitor."""
        return [error for diary in self.diaries for error in diary.errors]

    def times(self, *kinds: str) -> list[float]:
        """Seconds of the requests of these kinds that were answered."""
        return [each.seconds for each in self.requests if each.kind in kinds and each.seconds is not None]

    @property
    def rate_in(self) -> float:
        """Bytes to each visitor per second."""
        attended = sum(diary.attended for diary in self.diaries)
        return sum(diary.bytes_in for diary in self.diaries) / attended if attended else 0.0


def percentiles(times: Sequence[float]) -> list[float]:
    """The median and the 95th percentile; NaN where there are no times."""
    return np.percentile(times, _PERCENTILES).tolist() if times else [float("nan")] * len(_PERCENTILES)


def finished(requests: Iterable[Request], costs: dict[str, float]) -> float:
    """Core-seconds of work: of what was answered all, of long work that was not as much as was done of it."""
    return sum(
        sum(costs[name] for name in request.costs) * (request.share if request.seconds is None else 1.0)
        for request in requests
        if request.seconds is not None or request.kind in LONG_WORK
    )


async def attended(attendances: Sequence[Attendance], seconds: float, pid: int) -> tuple[Cpu, Holdings]:
    """All of them at a time, for so long; what the server has taken and holds by then, before they leave."""
    tasks = [asyncio.create_task(each.attend()) for each in attendances]
    await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    taken, held = cpu(pid), holdings(pid)
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome
    return taken, held


def measure(visitors: int, slow: int, seconds: float, think: float) -> Level:
    """One level, on a server of its own, where every page was opened once before."""
    with tempfile.TemporaryDirectory() as scratch, server_process(log := Path(scratch) / "server.log") as server:
        asyncio.run(_warm_up(server))
        attendances = [
            Attendance(server, lesson, number, visitors, think) for number, lesson in enumerate(lessons(visitors, slow))
        ]
        before, began = cpu(server.pid), time.process_time()
        after, held = asyncio.run(attended(attendances, seconds, server.pid))
        return Level(
            visitors=visitors,
            slow=slow,
            seconds=after.at - before.at,
            diaries=[each.diary for each in attendances],
            server_cpu=after.since(before),
            load_cpu=time.process_time() - began,
            held=held,
            logged=tracebacks(log.read_text(errors="replace")),
        )


async def _warm_up(server: Server) -> None:
    for lesson in LESSONS:
        async with visiting(server.address, lesson.path, lesson.link) as visitor:
            await visitor.drawn(*map(picture, lesson.opens), *lesson.fills)


def tracebacks(log: str) -> dict[str, int]:
    """The last lines of the tracebacks in a log, with how often each is there; prints them whole, for the log goes."""
    found = list(re.finditer(_TRACEBACK, log, re.MULTILINE))
    print(*(each[0] for each in found), sep="\n", file=sys.stderr, end="\n" if found else "")
    return dict(Counter(each[1] for each in found))


def check(levels: Iterable[Level], answers: Answers) -> None:
    """Notes the answers that are not those of the core to their questions."""
    verdicts: dict[tuple[Question, str], bool] = {}
    for level in levels:
        for answer in (answer for diary in level.diaries for answer in diary.answers):
            if answer not in verdicts:
                verdicts[answer] = answers.own(*answer)
            if not verdicts[answer]:
                level.foreign.append(answer[0])


COLUMNS: Final = (
    "visitors", "slow", "answers", "errors", "not one's own", "click p50 s", "click p95 s", "first page p50 s",
    "first page p95 s", "core s ∕ s", "kB ∕ s each", "server MB", "server CPU", "load CPU",
)  # fmt: skip


def row(level: Level, costs: dict[str, float]) -> list[Any]:
    """A line of the table."""
    return [
        level.visitors,
        level.slow,
        sum(len(diary.answers) for diary in level.diaries),
        len(level.errors) + sum(level.logged.values()),
        len(level.foreign),
        *percentiles(level.times(*QUICK)),
        *percentiles(level.times(FIRST_PAGE)),
        finished(level.requests, costs) / level.seconds,
        level.rate_in / 1000,
        level.held.megabytes,
        level.server_cpu / level.seconds,
        level.load_cpu / level.seconds,
    ]


def notes(levels: Sequence[Level], costs: dict[str, float], think: float) -> list[str]:
    """What the table has no column for."""
    return [
        *(f"{level.visitors} visitors: {_by_kind(level)}." for level in levels),
        *(
            f"{level.visitors} visitors, gone wrong {times} ×: {error}"
            for level in levels
            for error, times in {**Counter(level.errors), **level.logged}.items()
        ),
        "Wanted: of 20 visitors no errors, no answers that are not one's own, clicks ≤ 0.3 s and first pages ≤ 3 s "
        "(p95); of 40, 8 of them slow, clicks ≤ 1 s and first pages ≤ 6 s (p95), core s ∕ s ≥ 0.7, ≤ 20 kB ∕ s each.",
        f"Visitors come {ARRIVALS:g} per second, think for {think:g} s on average between clicks, and leave after "
        f"{VISIT:g} s to come back with another photo; slow ones compute Score-CAM. First pages show the gallery’s "
        "first photo with a seed of their own, for all of it to be computed. "
        f"Clicks: {', '.join(QUICK)}. Seconds from the message that a click sends until its answer has arrived; a "
        "browser paints it after that. Errors: exceptions and red messages on a page, closed sockets, no answer and no "
        "news of it for a minute, tracebacks in the server’s log. Core s ∕ s: the seconds that the core alone takes "
        "for the finished work, per second; the core alone finishes one. CPU: processor seconds per second, of the "
        "server, and of the visitors, who share its processors. Core seconds alone: "
        + ", ".join(f"{name} {seconds:.3g}" for name, seconds in costs.items())
        + ".",
    ]


def _by_kind(level: Level) -> str:
    kinds = dict.fromkeys(request.kind for request in level.requests)
    times = {kind: level.times(kind) for kind in kinds}
    parts = [(kind, len(times[kind]), *percentiles(times[kind])) for kind in kinds if times[kind]]
    return "; ".join(f"{kind} {half:.2g} s, p95 {most:.2g} s ({number})" for kind, number, half, most in parts)


def main(
    visitors: Annotated[list[int] | None, typer.Option(help="at a time; several times for several levels")] = None,
    seconds: Annotated[float, typer.Option(help="of each level")] = SECONDS,
    slow: Annotated[int | None, typer.Option(help="visitors with Score-CAM; one in five")] = None,
    think: Annotated[float, typer.Option(help="seconds between clicks, on average")] = THINK,
    name: Annotated[str, typer.Option(help="of the files in benchmarks/results")] = "load-cpu",
) -> None:
    """Measure and, where nothing was left out, publish."""
    tried = bool(visitors) or slow is not None or (seconds, think) != (SECONDS, THINK)
    clf = load_model(NETWORK)
    costs = core_seconds(clf, rounds=1 if tried else 3)
    levels = []
    for number in visitors or VISITORS:
        levels.append(measure(number, number // _ONE_IN if slow is None else slow, seconds, think))
        print(f"{number} visitors: {len(levels[-1].requests)} requests", file=sys.stderr, flush=True)
    check(levels, Answers(clf))
    described = machine("cpu") | {"streamlit": version("streamlit")}
    title = f"A class at the app: {NETWORK} on {described['threads']} threads"
    table, told = [row(level, costs) for level in levels], notes(levels, costs, think)
    if tried:
        show(title, COLUMNS, table)
    else:
        record = {
            "machine": described,
            "settings": {"seconds": seconds, "think": think, "visit": VISIT, "arrivals": ARRIVALS},
            "core seconds": costs,
            "levels": [_record(level) for level in levels],
        }
        publish(name, title, COLUMNS, table, record, told)
    print(*told, sep="\n\n")


def _record(level: Level) -> dict[str, Any]:
    kinds = dict.fromkeys(request.kind for request in level.requests)
    return {
        "visitors": level.visitors,
        "slow": level.slow,
        "seconds": level.seconds,
        "times": {kind: [round(seconds, 4) for seconds in level.times(kind)] for kind in kinds},
        "errors": dict(Counter(level.errors)),
        "tracebacks": level.logged,
        "foreign": [asdict(question) for question in level.foreign],
        "bytes per second each": level.rate_in,
        "server": asdict(level.held) | {"cpu": level.server_cpu},
        "load cpu": level.load_cpu,
    }


if __name__ == "__main__":
    typer.run(main)
