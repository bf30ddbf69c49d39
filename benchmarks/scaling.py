"""Folders at scale: what each engine costs beside a plain loop, and what the driver alone can take.

    python -m benchmarks.scaling throughput
    python -m benchmarks.scaling simulate --workers 512

- throughput: images per second and worker, over 1 and 2 workers of each engine, beside a loop over the same files that
  knows nothing of plans, parts and workers, and beside two such loops at once: what two processes cost one another is
  the machine's, and no engine's;
- simulate: half a million images whose workers answer at once, or after a sleep. Plan, parts, manifest, resuming,
  merging and intervals are real, and so are the seats of as many workers: what is left is what the driver does, which
  says how many workers one driver can feed.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch
import typer

from benchmarks.common import machine, median, publish, side_by_side
from cam_core import SAMPLES, Classifier, explain, load_image, load_model
from cam_core.engine.base import Engine
from cam_core.engine.choosing import ENGINES, open_engine
from cam_core.engine.fleet import Fleet
from cam_core.engine.tasks import Done, Event, Item, Task
from cam_core.evaluation.folder import evaluate_folder
from cam_core.evaluation.results import Row, read_values, summarise
from cam_core.evaluation.shards import Finished, Shard
from cam_core.metrics import evaluate_many

METHODS: Final = ("grad-cam", "random")
METRICS: Final = ("average-drop", "average-increase", "average-gain", "complexity")
ASKED: Final[dict[str, Any]] = {"methods": METHODS, "metrics": METRICS}
LIMITS: Final = {"plan": 60.0, "resume": 60.0, "merge and intervals": 300.0}  # seconds
MOST_BYTES: Final = 2 << 30
LOOP: Final = "plain loop"
FEW: Final = 50  # images, which are two shards: a task for each of two workers
WARM: Final = 4

app = typer.Typer(add_completion=False)


def copies(folder: Path, count: int) -> Path:
    """The sample photos over and over."""
    folder.mkdir()
    for place in range(count):
        source = SAMPLES[place % len(SAMPLES)].path
        shutil.copy(source, folder / f"{place:06d}{source.suffix}")
    return folder


def plain_loop(clf: Classifier, files: Sequence[Path]) -> None:
    """The same values, file by file, and nothing written."""
    for path in files:
        image = load_image(path)
        for method in METHODS:
            list(evaluate_many(clf, image, explain(clf, image, method=method), metrics=METRICS))


def listed(folder: Path) -> list[Path]:
    """The files of a folder, in order."""
    return sorted(folder.iterdir())


class Loops:
    """Plain loops at once, each a process of its own with one thread and its share of the files; ready when made."""

    def __init__(self, count: int, network: str, folder: Path) -> None:
        command = [sys.executable, "-m", "benchmarks.scaling", "loop", str(folder), "--network", network]
        self._loops = [
            subprocess.Popen(
                [*command, "--share", str(share), "--of", str(count)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for share in range(count)
        ]
        self._heard()

    def run(self) -> None:
        """Each over its files, once."""
        for loop in self._loops:
            assert loop.stdin is not None
            print("go", file=loop.stdin, flush=True)
        self._heard()

    def _heard(self) -> None:
        for loop in self._loops:
            assert loop.stdout is not None
            if loop.stdout.readline().strip() != "ready":
                raise RuntimeError("a loop has ended")

    def close(self) -> None:
        """End them."""
        for loop in self._loops:
            loop.communicate()


@app.command()
def loop(
    folder: Path, network: Annotated[str, typer.Option()], share: int = 0, of: Annotated[int, typer.Option("--of")] = 1
) -> None:
    """One of `Loops`: over every so manieth file, whenever a line comes in."""
    torch.set_num_threads(1)
    clf, files = load_model(network, device="cpu"), listed(folder)[share::of]
    plain_loop(clf, files[:WARM])
    print("ready", flush=True)
    for _ in sys.stdin:
        plain_loop(clf, files)
        print("ready", flush=True)


def evaluated(clf: Classifier, folder: Path, engine: Engine) -> None:
    """All of a folder by an engine, from the plan to the finished table."""
    with tempfile.TemporaryDirectory() as scratch:
        for _ in evaluate_folder(clf, folder, **ASKED, out=Path(scratch) / "t.parquet", engine=engine):
            pass


def in_turn(
    clf: Classifier, network: str, folder: Path, few: Path, engines: Sequence[tuple[str, int]], runs: int, most: int
) -> dict[tuple[str, int], list[float]]:
    """Seconds of each run: a plain loop, as many at once as there are workers at most, and each engine, in turn."""
    with ExitStack() as stack:
        jobs: dict[tuple[str, int], Callable[[], object]] = {(LOOP, 1): partial(plain_loop, clf, listed(folder))}
        if most > 1:
            jobs[LOOP, most] = stack.enter_context(closing(Loops(most, network, folder))).run
        for engine, workers in engines:
            opened = stack.enter_context(open_engine(engine, address="local", workers=workers, threads=1))
            evaluated(clf, few, opened)  # so that each worker has the network
            jobs[engine, workers] = partial(evaluated, clf, folder, opened)
        return side_by_side(jobs, runs, long=float("inf"), warm=False)


def parts(asked: Sequence[tuple[str, int]]) -> list[list[tuple[str, int]]]:
    """What runs in turn: each engine on Ray by itself, since its workers keep their cores while they wait."""
    others = [each for each in asked if each[0] != "ray"]
    return [*([others] if others else []), *([each] for each in asked if each[0] == "ray")]


@app.command()
def throughput(
    images: int = 100,
    network: str = "efficientnet_lite0",
    runs: int = 3,
    engines: Annotated[list[str] | None, typer.Option("--engine")] = None,
    name: Annotated[str, typer.Option(help="of the files in benchmarks/results")] = "scaling",
) -> None:
    """Time, compare, publish. Ray comes last: its own processes stay until this one ends."""
    torch.set_num_threads(1)
    clf = load_model(network, device="cpu")
    asked = [(each, count) for each in engines or ENGINES for count in ((1,) if each == "inline" else (1, 2))]
    made: list[dict[tuple[str, int], list[float]]] = []
    rows: list[list[Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder, few = copies(Path(scratch) / "photos", images), copies(Path(scratch) / "few", FEW)
        plain_loop(clf, listed(few)[:WARM])
        for part in parts(asked):
            of_part = in_turn(clf, network, folder, few, part, runs, max(count for _, count in part))
            rows += [_line(key, of_part, images) for key in of_part]
            made.append(of_part)
    columns = ("engine", "workers", "images/s", "per worker, of a plain loop", "of as many loops at once")
    record = {"images": images, "parts": [_seconds(part) for part in made]}
    note = (
        f"{images} photos by {len(METHODS)} methods and {len(METRICS)} metrics of {network}, one thread each, in turn, "
        f"medians of {runs}; with plan, parts and the finished table. Each part has its own loops, which ran in turn "
        "with its engines: Ray's own processes run beside its part alone."
    )
    publish(name, "Engines beside plain loops", columns, rows, {"machine": machine("cpu"), **record}, notes=[note])


def _seconds(times: Mapping[tuple[str, int], list[float]]) -> dict[str, list[float]]:
    """Of a part, by engine and workers."""
    return {f"{engine}, {workers}": seconds for (engine, workers), seconds in times.items()}


def _line(key: tuple[str, int], times: Mapping[tuple[str, int], Sequence[float]], images: int) -> list[Any]:
    """An engine or a loop with its workers, beside one loop and as many."""
    engine, workers = key
    seconds, one, as_many = (median(times[each]) for each in (key, (LOOP, 1), (LOOP, workers)))
    return [engine, workers, images / seconds, f"{one / seconds / workers:.1%}", f"{as_many / seconds:.1%}"]


def timed(job: Callable[[], object]) -> float:
    """Seconds."""
    started = time.perf_counter()
    job()
    return time.perf_counter() - started


class Simulated(Fleet):
    """Workers that make values up: at once, or after so many seconds per image."""

    def __init__(self, workers: int, seconds: float) -> None:
        super().__init__(workers)
        self._seconds = seconds

    def hire(self, number: int) -> _Sleeper:
        """See `Fleet`."""
        return _Sleeper(self._seconds)


class _Sleeper:
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def start(self) -> None:
        """See `Remote`."""

    def perform(self, task: Task) -> Iterator[Event]:
        """See `Remote`."""
        assert isinstance(task, Shard)
        generator = np.random.default_rng(task.units[0].index)
        for unit in task.units:
            if self._seconds:
                time.sleep(self._seconds)
            values = iter(generator.random(len(METHODS) * len(METRICS)).tolist())
            sha256 = f"{unit.index:064x}"
            rows = tuple(
                Row(unit.name, sha256, method, metric, 1, "one", 0.5, next(values))
                for method in METHODS
                for metric in METRICS
            )
            yield Item(Finished(unit, sha256, rows))
        yield Done()

    def end(self) -> None:
        """See `Remote`."""


def touch(folder: Path, count: int) -> Path:
    """So many files in folders of a thousand."""
    for start in range(0, count, 1000):
        inner = folder / f"{start // 1000:04d}"
        inner.mkdir(parents=True)
        for place in range(start, min(start + 1000, count)):
            os.close(os.open(inner / f"{place % 1000:03d}.png", os.O_CREAT | os.O_WRONLY))
    return folder


def memory() -> int:
    """The most that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def simulated(folder: Path, out: Path, workers: int, seconds: float) -> tuple[dict[str, float], dict[str, int]]:
    """An evaluation that is stopped at nine tenths and then resumed: seconds of each phase, and bytes after it."""
    clf, clock = load_model("efficientnet_lite0", device="cpu"), time.perf_counter
    took: dict[str, float] = {}
    peak = {"before": memory()}
    with Simulated(workers, seconds) as engine:
        started = clock()
        steps = evaluate_folder(clf, folder, **ASKED, out=out, engine=engine)
        step = next(steps)
        took["plan"] = clock() - started
        first, started = step.done, clock()
        while step.done < 0.9 * step.total:
            step = next(steps)
        took["images"] = (step.done - first) / len(METHODS)
        took["run"] = clock() - started
        peak["run"] = memory()
        steps.close()
    with Simulated(workers, seconds) as engine:
        started = clock()
        steps = evaluate_folder(clf, folder, **ASKED, out=out, engine=engine)
        next(steps), next(steps)
        took["resume"] = clock() - started
        peak["resume"] = memory()
        while step.done < step.total:
            step = next(steps)
        started = clock()
        assert next(steps, None) is None
        took["merge"] = clock() - started
    del steps, step
    peak["merge"] = memory()
    took["intervals"] = timed(lambda: summarise(read_values(out)))
    took["merge and intervals"] = took["merge"] + took["intervals"]
    peak["intervals"] = memory()
    return took, peak


@app.command()
def simulate(
    workers: int = 512,
    images: int = 500_000,
    seconds: Annotated[float, typer.Option(help="that a worker sleeps per image; 0 to answer at once")] = 0.0,
    scratch: Annotated[Path | None, typer.Option(help="where the files are; a temporary folder if omitted")] = None,
    name: Annotated[str, typer.Option(help="of the files in benchmarks/results")] = "scaling-simulated",
) -> None:
    """Half a million images, and no worker that computes."""
    with tempfile.TemporaryDirectory(dir=scratch) as place:
        folder = touch(Path(place) / "photos", images)
        took, peak = simulated(folder, Path(place) / "t.parquet", workers, seconds)
    per_second = took["images"] / took["run"]
    record = {"machine": machine("cpu"), "workers": workers, "images": images, "sleep": seconds, "bytes": peak}
    rows: list[list[Any]] = [
        [phase, took[phase], LIMITS.get(phase, ""), verdict(took[phase], LIMITS.get(phase))]
        for phase in ("plan", "run", "resume", "merge", "intervals", "merge and intervals")
    ]
    for phase, most in peak.items():
        rows.append([f"memory, GiB: {phase}", most / (1 << 30), MOST_BYTES / (1 << 30), verdict(most, MOST_BYTES)])
    note = (
        f"{images:,} images × {len(METHODS)} methods × {len(METRICS)} metrics, {workers} workers. The driver takes "
        f"{per_second:,.0f} images per second: where an image takes a worker 1 s, it feeds so many workers."
    )
    columns = ("phase", "seconds", "at most", "")
    publish(
        f"{name}-{workers}", "A folder of simulated images", columns, rows, record | {"seconds": took}, notes=[note]
    )


def verdict(value: float, limit: float | None) -> str:
    """Whether a limit is kept."""
    return "" if limit is None else ("kept" if value <= limit else "exceeded")


if __name__ == "__main__":
    app()
