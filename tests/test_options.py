"""Options travel unchanged but for the progress of a part, which is told as that of the whole."""

from __future__ import annotations

import itertools
import sys
from dataclasses import FrozenInstanceError, replace
from types import SimpleNamespace

import pytest
import torch

import cam_core.run
from cam_core import Cancelled, explain, explain_batch
from cam_core.options import DEFAULTS, Options
from tests.pretend.device import pretend
from tests.tiny import tiny_classifier, tiny_images

Reports = list[tuple[int, int]]


def listening(**options: int) -> tuple[Options, Reports]:
    heard: Reports = []
    return Options(progress=lambda done, total: heard.append((done, total)), **options), heard


def test_nothing_can_be_changed_on_the_way() -> None:
    with pytest.raises(FrozenInstanceError):
        DEFAULTS.seed = 1


def test_a_part_differs_in_its_progress_alone() -> None:
    options, _ = listening(seed=3)
    assert replace(options.part(1, 4), progress=None) == replace(options, progress=None)
    assert DEFAULTS.part(1, 4) is DEFAULTS, "nobody listens"


def test_parts_add_up_to_the_whole() -> None:
    options, heard = listening()
    for index, total in enumerate((4, 1, 2)):
        part = options.part(index, 3, steps=100).progress
        assert part is not None
        for done in range(total + 1):
            part(done, total)
    assert heard == [(n, 300) for n in (0, 25, 50, 75, 100, 100, 200, 200, 250, 300)]


def test_a_part_of_a_part_by_hand() -> None:
    options, heard = listening()
    part = options.part(1, 2).part(2, 4).progress
    assert part is not None
    part(1, 2)  # half of the third quarter of the second half: 1/2 + (2.5 / 4) / 2 = 0.8125
    assert heard == [(1625, 2000)]
    assert heard[0][0] / heard[0][1] == 0.8125


def test_it_never_goes_back_also_where_more_work_turns_up_on_the_way() -> None:
    options, heard = listening()
    part = options.part(0, 1).progress
    assert part is not None
    for done, total in ((0, 0), (1, 2), (2, 8), (8, 8)):
        part(done, total)
    assert heard == [(0, 1000), (500, 1000), (500, 1000), (1000, 1000)]


@pytest.mark.parametrize("method", ["score-cam", "opti-cam"])
def test_a_batch_tells_one_progress_that_ends_at_its_total(method: str) -> None:
    heard: Reports = []
    params = {"steps": 3} if method == "opti-cam" else {}
    explain_batch(
        tiny_classifier("plain"),
        list(tiny_images(3)),
        method=method,
        progress=lambda done, total: heard.append((done, total)),
        **params,
    )
    assert {total for _, total in heard} == {3000}
    assert all(before[0] <= after[0] for before, after in itertools.pairwise(heard))
    assert heard[0][0] == 0 and heard[-1] == (3000, 3000)
    assert {1000, 2000} <= {done for done, _ in heard}, "each image is told from the others"


def test_a_batch_can_be_stopped_between_two_images() -> None:
    heard: Reports = []

    def stop(done: int, total: int) -> None:
        heard.append((done, total))
        if done >= 1000:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        explain_batch(tiny_classifier("plain"), list(tiny_images(3)), method="score-cam", progress=stop)
    assert heard[-1] == (1000, 3000)


def test_seconds_leave_out_what_the_listener_to_progress_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may give the device to others, for minutes: that says nothing of the method."""
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 0.001
        return now

    def others_first(done: int, total: int) -> None:
        nonlocal now
        now += 100.0

    for module in (cam_core.run, sys.modules["cam_core.explain"]):
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=clock))
    clf = tiny_classifier("plain")
    explanation = explain(clf, tiny_images(1)[0], method="score-cam", progress=others_first)
    assert now > 100 and explanation.seconds < 1


def test_seconds_last_until_the_device_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU is given its work and goes on by itself."""
    now = 0.0

    def finish() -> None:
        nonlocal now
        now += 100.0

    with pretend("mps"):
        monkeypatch.setattr(torch.mps, "synchronize", finish)
        monkeypatch.setattr(sys.modules["cam_core.explain"], "time", SimpleNamespace(perf_counter=lambda: now))
        clf = tiny_classifier("plain", device="mps")
        assert explain(clf, tiny_images(1)[0], method="grad-cam").seconds == 100, "what was begun before does not count"
