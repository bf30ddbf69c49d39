"""Looks after the server: ends visits, watches the devices, gives memory back, says how it goes. No Streamlit inside.

The log's lines hold titles of methods and networks, devices and numbers: nothing of a visitor.
"""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Mapping, Sized
from typing import Final
from weakref import WeakKeyDictionary

from cam_core.models.allocator import give_back_freed_memory
from cam_core.models.hardware import resident
from pages.runtime.turns import Holding, Paces, Turn, Turns
from pages.runtime.visits import SWEEP, Visits

LONG: Final = 30.0
"""Seconds for which work has a device before the log says so; a minute later it says so again, and so on."""

SILENT: Final = 300.0
"""Seconds without a sign of life after which work has hung, and the device goes to the others.

Between two batches of the slowest method, while a network is compiled, or read from a slow disk, less passes.
"""

_MINUTE: Final = 60.0

_log = logging.getLogger(__name__)


class Keeper:
    """One look at everything, to be taken every few seconds."""

    def __init__(self, visits: Visits, devices: Mapping[str, Turns], paces: Paces, results: Sized) -> None:
        self._visits, self._devices, self._paces, self._results = visits, devices, paces, results
        self._told = WeakKeyDictionary[Turn, float]()  # who has a device for long, and when the log said so
        self._next_line = time.monotonic() + _MINUTE
        self._spent, self._units = 0.0, 0
        self._given_back: tuple[object, ...] = ()  # how it stood when memory was given back last

    def look(self) -> None:
        """End visits, take devices from what hangs, give back memory, write what there is to be written."""
        self._visits.sweep()
        for name, turns in list(self._devices.items()):
            self._watch(name, turns)
        self._give_back_memory()
        if time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _MINUTE
            if any(self._visits.counts):
                _log.info(self.health())

    def health(self) -> str:
        """How the server does, in a line."""
        browsers, tabs = self._visits.counts
        waiting = [job.queue() is not None for job in self._visits.jobs]
        return (
            f"visitors: {browsers} in {tabs} tabs · jobs: {waiting.count(False)} running, {sum(waiting)} waiting · "
            f"{self._pace()} · memory: {_gigabytes(resident())} · results kept: {len(self._results)}"
        )

    def _pace(self) -> str:
        """Of the work that has ended since the last line. What a step is depends: a pass, a point of a curve."""
        spent, units = self._paces.spent - self._spent, self._paces.units - self._units
        self._spent, self._units = self._paces.spent, self._paces.units
        return f"{spent / units:.4f} seconds per step" if units else "nothing computed"

    def _give_back_memory(self) -> None:
        """What was computed with, or kept for who has left, once nobody computes: see `cam_core.models.allocator`.

        First what Streamlit's sessions have left in circles, which Python's own collector comes to much later. Pages
        wait that long: some 40 ms where the server was prepared, so that what was there before anybody came is frozen.
        """
        stands = self._paces.units, self._visits.counts, len(self._results)
        if stands != self._given_back and not any(turns.taken for turns in list(self._devices.values())):
            self._given_back = stands
            gc.collect()
            give_back_freed_memory()

    def _watch(self, name: str, turns: Turns) -> None:
        for holding in turns.holdings:
            title = holding.turn.title
            if holding.silent > SILENT:
                _log.error("%s on %s was silent for %.0f s: the device goes to the others", title, name, holding.silent)
                turns.take_from(holding.turn)
            elif holding.seconds > LONG and self._is_due(holding):
                self._told[holding.turn] = time.monotonic()
                _log.warning("%s has had %s for %.0f s; %d wait", title, name, holding.seconds, holding.waiting)

    def _is_due(self, holding: Holding) -> bool:
        told = self._told.get(holding.turn)
        return told is None or time.monotonic() - told >= _MINUTE


def keep(visits: Visits, devices: Mapping[str, Turns], paces: Paces, results: Sized) -> None:
    """Look after them from now on, in a thread of its own."""
    keeper = Keeper(visits, devices, paces, results)

    def go_on() -> None:
        while True:
            time.sleep(SWEEP)
            try:
                keeper.look()
            except Exception:  # one bad look shall not be the last
                _log.exception("a look at the server failed")

    threading.Thread(target=go_on, daemon=True, name="camscope-keeper").start()


def _gigabytes(size: int | None) -> str:
    return "unknown" if size is None else f"{size / 1e9:.2f} GB"
