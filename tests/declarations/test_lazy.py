"""Attributes that are computed when somebody asks first, while other threads do the same."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cam_core.declarations.lazy import lazy

ROOT = Path(__file__).parents[2]


class Kept:
    """What a function returns, and how often it was called."""

    def __init__(self, compute: Callable[[], int]) -> None:
        self.calls, self._compute = 0, compute

    @lazy
    def value(self) -> int:
        """That of the function."""
        self.calls += 1
        return self._compute()


def test_it_is_computed_once_for_each_object() -> None:
    three, ten = Kept(lambda: 3), Kept(lambda: 10)
    assert (three.value, ten.value, three.value) == (3, 10, 3)
    assert (three.calls, ten.calls) == (1, 1)
    assert Kept.value.__doc__ == "That of the function."


def test_what_fails_is_computed_again() -> None:
    never = Kept(lambda: 1 // 0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            _ = never.value
    assert never.calls == 2


def test_computing_it_may_wait_for_another_object_in_another_thread() -> None:
    """As work does that gives way between two batches; a lock of the class would keep both waiting for ever."""
    begun, other_is_there = threading.Event(), threading.Event()

    def waiting() -> int:
        begun.set()
        return int(other_is_there.wait(20))

    def quick() -> int:
        other_is_there.set()
        return 1

    slow, fast = Kept(waiting), Kept(quick)
    threads = [threading.Thread(target=lambda: slow.value)]
    threads[0].start()
    assert begun.wait(20)
    threads.append(threading.Thread(target=lambda: fast.value))
    threads[1].start()
    for thread in threads:
        thread.join(30)
    assert slow.value == 1


def test_nothing_here_computes_behind_pythons_lock() -> None:
    sources = [path for folder in ("cam_core", "pages") for path in (ROOT / folder).rglob("*.py")]
    decorated = [path for path in sources if re.search(r"@(functools\.)?cached_property", path.read_text("utf-8"))]
    assert not decorated, "see cam_core.declarations.lazy"
