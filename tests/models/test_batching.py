"""Batches that fit: memory's end by all its names, what is learned from it, few sizes, budgets by free memory."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from cam_core import METHODS, explain, explain_batch
from cam_core.masked import image_rows, tail_rows
from cam_core.metrics import evaluate_batch
from cam_core.models import batching
from cam_core.models.batching import Rows, batch_rows, batches, batches_within, in_batches, is_out_of_memory
from cam_core.models.split import compiled as compilation
from cam_core.models.split.halves import TracedHalves, build_halves
from cam_core.shapley import channel_shap
from cam_core.types import DeviceError
from tests.tiny import tiny, tiny_classifier, tiny_images

NAMES = (
    "CUDA out of memory. Tried to allocate 2.00 GiB",
    "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "GET was unable to find an engine to execute this computation",
    "Unable to find an engine to execute this computation",
    "Invalid buffer size: 12.25 GiB",
    "MPS backend out of memory (MPS allocated: 17.90 GiB, other allocations: 93.19 MiB, max allowed: 18.13 GiB)",
    "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 1",
)
OTHER = (
    RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED"),
    RuntimeError("Expected all tensors to be on the same device"),
    ValueError("out of memory"),
    DeviceError("out of memory even for one image"),
)
MEBI, GIBI = 1 << 20, 1 << 30


@pytest.mark.parametrize("message", NAMES)
def test_memorys_end_is_recognised_by_every_name(message: str) -> None:
    def hungry(start: int, stop: int) -> Tensor:
        if stop - start > 2:
            raise RuntimeError(message)
        return torch.arange(start, stop)

    assert is_out_of_memory(RuntimeError(message))
    assert in_batches(hungry, 7, 7).tolist() == list(range(7))


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("HIP ran out")])
def test_and_by_its_type(error: BaseException) -> None:
    assert is_out_of_memory(error)


def test_a_system_that_has_no_more_memory_halves_the_batch() -> None:
    def hungry(start: int, stop: int) -> Tensor:
        if stop - start > 2:
            raise OSError(errno.ENOMEM, "Cannot allocate memory")
        return torch.arange(start, stop)

    assert in_batches(hungry, 7, 7).tolist() == list(range(7))
    with pytest.raises(FileNotFoundError):
        in_batches(lambda start, stop: torch.tensor(len(Path("missing").read_bytes())), 3, 3)


@pytest.mark.parametrize("error", OTHER)
def test_other_errors_are_none_of_it(error: BaseException) -> None:
    assert not is_out_of_memory(error)


@contextmanager
def cramped(most: int, message: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, int]]]:
    """No half of a network takes more than `most` rows; yields which half was given how many."""
    given: list[tuple[str, int]] = []

    def watched(half: str, original: Callable[..., object]) -> Callable[..., object]:
        def call(halves: TracedHalves, rows: Tensor, *context: object) -> object:
            given.append((half, len(rows)))
            if len(rows) > most:
                raise RuntimeError(message)
            return original(halves, rows, *context)

        return call

    with monkeypatch.context() as patch:
        for half in ("head", "tail", "whole"):
            patch.setattr(TracedHalves, half, watched(half, getattr(TracedHalves, half)))
        yield given


@pytest.mark.parametrize("method", [key for key in METHODS if key not in ("lfi-cam", "cam", "lrp-cam")])
def test_every_method_survives_a_small_memory(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for three rows everywhere: five images at once, or many rows per image."""
    layer = ["stem", "relu2"] if METHODS[method].multi_layer else "stem"
    params = {"steps": 3} if method == "opti-cam" else {}
    images = list(tiny_images(5))
    roomy = explain_batch(tiny_classifier("residual"), images, method=method, layer=layer, **params)
    clf = tiny_classifier("residual")
    with cramped(3, NAMES[1], monkeypatch) as given:
        found = explain_batch(clf, images, method=method, layer=layer, **params)
        # It runs one row at a time.
        assert method == "opti-cam" or any(rows > 3 for _, rows in given)
        given.clear()
        explain_batch(clf, images, method=method, layer=layer, **params)
        assert all(rows <= 3 for _, rows in given), "the second run knows what fits"
    for ours, expected in zip(found, roomy, strict=True):
        np.testing.assert_allclose(ours.map, expected.map, rtol=1e-4, atol=1e-5)


def test_what_fits_is_known_for_each_half_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    clf = tiny_classifier("residual")
    image = tiny_images(1)
    net = clf.split("stem")
    tail = tail_rows(net, net.head(image))
    whole, other = image_rows(net, image), tail_rows(clf.split("relu1"), net.head(image))
    before = whole.count
    tail.learn(5)
    assert (tail.count, whole.count, other.count) == (5, before, other.count)
    assert tail_rows(clf.split("stem").sample(0), net.head(image)).count == 5, "another view of the same half"
    assert tail.heavier(8).count == batch_rows(8 * 16, torch.device("cpu")) // 8
    tail.heavier(8).learn(2)
    assert tail.count == 5, "a backward pass that does not fit says nothing of a forward pass"
    assert tail.heavier(8).count == 2
    assert tail.at_most(3).count == 3
    assert Rows(4).count == 4


def test_what_did_not_fit_even_alone_is_not_remembered_as_nothing() -> None:
    rows = Rows(4)
    with pytest.raises(DeviceError, match="even for one image"):
        in_batches(lambda start, stop: fails(NAMES[0]), 3, rows)
    assert rows.count == 1


def fails(message: str) -> Tensor:
    raise RuntimeError(message)


def test_an_explanation_that_does_not_fit_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with cramped(0, NAMES[6], monkeypatch), pytest.raises(DeviceError, match="even for one image"):
        explain(tiny_classifier("residual"), tiny_images(1)[0], method="grad-cam")


def test_the_compiled_form_lets_memorys_end_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no failure of the compiler: the batch is to halve."""
    monkeypatch.setattr(compilation.torch, "compile", lambda function, **options: lambda images: fails(NAMES[1]))
    images = tiny_images(2, seed=0)
    compiled = compilation.CompiledHalves(build_halves(tiny("plain"), "features", images[:1]))
    with torch.no_grad(), pytest.raises(RuntimeError, match="ALLOC_FAILED"):
        compiled.whole(images)
    assert not compiled.problem


def sizes(total: int, rows: int, seconds_each: float = 0.0, first: int | None = None) -> list[int]:
    now = [0.0]
    given: list[int] = []

    def function(start: int, stop: int) -> int:
        given.append(stop - start)
        now[0] += seconds_each * (stop - start) ** 0.9  # larger batches take less per row
        return start

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batching, "time", SimpleNamespace(perf_counter=lambda: now[0]))
        with batches_within(lambda: 0.1 if seconds_each else None):
            starts = list(batches(function, total, rows, first=first))
    assert starts == [sum(given[:place]) for place in range(len(given))]
    assert sum(given) == total
    return given


def test_a_run_has_at_most_three_sizes_of_batch() -> None:
    for rows in (1, 7, 16, 100, 512):
        for total in range(1, 1200, 37):
            assert len(set(sizes(total, rows, first=4))) <= 3
            assert len(set(sizes(total, rows))) <= 2


def test_while_somebody_waits_sizes_are_powers_of_two() -> None:
    """Whatever a row takes, and however that varies; all of `rows` where they fit, and the last batch aside."""
    seen = set()
    for milliseconds in (0.2, 0.7, 1, 2, 3, 5, 9, 17, 40, 90):
        given = sizes(400, 100, milliseconds / 1000)
        assert all(size == 1 or milliseconds * size**0.9 <= 100 for size in given[1:])
        seen |= set(given[:-1])
    assert seen == {1, 2, 4, 8, 16, 32, 64, 100}


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_a_batch_is_over_when_the_device_has_computed_it(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device takes orders at once: without waiting for it, every batch would seem to take no time."""
    now = count()
    waits: list[int] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device=None: waits.append(next(now)))
    monkeypatch.setattr(torch.mps, "synchronize", lambda: waits.append(next(now)))

    class OnDevice(Tensor):
        device = torch.device(kind, 0)

    def function(start: int, stop: int) -> Tensor:
        return torch.arange(start, stop).as_subclass(OnDevice)

    assert len(list(batches(function, 10, 4))) == 3
    assert not waits
    with batches_within(lambda: 0.1):
        given = [len(part) for part in batches(function, 10, 4)]
    assert len(waits) == len(given)


def memory(kind: str, free: int, monkeypatch: pytest.MonkeyPatch, reserve: int = 0) -> torch.device:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device=None: (free, 80 * GIBI))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device=None: reserve)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device=None: 0)
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: free + GIBI)
    monkeypatch.setattr(torch.mps, "current_allocated_memory", lambda: GIBI)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: GIBI + reserve)
    return torch.device(kind)


IMAGE = 16 * 224 * 224  # elements of the widest tensor of one image


@pytest.mark.parametrize(
    ("kind", "free", "rows"),
    [
        ("cuda", 70 * GIBI, 334),
        ("cuda", 6 * GIBI, 83),
        ("cuda", 300 * MEBI, 5),
        ("cuda", 0, 1),
        ("mps", 70 * GIBI, 83),
        ("mps", 4 * GIBI, 83),
        ("mps", 1 * GIBI, 20),
        ("mps", -GIBI, 1),
        ("cpu", 0, 7),
    ],
)
def test_the_budget_is_the_free_memory_of_the_device(
    kind: str, free: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image takes 64 bytes per element of its widest tensor: 51 MB."""
    assert batch_rows(IMAGE, memory(kind, free, monkeypatch)) == rows
    assert kind == "cpu" or rows == 1 or rows * IMAGE * 64 <= free


def test_what_torch_keeps_in_reserve_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    device = memory("cuda", 300 * MEBI, monkeypatch, reserve=6 * GIBI)
    assert batch_rows(IMAGE, device) == 83
    device = memory("mps", 6 * GIBI, monkeypatch, reserve=6 * GIBI)
    assert batch_rows(IMAGE, device) == 83, "all that is free lies in torch's cache"


def test_a_little_more_or_less_memory_changes_no_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each size of batch costs a choice of kernels."""
    found = {batch_rows(IMAGE, memory("cuda", free * MEBI, monkeypatch)) for free in range(5000, 9000, 100)}
    assert len(found) == 2


def test_estimators_and_metrics_survive_a_small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    image, clf = tiny_images(1)[0], tiny_classifier("residual")
    expected = channel_shap(clf, image, layer="stem", estimator="owen", budget=40).phi
    maps = [explanation.saliency for explanation in explain_batch(clf, list(tiny_images(4)), method="grad-cam")]
    values = [r.value for r in evaluate_batch(clf, list(tiny_images(4)), maps, metric="deletion-auc", steps=16)]
    with cramped(2, NAMES[3], monkeypatch):
        found = channel_shap(clf, image, layer="stem", estimator="owen", budget=40).phi
        again = [r.value for r in evaluate_batch(clf, list(tiny_images(4)), maps, metric="deletion-auc", steps=16)]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(again, values, atol=1e-5)
