"""Background jobs, without any page."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cam_core import Cancelled
from cam_core.types import MethodError
from pages.runtime.jobs import Job, Jobs

ROOT = Path(__file__).parents[3]
SOON = 10  # seconds: far more than needed, so that only a hanging thread fails

# As they come from a CPU, a GPU of either kind, the libraries below PyTorch, an allocator of NumPy, and the system.
OUT_OF_MEMORY = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried to"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes."),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    np._core._exceptions._ArrayMemoryError((9**9,), np.dtype(float)),
    OSError(12, "Cannot allocate memory"),
]


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    own = Jobs()
    yield own
    own.close()


def test_result_and_progress(jobs: Jobs) -> None:
    def work(job: Job) -> str:
        job.progress(0, 4)
        job.progress(4, 4)
        return "result"

    job = jobs.start("key", work, title="Work")
    assert job.wait(SOON)
    assert (job.state, job.result, job.error, job.fraction) == ("done", "result", None, 1.0)
    assert not job.active
    assert jobs.start("key", work) is job


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process has one priority")
def test_what_computes_comes_after_what_draws(jobs: Jobs) -> None:
    def niceness(_: object = None) -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def work(_: Job) -> tuple[int, int]:
        with ThreadPoolExecutor(1) as helper:
            return niceness(), helper.submit(niceness).result()

    drawing = niceness()
    job = jobs.start("key", work)
    assert job.wait(SOON)
    assert job.result == (min(19, drawing + 5),) * 2, "with the helpers that it starts"
    assert niceness() == drawing


def test_time_left_follows_the_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("pages.runtime.jobs.time.monotonic", lambda: now)
    seen: list[float | None] = []

    def work(job: Job) -> None:
        nonlocal now
        now = 100.0  # preparing says nothing about the pace
        job.progress(0, 10)
        seen.append(job.time_left)
        now = 102.0
        job.progress(4, 10)
        seen.append(job.time_left)

    Job("key", work).run()
    assert seen == [None, pytest.approx(3.0)]


def test_expected_error_is_shown_as_it_is() -> None:
    def work(job: Job) -> None:
        raise MethodError("the tail has no rule for pixel_shuffle")

    job = Job("key", work)
    job.run()
    assert (job.state, job.error) == ("failed", "the tail has no rule for pixel_shuffle")


def test_unforeseen_error_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    def work(job: Job) -> None:
        raise ZeroDivisionError("secret path /etc/shadow")

    job = Job("key", work, "Score-CAM")
    job.run()
    assert job.state == "failed"
    assert job.error is not None and "secret" not in job.error
    assert "ZeroDivisionError" in caplog.text and "Score-CAM" in caplog.text


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: f"{type(error).__name__} {str(error)[:20]}")
def test_out_of_memory_is_said_in_a_sentence(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    def work(job: Job) -> None:
        raise error

    job = Job("key", work, "Score-CAM")
    job.run()
    assert job.state == "failed"
    assert job.error is not None and "run out of memory" in job.error and "smaller model" in job.error
    assert "Score-CAM" in caplog.text, "whoever runs the server reads it too"


@pytest.mark.parametrize("error", [RuntimeError("shapes do not fit"), ValueError("out of memory, as a title")])
def test_other_errors_are_no_lack_of_memory(error: Exception) -> None:
    def work(job: Job) -> None:
        raise error

    job = Job("key", work)
    job.run()
    assert job.error is not None and "memory" not in job.error


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), GeneratorExit()])
def test_nothing_that_work_raises_leaves_a_job_that_runs_for_ever(error: BaseException) -> None:
    def work(job: Job) -> None:
        raise error

    job = Job("key", work)
    job.run()
    assert job.state == "failed" and job.wait(0) and not job.active


def test_a_job_that_was_given_up_stays_so_and_stops_at_its_next_batch(jobs: Jobs) -> None:
    gate, stopped = threading.Event(), threading.Event()

    def work(job: Job) -> str:
        gate.wait(SOON)
        try:
            job.progress(1, 2)
        finally:
            stopped.set()
        return "too late"

    job = jobs.start("key", work)
    job.give_up("It has not answered.")
    assert job.wait(0) and (job.state, job.error) == ("failed", "It has not answered.")
    gate.set()
    assert stopped.wait(SOON)
    assert (job.state, job.error, job.result) == ("failed", "It has not answered.", None)


def test_where_no_thread_is_to_be_had_the_job_fails_and_the_next_one_may_begin(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        refused = jobs.start("key", lambda job: 1)
    assert refused.state == "failed" and refused.error is not None and "as much as it can" in refused.error
    again = jobs.start("key", lambda job: 2)
    assert again.wait(SOON) and again.result == 2


def test_cancel_stops_at_the_next_batch_and_keeps_what_was_published(jobs: Jobs) -> None:
    begun = threading.Event()

    def work(job: Job) -> None:
        job.publish("first")
        job.progress(1, 1000)
        begun.set()
        while True:
            job.progress(2, 1000)

    job = jobs.start("key", work)
    assert begun.wait(SOON)
    assert job.active
    job.cancel()
    assert job.state == "cancelled"
    assert job.wait(SOON)
    assert (job.state, job.items, job.result) == ("cancelled", ("first",), None)


def test_quick_work_does_not_queue_behind_slow_work(jobs: Jobs) -> None:
    gate = threading.Event()
    slow = jobs.start("slow", lambda job: gate.wait(SOON))
    quick = jobs.start("quick", lambda job: "there")
    assert quick.wait(SOON)
    assert (quick.result, slow.active) == ("there", True)
    gate.set()


def test_keep_only_cancels_what_nobody_waits_for(jobs: Jobs) -> None:
    gate = threading.Event()

    def work(job: Job) -> bool:
        return gate.wait(SOON)

    kept, dropped, other = (jobs.start(key, work) for key in ("map:a", "map:b", "train:c"))
    jobs.keep_only(["map:a"], prefix="map:")
    assert (kept.active, dropped.state, other.active) == (True, "cancelled", True)
    assert jobs.get("map:b") is None
    gate.set()


def test_forget_begins_anew(jobs: Jobs) -> None:
    first = jobs.start("key", lambda job: 1)
    assert first.wait(SOON)
    jobs.forget("key")
    second = jobs.start("key", lambda job: 2)
    assert second.wait(SOON)
    assert (first.result, second.result) == (1, 2)


def test_close_stops_everything() -> None:
    def work(job: Job) -> None:
        while True:
            job.check()

    own = Jobs()
    running = [own.start("quick", work), own.start("slow", work)]
    own.close()
    assert all(job.wait(SOON) for job in running)
    assert {job.state for job in running} == {"cancelled"}


def test_a_server_that_stops_in_the_middle_of_a_job_ends_cleanly() -> None:
    program = """
import threading, time, torch
from pages.runtime.jobs import Jobs

def work(job):
    while True:
        torch.randn(300, 300) @ torch.randn(300, 300)
        job.check()

job = Jobs().start("key", work)
while job.state == "waiting":
    time.sleep(0.01)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_check_names_what_was_cancelled() -> None:
    job = Job("key", lambda job: None, "Score-CAM")
    job.cancel()
    with pytest.raises(Cancelled, match="Score-CAM"):
        job.check()


@pytest.mark.parametrize(
    ("work", "fruitless"),
    [(lambda job: 1, False), (lambda job: 1 / 0, True), (lambda job: job.cancel() or job.check(), True)],
)
def test_fruitless_is_what_ended_without_a_result(work: Callable[[Job], Any], fruitless: bool) -> None:
    job = Job("key", work)
    assert not job.fruitless
    job.run()
    assert job.fruitless == fruitless and not job.active
