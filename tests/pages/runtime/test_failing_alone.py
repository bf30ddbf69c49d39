"""Cancelled, out of memory, refused: the others go on, and nothing is left behind. Real methods, a tiny network."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image

from cam_core import Explanation
from pages.runtime import compute, devices
from pages.runtime.compute import ModelSpec, Question, Request
from pages.runtime.jobs import Job, Jobs
from pages.runtime.turns import Turns
from tests.pages.app_runs import BUNDLED, Open, heatmaps

SOON = 30  # seconds: far more than needed, so that only a hanging thread fails
PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 48, 3), dtype=np.uint8))
METHODS = ("score-cam", "ss-cam", "is-cam", "ablation-cam")


def task(number: int, method: str) -> tuple[Question, Request]:
    """Work of its own for every number: the seed is part of the key."""
    layer = compute.classifier(ModelSpec(BUNDLED)).default_layer
    return Question("photo", ModelSpec(BUNDLED), layer, target=1, seed=number), Request(method)


def begun(number: int, method: str) -> Job | Explanation:
    (outcome,) = compute.all_explanations(PHOTO, [task(number, method)], group=f"explain{number}", patience=0)
    return outcome


def own_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("camscope-") and "-CAM" in thread.name]


def wait_for_threads() -> None:
    for thread in own_threads():
        thread.join(SOON)


@pytest.mark.parametrize("places", [1, 2])
@pytest.mark.parametrize("count", [10, pytest.param(50, marks=pytest.mark.slow)])
def test_cancels_at_random_moments_leave_no_lock_no_thread_and_no_half_result(
    count: int, places: int, jobs: Jobs, tiny_model: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Turns(places)
    monkeypatch.setattr(devices, "turns", lambda _: device)
    monkeypatch.setattr(compute, "_GLANCE", 0.0)  # nobody waits: the cancels shall meet the work
    choice = random.Random(count)
    expected = {}
    for number, method in [(-1, method) for method in METHODS] + [(0, method) for method in METHODS]:
        began = time.perf_counter()  # how long they take, so that the cancels fall before, into and after the work
        job = begun(number, method)
        assert isinstance(job, Explanation) or job.wait(SOON)
        expected[method] = time.perf_counter() - began
    cancelled = 0
    for number in range(1, count + 1):
        pair = {method: begun(number, method) for method in choice.sample(METHODS, 2)}
        time.sleep(choice.uniform(0, 1.2 * max(expected[method] for method in pair)))
        for job in pair.values():
            if isinstance(job, Job):
                job.cancel()
        wait_for_threads()
        for method, job in pair.items():
            question, request = task(number, method)
            kept = compute.results().get(compute.digest("explain", question, request))
            done = not isinstance(job, Job) or job.state == "done"
            assert (kept is not None) == done, "a result is kept whole or not at all"
            cancelled += not done
            if done:
                again = compute.explained(compute.classifier(question.model), question, PHOTO, request)
                np.testing.assert_array_equal(kept.map, again.map)
    assert cancelled > 0
    assert own_threads() == []
    assert device.taken == 0 and not device.contended


def test_work_that_runs_out_of_memory_fails_alone_while_others_wait(jobs: Jobs, tiny_model: None) -> None:
    holds, gate = threading.Event(), threading.Event()

    def greedy(job: Job) -> None:
        with devices.computing("cpu", job):
            holds.set()
            gate.wait(SOON)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 80.00 GiB")

    failing = jobs.start("greedy", greedy, title="Odd-CAM")
    assert holds.wait(SOON)
    waiting = [begun(number, "score-cam") for number in (101, 102)]
    while len(devices.turns("cpu")._waiting) < 2:
        time.sleep(0.01)
    assert all(isinstance(job, Job) and job.queue() is not None for job in waiting)
    gate.set()
    assert failing.wait(SOON)
    assert failing.state == "failed" and failing.error is not None and "run out of memory" in failing.error
    for job in waiting:
        assert isinstance(job, Job) and job.wait(SOON) and isinstance(job.result, Explanation)
    wait_for_threads()
    assert devices.turns("cpu").taken == 0 and own_threads() == []


def test_a_tile_that_ran_out_of_memory_says_so_beside_the_others(
    open_app: Open, register: Callable[..., object]
) -> None:
    def greedy(net, image, acts, target, run):
        raise MemoryError

    register("greedy-cam", greedy, title="Greedy-CAM")
    at = open_app(methods=["Greedy-CAM", "Grad-CAM"])
    assert heatmaps(at) == ["Grad-CAM"]
    (error,) = at.error
    assert "Out of memory even for one image" in error.value and "Traceback" not in error.value


def test_more_jobs_than_a_visitor_may_have_are_refused_in_a_sentence(
    open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, gate = Jobs("visitor", most=1), threading.Event()
    monkeypatch.setattr(compute, "visitor_jobs", lambda: own)
    open_app()
    own.start("training", lambda job: gate.wait(SOON))
    at = open_app(methods=["CAM"], seed="5")
    assert any("1 computations of yours are under way" in error.value for error in at.error)
    gate.set()
    own.close()


def test_others_read_no_path_of_a_visitors_network(jobs: Jobs, tiny_model: None) -> None:
    spec = ModelSpec("/tmp/camscope-x1/networks/mine-lfi-2f.safetensors")
    job = compute.predictions(spec, "photo", PHOTO)
    assert isinstance(job, Job) and job.title == "mine-lfi-2f"
    assert job.wait(SOON)
