"""What the benchmarks of many visitors make of their measurements."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from benchmarks.app_cost import Holdings, holdings
from benchmarks.load import Level, finished, percentiles, tracebacks
from benchmarks.load_attendance import Diary, Request
from benchmarks.load_visits import LESSONS, alike, lessons, own_photo
from benchmarks.soak import Reading, verdicts
from pages.shared.pictures import address


def test_slow_lessons_are_spread_evenly_and_the_others_take_turns() -> None:
    forty = [lesson.title for lesson in lessons(40, 8)]
    assert [number for number, title in enumerate(forty) if title == "Score-CAM"] == [2, 7, 12, 17, 22, 27, 32, 37]
    assert [title for title in forty if title != "Score-CAM"][:4] == ["Compare", "Deletion", "Channels", "Compare"]
    assert {lesson.title for lesson in lessons(4, 1)} == {lesson.title for lesson in LESSONS}
    assert [lesson.title for lesson in lessons(1, 0)] == ["Compare"]


def test_every_visitor_has_a_photo_of_its_own_the_same_each_time() -> None:
    photos = [own_photo(number) for number in (0, 1, 0, 200)]
    assert photos[0] == photos[2]
    assert len(set(photos)) == 3


def test_finished_work_counts_what_is_answered_and_the_share_of_long_work_that_is_done() -> None:
    costs = {"a": 2.0, "b": 0.5, "slow": 8.0}
    requests = [
        Request("method", ("a", "b"), seconds=9.0, share=0.3),
        Request("method", ("a",), share=0.9),  # under way: nothing of it is there
        Request("slow", ("slow",), seconds=20.0),
        Request("slow", ("slow", "a"), share=0.25),
    ]
    assert finished(requests, costs) == pytest.approx(2.5 + 8.0 + 0.25 * 10.0)


def test_a_level_counts_its_visitors_together() -> None:
    diaries = [
        Diary([Request("method", (), 0.1), Request("method", ())], bytes_in=3000, attended=10.0, errors=["x"]),
        Diary([Request("class", (), 0.3), Request("slow", (), 9.0)], bytes_in=1000, attended=30.0, errors=["y"]),
    ]
    level = Level(2, 1, 30.0, diaries, 1.0, 1.0, Holdings(1.0, 1, 1, 1), {})
    assert level.times("method", "class") == [0.1, 0.3]
    assert level.rate_in == 100.0
    assert level.errors == ["x", "y"]


def test_where_nothing_was_answered_there_are_no_percentiles() -> None:
    assert percentiles([1.0, 3.0])[0] == 2.0
    assert all(map(math.isnan, percentiles([])))


def test_tracebacks_of_a_log_are_counted_by_what_they_end_with() -> None:
    trace = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    g()\n    ^^^\nKeyError: 1\n'
    log = f"2026 started\n{trace}all is well\n{trace}{trace.replace('KeyError: 1', 'OSError')}"
    assert tracebacks(log) == {"KeyError: 1": 2, "OSError": 1}


def test_pictures_are_alike_but_for_rounding() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    pixels = np.kron(pixels[:5, :5], np.ones((8, 10, 1), dtype=np.uint8))
    rounded = pixels.copy()
    rounded[3, 4] ^= 1
    first, second, other = (address(Image.fromarray(each)) for each in (pixels, rounded, pixels[::-1].copy()))
    assert alike(first, second)
    assert not alike(first, other)
    assert not alike(first, address(Image.fromarray(pixels[:20])))


def reading(jobs: int, rested: bool, megabytes: float, threads: int = 10, files: int = 5, sockets: int = 2) -> Reading:
    return Reading(jobs, jobs // 5, rested, Holdings(megabytes, threads, files, sockets))


def test_growth_is_told_between_the_first_and_the_last_reading_of_a_kind() -> None:
    busy, first = reading(100, False, 900.0, threads=40), reading(100, True, 500.0)
    assert list(verdicts([busy, first, reading(1000, True, 524.0)]).values()) == [True] * 4
    grown = verdicts([busy, first, reading(1000, True, 526.0, threads=11, files=6, sockets=1)])
    assert list(grown.values()) == [False, False, False, True]
    assert "memory grows by 5.2%" in next(iter(grown))


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="no /proc")
def test_holdings_are_those_of_the_process() -> None:
    code = """
import socket, threading
kept = []
for line in iter(input, "end"):
    kept += [socket.socket(), open("/dev/null"), open("/dev/zero"), bytearray(50_000_000)]
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    print(flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdin is not None and process.stdout is not None
        readings = []
        for _ in range(2):
            process.stdin.write("more\n")
            process.stdin.flush()
            process.stdout.readline()
            readings.append(holdings(process.pid))
        before, after = readings
        assert (after.threads - before.threads, after.files - before.files, after.sockets - before.sockets) == (1, 2, 1)
        assert 45 < after.megabytes - before.megabytes < 60
    finally:
        process.kill()
        process.communicate()
