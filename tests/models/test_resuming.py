"""Work that was stopped goes on where it was, and ends as if it had never been."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import numpy as np
import pytest
import torch
from torch import Tensor

from cam_core import METHODS, Cancelled, explain
from cam_core.models import resuming
from cam_core.models.batching import in_batches
from cam_core.models.resuming import Record
from cam_core.shapley import ESTIMATORS, channel_shap
from cam_core.types import Progress
from tests.tiny import tiny_classifier, tiny_images

IMAGE = tiny_images(1)[0]
ROWS = torch.arange(10.0)[:, None] * torch.tensor([1.0, -1.0])


def stopping(after: int) -> Progress:
    """Stops the work when it tells of its progress for the time that many."""
    told = 0

    def progress(done: int, total: int) -> None:
        nonlocal told
        told += 1
        if told > after:
            raise Cancelled("enough")

    return progress


class Work:
    """Two calls of `in_batches` of two rows at a time, and which rows they computed."""

    def __init__(self) -> None:
        self.computed: list[int] = []
        self.done = 0

    def __call__(self, most: int = 100, count: int = 10) -> Tensor:
        self.computed.clear()
        self.done = 0

        def batch(start: int, stop: int) -> Tensor:
            self.computed += range(start, stop)
            return ROWS[start:stop]

        def advance(rows: int) -> None:
            self.done += rows
            if self.done >= most:
                raise Cancelled("enough")

        return torch.cat([in_batches(batch, count, 2, advance), in_batches(batch, 4, 2, advance)])


def stopped(work: Work, record: Record, most: int, **options: int) -> None:
    with pytest.raises(Cancelled), record.used():
        work(most, **options)


def test_only_what_is_not_known_is_computed() -> None:
    work, record = Work(), Record()
    stopped(work, record, most=6)
    assert work.computed == [0, 1, 2, 3, 4, 5] and len(record) == 6
    stopped(work, record, most=12)
    assert work.computed == [6, 7, 8, 9, 0, 1] and record.replayed == 6
    assert work.done == 12, "what was known counts as done"
    with record.used():
        result = work()
    assert work.computed == [2, 3] and torch.equal(result, torch.cat([ROWS, ROWS[:4]]))


def test_work_that_has_ended_is_not_remembered() -> None:
    work, record = Work(), Record()
    stopped(work, record, most=6)
    for expected in (8, 14):
        with record.used():
            work()
        assert len(work.computed) == expected and len(record) == 0


def test_without_a_record_everything_is_computed() -> None:
    work, record = Work(), Record()
    stopped(work, record, most=6)
    work()
    assert len(work.computed) == 14 and resuming.current() is None


def test_other_work_takes_nothing_from_it() -> None:
    work, record = Work(), Record()
    stopped(work, record, most=12)
    with record.used():
        work(count=8)
    assert len(work.computed) == 12


def test_what_does_not_fit_and_all_after_it_is_computed_again() -> None:
    work, record = Work(), Record(most=4 * ROWS[0].nbytes)
    stopped(work, record, most=12)
    assert len(record) == 4
    with record.used():
        assert torch.equal(work(), torch.cat([ROWS, ROWS[:4]]))
    assert len(work.computed) == 10


def test_batches_within_a_batch_are_part_of_it() -> None:
    record = Record()

    def outer(start: int, stop: int) -> Tensor:
        return in_batches(lambda first, last: ROWS[start + first : start + last], stop - start, 1)

    with pytest.raises(Cancelled), record.used():
        in_batches(outer, 10, 4, lambda rows: stopping(0)(rows, 10))
    assert len(record) == 4
    with record.used():
        assert torch.equal(in_batches(outer, 10, 4), ROWS)


@pytest.fixture
def elsewhere() -> Iterator[tuple[Record, threading.Event]]:
    """A record that another thread uses until the event is set."""
    record, begun, end = Record(), threading.Event(), threading.Event()

    def use() -> None:
        with record.used():
            begun.set()
            end.wait(10)

    thread = threading.Thread(target=use)
    thread.start()
    begun.wait(10)
    yield record, end
    end.set()
    thread.join(10)


def test_whoever_is_not_left_the_record_has_one_of_its_own(
    elsewhere: tuple[Record, threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    record, _ = elsewhere
    monkeypatch.setattr(resuming, "_PATIENCE", 0)
    with record.used() as own:
        assert own is not record and resuming.current() is own


def test_who_waits_for_the_record_can_give_up(elsewhere: tuple[Record, threading.Event]) -> None:
    record, _ = elsewhere
    with pytest.raises(Cancelled), record.used(lambda: stopping(0)(0, 0)):
        raise AssertionError("it was left to two")


def test_who_waits_for_the_record_gets_it(elsewhere: tuple[Record, threading.Event]) -> None:
    record, end = elsewhere
    with record.used(end.set) as own:
        assert own is record


def continued(work: Callable[[Progress | None], object], stops: int) -> object:
    """What the work gives that is stopped again and again, each time a little later."""
    record = Record()
    for after in range(1, stops + 1):
        with suppress(Cancelled), record.used():
            work(stopping(after))
            raise AssertionError("it has ended before its time")
        assert len(record), "something of it is kept"
    with record.used():
        return work(None)


@pytest.mark.parametrize("estimator", [*ESTIMATORS, "exact"])
def test_an_estimate_that_was_stopped_ends_with_the_same_values(estimator: str, small_batches: None) -> None:
    clf = tiny_classifier("residual")

    def estimate(progress: Progress | None):
        return channel_shap(clf, IMAGE, layer="relu1", estimator=estimator, budget=90, progress=progress)

    whole, parts = estimate(None), continued(estimate, stops=5)
    assert torch.equal(parts.phi, whole.phi) and torch.equal(parts.stderr, whole.stderr)
    assert (parts.passes, parts.repetitions, parts.gap) == (whole.passes, whole.repetitions, whole.gap)


@pytest.mark.parametrize("method", ["shap", "score-cam", "ss-cam", "is-cam", "ablation-cam", "owen-cam", "shap-cam"])
def test_a_map_that_was_stopped_ends_as_the_same(method: str, small_batches: None) -> None:
    clf = tiny_classifier("residual")
    params = {"budget": 90} if any(each.name == "budget" for each in METHODS[method].parameters) else {}

    def explained(progress: Progress | None):
        return explain(clf, IMAGE, method=method, layer="relu1", target=2, progress=progress, **params)

    whole, parts = explained(None), continued(explained, stops=2)
    np.testing.assert_array_equal(parts.map, whole.map)
    assert parts.warnings == whole.warnings
    # Both that were stopped had run the network on the whole photo before their first batch.
    assert 0 < parts.passes.head - whole.passes.head <= 2 and 0 < parts.passes.tail - whole.passes.tail <= 4


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many batches, also of few rows."""
    monkeypatch.setattr("cam_core.masked.batch_rows", lambda elements, device: 3)
