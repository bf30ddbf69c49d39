"""Shared by benchmarks: timing side by side, the machine's description, and results as a table, JSON and Markdown."""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import torch
from rich.console import Console
from rich.table import Table

from cam_core.models.devices import wait_for
from cam_core.models.hardware import hardware

Key = TypeVar("Key", bound=Hashable)

RESULTS = Path(__file__).parent / "results"
LONG = 10.0  # seconds; what takes longer is run once


def machine(device: str) -> dict[str, str]:
    """Hardware and versions, as every result states them."""
    gpu = "" if device == "cpu" else hardware(torch.device(device)).name
    packages = ("torch", "torchvision", "timm", "grad-cam", "torchcam", "captum")
    return {
        "processor": _processor(),
        "threads": str(torch.get_num_threads()),
        "gpu": gpu,
        "python": platform.python_version(),
    } | {name: _version(name) for name in packages}


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(name: str) -> str:
    try:
        return version(name)
    except Exception:
        return "not installed"


def seconds(job: Callable[[], object], device: str = "cpu") -> float:
    """Wall time of one run, with the GPU's work finished before and after."""
    wait_for(torch.device(device))
    started = time.perf_counter()
    job()
    wait_for(torch.device(device))
    return time.perf_counter() - started


def side_by_side(
    jobs: Mapping[Key, Callable[[], object]], runs: int, device: str = "cpu", warm: bool = True, long: float = LONG
) -> dict[Key, list[float]]:
    """Run the jobs in turn, `runs` rounds of them, so that a drift of the machine's speed touches all alike.

    A job that takes more than `long` seconds in its first counted round is not repeated.
    """
    if warm:
        for job in jobs.values():
            job()
    times: dict[Key, list[float]] = {name: [] for name in jobs}
    for round_ in range(runs):
        for name, job in jobs.items():
            if round_ == 0 or times[name][0] < long:
                times[name].append(seconds(job, device))
    return times


def median(times: Sequence[float]) -> float:
    """The figure that is quoted."""
    return statistics.median(times)


def publish(
    name: str,
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    record: Any,
    notes: Sequence[str] = (),
) -> None:
    """Print a table and write it as Markdown, paragraphs of notes below it, the whole record as JSON beside it."""
    cells = [[_text(cell) for cell in row] for row in rows]
    show(title, columns, rows)
    RESULTS.mkdir(exist_ok=True)
    lines = ["| " + " | ".join(row) + " |" for row in [list(columns), ["---"] * len(columns), *cells]]
    paragraphs = [line for note in notes for line in ("", note)]
    (RESULTS / f"{name}.md").write_text("\n".join([f"# {title}", "", *lines, *paragraphs, ""]))
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table."""
    table = Table(title=title)
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*map(_text, row))
    Console(width=160).print(table)


def _text(cell: Any) -> str:
    return f"{cell:.3g}" if isinstance(cell, float) else str(cell)
