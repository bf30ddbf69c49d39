"""The cost of a served app: processor time of its threads, what it holds, what goes over the wire for each drawing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Generic, TypeVar

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

T = TypeVar("T")

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")  # bytes
_REST = 0.05  # of a processor: what a server takes less than is at rest
_LOOK = 0.3  # seconds over which that is measured
_PATIENCE = 60  # seconds
_SLICE = 1.0  # second: whoever computes shall not begin or end in many of them


@dataclass(frozen=True)
class Cpu:
    """Processor seconds by now.

    Attributes:
        at: when, in seconds.
        total: of the process with its children, their ended threads included.
        threads: of each thread that computes: those that yield to the other threads of their process.
    """

    at: float
    total: float
    threads: dict[int, float]

    def since(self, before: Cpu) -> float:
        """Processor seconds of everything."""
        return self.total - before.total

    def screen_since(self, before: Cpu) -> float:
        """The same without the threads that compute."""
        spent = (seconds - before.threads.get(thread, 0.0) for thread, seconds in self.threads.items())
        return self.since(before) - sum(spent)


def cpu(pid: int) -> Cpu:
    """The processor time that a process and its children have taken."""
    processes = list(_family(pid))
    threads = {
        int(task.name): _on_processor(task)
        for process in processes
        for task in _tasks(process)
        if _niceness(task) > _niceness(process)
    }
    return Cpu(time.perf_counter(), sum(map(_taken, processes)), threads)


@dataclass
class Screen(Generic[T]):
    """The cost of looking on, from the second second on: in the first a page answers the click.

    Attributes:
        rates: processor seconds per second of a process without what computes, for each second.
        begun: how it stood when the first second was over, and when that was; None where all took less.
    """

    rates: list[float] = field(default_factory=list)
    begun: tuple[T, float] | None = None


@contextmanager
def screen(pid: int, look: Callable[[], T]) -> Iterator[Screen[T]]:
    """The cost of looking on during the block; `look` says how it stands."""
    ended, watched = Event(), Screen[T]()

    def watch() -> None:
        if ended.wait(_SLICE):
            return
        before, watched.begun = cpu(pid), (look(), time.perf_counter())
        while not ended.wait(_SLICE):
            after = cpu(pid)
            watched.rates.append(after.screen_since(before) / (after.at - before.at))
            before = after

    watching = Thread(target=watch)
    watching.start()
    try:
        yield watched
    finally:
        ended.set()
        watching.join()


def rest(pid: int) -> None:
    """Wait until a process does nothing, for what is measured next to have the machine for itself.

    Raises:
        TimeoutError: it goes on for more than a minute.
    """
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        before = cpu(pid)
        time.sleep(_LOOK)
        if cpu(pid).since(before) < _REST * _LOOK:
            return
    raise TimeoutError(f"process {pid} does not come to rest")


def _family(pid: int) -> Iterator[Path]:
    """Folders in /proc of a process and of all that descend from it."""
    parents = {path: int(_fields(path)[1]) for path in Path("/proc").glob("[0-9]*") if path.exists()}
    family = {pid}
    while new := {int(path.name) for path, parent in parents.items() if parent in family} - family:
        family |= new
    return (path for path in parents if int(path.name) in family)


def _fields(process: Path) -> list[str]:
    """Of /proc/PID/stat what follows the name, which may hold anything; zeros where the process has just ended."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["0"] * 50


def _taken(process: Path) -> float:
    user, system = _fields(process)[11:13]
    return (int(user) + int(system)) / _TICKS


def _niceness(process: Path) -> int:
    return int(_fields(process)[16])


def _tasks(process: Path) -> list[Path]:
    try:
        return list((process / "task").iterdir())
    except OSError:
        return []


def _on_processor(task: Path) -> float:
    try:
        return int((task / "schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return 0.0


@dataclass(frozen=True)
class Holdings:
    """The possessions of a process at a time.

    Attributes:
        megabytes: of memory that is in use (RSS).
        threads, files, sockets: how many; sockets are not among the files.
    """

    megabytes: float
    threads: int
    files: int
    sockets: int


def holdings(pid: int) -> Holdings:
    """What a process holds now."""
    process = Path(f"/proc/{pid}")
    pages = int((process / "statm").read_text().split()[1])
    targets = list(filter(None, map(_target, (process / "fd").iterdir())))
    sockets = sum(target.startswith("socket:") for target in targets)
    return Holdings(pages * _PAGE / 1e6, len(_tasks(process)), len(targets) - sockets, sockets)


def _target(descriptor: Path) -> str:
    """What an open descriptor leads to; "" where it has just been closed."""
    try:
        return os.readlink(descriptor)
    except OSError:
        return ""


@dataclass(frozen=True)
class Drawing:
    """One run of a page, or of a part of it, as it went over the wire.

    Attributes:
        frames, size: messages to the browser, and their bytes.
        part: the fragments that were run; empty for the whole page.
        drawn: what was drawn where.
    """

    frames: int
    size: int
    part: tuple[str, ...]
    drawn: tuple[bytes, ...]


def drawings(frames: Iterable[bytes]) -> list[Drawing]:
    """The complete runs among the messages of one visitor's websocket."""
    runs: list[list[ForwardMsg]] = []
    for message in map(ForwardMsg.FromString, frames):
        if message.WhichOneof("type") == "new_session":
            runs.append([])
        if runs:
            runs[-1].append(message)
    return [_drawing(run) for run in runs if any(message.WhichOneof("type") == "script_finished" for message in run)]


def _drawing(messages: list[ForwardMsg]) -> Drawing:
    deltas = [message for message in messages if message.WhichOneof("type") in ("delta", "ref_hash")]
    return Drawing(
        frames=len(messages),
        size=sum(message.ByteSize() for message in messages),
        part=tuple(messages[0].metadata.run.fragment_ids),
        drawn=tuple(message.SerializeToString(deterministic=True) for message in deltas),
    )


def without_news(seen: Iterable[Drawing]) -> list[Drawing]:
    """Those that drew what the one before of the same part had drawn."""
    last: dict[tuple[str, ...], tuple[bytes, ...]] = {}
    repeated = []
    for drawing in seen:
        if last.get(drawing.part) == drawing.drawn:
            repeated.append(drawing)
        last[drawing.part] = drawing.drawn
    return repeated
