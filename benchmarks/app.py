"""The served app beside its core: seconds from a click to the pixel that answers it, beside the same call of the core.

    python -m benchmarks.app                          # two CPU threads, a quarter of an hour
    python -m benchmarks.app --only Opti --repeat 5   # only printed, as with --quick, which is for trying it out

A server of the app, as users start it, and visitors in Chromium. App and core take turns in one run, never both at a
time, on the same photo with the same seed; each time another seed, so that nothing comes from the store of results.
The app's seconds count in the browser from the key, the click or navigation until what answers it has been painted.
Beside: once more, while the Score-CAM of another visitor runs, which began just before.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import version
from itertools import count, cycle
from pathlib import Path
from typing import Annotated, Any, Final

sys.path.insert(0, str(Path(__file__).parents[1]))

import typer
from playwright.sync_api import Browser, sync_playwright

from benchmarks import app_page as at
from benchmarks.app_core import NETWORK, Core
from benchmarks.app_cost import Cpu, cpu, drawings, rest, screen, without_news
from benchmarks.app_page import Traffic, Visitor, visiting
from benchmarks.app_scenarios import (
    IDLE,
    NEW_PHOTOS,
    PHOTOS,
    QUICK,
    SEEDS_APART,
    Case,
    Scenario,
    Sizes,
    Wanted,
    scenarios,
)
from benchmarks.common import LONG, machine, median, publish, show
from cam_core import METHODS, load_model
from scripts.serving import NO_BROWSER, Server, find_browser, server_process


@dataclass
class Figures:
    """The measurements of one scenario, one value per repetition; seconds by what is timed ("" is all of it).

    Attributes:
        app, beside, core: seconds of the app, of the app beside another visitor's Score-CAM, and of the core.
        server_cpu, core_cpu: processor seconds.
        bytes_in, bytes_out: to the browser and from it.
        screen_cpu: processor seconds per second of looking on, computing apart; one for each second.
        rate_in: bytes to the browser per second of looking on.
    """

    app: dict[str, list[float]] = field(default_factory=dict)
    beside: dict[str, list[float]] = field(default_factory=dict)
    core: dict[str, list[float]] = field(default_factory=dict)
    server_cpu: list[float] = field(default_factory=list)
    core_cpu: list[float] = field(default_factory=list)
    bytes_in: list[float] = field(default_factory=list)
    bytes_out: list[float] = field(default_factory=list)
    screen_cpu: list[float] = field(default_factory=list)
    rate_in: list[float] = field(default_factory=list)

    @property
    def long(self) -> bool:
        """Whether it is run once only."""
        return any(times[0] > LONG for times in self.core.values())


def add(to: dict[str, list[float]], seconds: Mapping[str, float]) -> None:
    for name, taken in seconds.items():
        to.setdefault(name, []).append(taken)


@dataclass
class Bench:
    """A browser, a server that has served before, and the core."""

    browser: Browser
    server: Server
    clf: Any
    scratch: Path
    seeds: Iterator[int] = field(default_factory=lambda: count(SEEDS_APART, SEEDS_APART))
    photos: Iterator[str] = field(default_factory=lambda: cycle(PHOTOS))
    new_photos: Iterator[str] = field(default_factory=lambda: cycle(NEW_PHOTOS))

    def warm_up(self) -> None:
        """The first visitor of a server waits for what all others find there; the core's first call likewise."""
        for path in ("/", "/channels", "/deletion"):
            with visiting(self.browser, self.server.address, path, {}) as visitor:
                visitor.open()
                visitor.settle()
        Core(self.clf, PHOTOS[0], next(self.seeds)).first_sight()()

    def round(self, scenario: Scenario, figures: Figures, beside: bool = True) -> None:
        """App, core, and the app beside another visitor, one after the other."""
        case = self.case(scenario)
        with self.fresh(scenario) as server:
            self.app(scenario, case, server, figures)
        self.core(scenario, case, figures)
        if beside and not scenario.cold:
            with self.visit(scenario, self.case(scenario), self.server) as (visitor, act), self.another_visitor():
                act()
                add(figures.beside, visitor.answers())

    def case(self, scenario: Scenario) -> Case:
        photo, other = next(self.photos), ""
        if scenario.new_photo:
            photo, other = (next(self.new_photos), "") if scenario.opens else (photo, next(self.new_photos))
        return Case(photo, other, next(self.seeds))

    @contextmanager
    def fresh(self, scenario: Scenario) -> Iterator[Server]:
        """The server for a scenario."""
        log = self.scratch / f"cold-{next(self.seeds)}.log"
        with server_process(log) if scenario.cold else nullcontext(self.server) as server:
            yield server

    def app(self, scenario: Scenario, case: Case, server: Server, figures: Figures) -> None:
        with self.visit(scenario, case, server) as (visitor, act):
            before, place = cpu(server.pid), visitor.traffic.now()
            with screen(server.pid, visitor.traffic.now) as onlooking:
                act()
                seconds = visitor.answers()
                ended = time.perf_counter()
            if onlooking.begun:
                since, at = onlooking.begun
                figures.rate_in.append(watched(visitor.traffic.since(since)) / (ended - at))
            visitor.settle()
            add(figures.app, seconds)
            figures.server_cpu.append(cpu(server.pid).since(before))
            figures.bytes_in.append(visitor.traffic.since(place).bytes_in)
            figures.bytes_out.append(visitor.traffic.since(place).bytes_out)
            figures.screen_cpu += onlooking.rates

    @contextmanager
    def visit(self, scenario: Scenario, case: Case, server: Server) -> Iterator[tuple[Visitor, Callable[[], None]]]:
        """A visitor in front of the page as it stands before, and what is to be done; all is at rest around it."""
        if not scenario.cold:
            rest(server.pid)
        with visiting(self.browser, server.address, scenario.path, case.link(scenario.link)) as visitor:
            if not scenario.opens:
                visitor.open()
                visitor.settle()
                rest(server.pid)
            yield visitor, partial(scenario.act, visitor, case)
        if not scenario.cold:
            rest(server.pid)

    @contextmanager
    def another_visitor(self, *methods: str) -> Iterator[Visitor]:
        """Somebody whose Score-CAM, or other methods, are being computed; they are cancelled at the end if still so."""
        titles = [METHODS[method].title for method in methods or ("score-cam",)]
        link = {"sample": next(self.photos), "seed": str(next(self.seeds)), "methods": titles}
        with visiting(self.browser, self.server.address, "/", link) as other:
            other.open()
            other.page.wait_for_selector(at.UNDER_WAY)
            yield other
            other.cancel()

    def core(self, scenario: Scenario, case: Case, figures: Figures) -> None:
        photo = case.other or case.photo
        job = scenario.core(Core(self.clf, photo, case.seed, scenario.layer))
        started, cpu_before = time.perf_counter(), time.process_time()
        seconds = job() or {}
        add(figures.core, seconds | {"": time.perf_counter() - started})
        figures.core_cpu.append(time.process_time() - cpu_before)

    def idle(self) -> dict[str, float]:
        """Polls of a page whose job waits behind two of another visitor, which take minutes."""
        link = Case(next(self.photos), "", next(self.seeds)).link({"methods": METHODS["ss-cam"].title})
        rest(self.server.pid)
        with (
            visiting(self.browser, self.server.address, "/", link) as visitor,
            self.another_visitor("is-cam", "ss-cam") as other,
        ):
            visitor.open()
            visitor.page.wait_for_selector(at.WAITING)
            visitor.await_chart_script()
            before, places = cpu(self.server.pid), (visitor.traffic.now(), other.traffic.now())
            visitor.page.wait_for_timeout(1000 * IDLE)
            after = cpu(self.server.pid)
            costs = polls(before, after, visitor.traffic.since(places[0]), other.traffic.since(places[1]))
            visitor.cancel()
        rest(self.server.pid)
        return costs


def watched(traffic: Traffic) -> int:
    """Bytes to the browser of what moves: those of the whole page answer a click."""
    return sum(drawing.size for drawing in drawings(traffic.received) if drawing.part)


def polls(before: Cpu, after: Cpu, traffic: Traffic, elsewhere: Traffic) -> dict[str, float]:
    """What a poll costs. Whatever it is, the browser begins it: with a message, or a request.

    Args:
        elsewhere: of the other visitor, whose page is looked at meanwhile as well, by the same server.
    """
    seconds, asked = after.at - before.at, begun(traffic)
    quiet = without_news(drawings(traffic.received))
    each = max(asked, 1)
    return {
        "seconds": seconds,
        "polls per second": asked / seconds,
        "frames per poll": len(traffic.received) / each,
        "bytes to the browser per poll": traffic.bytes_in / each,
        "bytes from the browser per poll": traffic.bytes_out / each,
        "milliseconds of CPU per poll": 1000 * after.screen_since(before) / (each + begun(elsewhere)),
        "polls without news": len(quiet),
        "bytes to the browser of a poll without news": median([drawing.size for drawing in quiet]) if quiet else 0.0,
        "milliseconds of CPU per second for both visitors": 1000 * after.screen_since(before) / seconds,
    }


def begun(traffic: Traffic) -> int:
    """What a browser has asked for."""
    return len(traffic.sent) + len(traffic.requests)


COLUMNS: Final = (
    "what", "app s", "core s", "app ∕ core", "wanted", "beside a Score-CAM s", "wanted then",
    "server CPU s", "core CPU s", "kB in", "kB out", "runs",
)  # fmt: skip


def rows(scenario: Scenario, figures: Figures) -> Iterator[list[Any]]:
    """A line of the table for everything that is timed."""
    for name in sorted(figures.app):
        wanted = scenario.wanted.get(name, Wanted())
        app, core = median(figures.app[name]), median(figures.core[name])
        beside = median(figures.beside[name]) if name in figures.beside else ""
        costs = (figures.server_cpu, figures.core_cpu, figures.bytes_in, figures.bytes_out)
        server_cpu, core_cpu, *sizes = map(median, costs)
        yield [
            f"{scenario.name}, {name}" if name else scenario.name,
            app,
            core,
            app / core,
            verdict((wanted.ratio, app / core, "×"), (wanted.seconds, app, " s")),
            beside,
            verdict((wanted.beside, beside, " s")),
            *(["", "", "", ""] if name else [server_cpu, core_cpu, *(size / 1000 for size in sizes)]),
            len(figures.app[name]),
        ]


def verdict(*limits: tuple[float | None, Any, str]) -> str:
    """ "≤ 1.2×: yes"."""
    return ", ".join(
        f"≤ {most:g}{unit}: {'yes' if value <= most else 'NO'}"
        for most, value, unit in limits
        if most is not None and value != ""
    )


def notes(measured: list[tuple[Scenario, Figures]], idle: dict[str, float]) -> list[str]:
    """What the table has no column for."""
    told = [
        f"While {scenario.name} grow, the screen of the one who watches takes {1000 * median(figures.screen_cpu):.0f} "
        f"ms of CPU and {median(figures.rate_in) / 1000:.1f} kB per second (wanted: ≤ 20 ms and ≤ 20 kB)."
        for scenario, figures in measured
        if "first point" in figures.app and figures.screen_cpu and figures.rate_in
    ]
    if idle:
        listed = ", ".join(f"{value:.3g} {name}" for name, value in idle.items())
        told.append(f"A page that waits: {listed} (wanted of a poll without news: under 5 ms and 1 kB).")
    return [
        *told,
        "App: seconds in the browser from the key, the click or navigation until the answer was painted. Core: the "
        "same call in the benchmark's process; for the first sight, cold, with loading the network, without starting "
        "Python. CPU and bytes: from the click until the page is at rest. The screen's CPU is that of the server "
        "without its threads that compute, the median of all seconds but the first, in which the page answers the "
        "click; its bytes are those of what moves from then on. "
        "Bytes are those of the websocket's messages and of answers over HTTP. What takes the core more than "
        f"{LONG:g} s is run once.",
    ]


def main(
    only: Annotated[list[str] | None, typer.Option(help="part of a scenario's name; several times for several")] = None,
    repeat: Annotated[int | None, typer.Option(help="rounds of what is not long; 3, quick 1")] = None,
    samples: Annotated[
        int, typer.Option(help="noisy copies of each mask of SS-CAM; the method's own 35 take minutes")
    ] = 2,
    quick: Annotated[bool, typer.Option(help="small sizes, one round: does every scenario work?")] = False,
    name: Annotated[str, typer.Option(help="of the files in benchmarks/results")] = "app-cpu",
) -> None:
    """Measure and, where nothing was left out, publish."""
    executable = find_browser()
    if executable is None:
        raise typer.BadParameter(NO_BROWSER)
    sizes = QUICK if quick else Sizes(samples=samples)
    rounds = repeat or (1 if quick else 3)
    with (
        tempfile.TemporaryDirectory() as scratch,
        server_process(Path(scratch) / "server.log") as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        bench = Bench(browser, server, load_model(NETWORK), Path(scratch))
        measured, idle = measure(bench, sizes, only or [""], rounds, warm=not quick)
        described = machine("cpu") | {"streamlit": version("streamlit"), "chromium": browser.version}
        browser.close()
    table = [row for scenario, figures in measured for row in rows(scenario, figures)]
    told = notes(measured, idle)
    title = f"The app beside its core: {NETWORK} on {described['threads']} threads"
    if quick or only:
        show(title, COLUMNS, table)
    else:
        record = {
            "machine": described,
            "settings": asdict(sizes) | {"repeat": rounds},
            "figures": {scenario.name: asdict(figures) for scenario, figures in measured},
            "idle": idle,
        }
        publish(name, title, COLUMNS, table, record, told)
    print(*told, sep="\n\n")


def measure(
    bench: Bench, sizes: Sizes, only: list[str], repeat: int, warm: bool
) -> tuple[list[tuple[Scenario, Figures]], dict[str, float]]:
    """The figures of the chosen scenarios, and of a page that waits."""

    def chosen(sizes: Sizes) -> list[Scenario]:
        return [item for item in scenarios(sizes) if any(part.lower() in item.name.lower() for part in only)]

    bench.warm_up()
    for scenario in chosen(QUICK) if warm else []:
        if not (scenario.cold or scenario.new_photo):
            bench.round(scenario, Figures(), beside=False)
    measured = [(scenario, Figures()) for scenario in chosen(sizes)]
    for number in range(repeat):
        for scenario, figures in measured:
            if number == 0 or not figures.long:
                started = time.perf_counter()
                bench.round(scenario, figures)
                print(
                    f"{number + 1}. {scenario.name}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True
                )
    idle = bench.idle() if any(part.lower() in "idle polls" for part in only) else {}
    return measured, idle


if __name__ == "__main__":
    typer.run(main)
