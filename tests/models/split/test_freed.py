"""Halves that nobody needs any more are freed at once: their weights do not wait for the garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from cam_core import explain
from tests.tiny import TINY, tiny_classifier, tiny_images


@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def live() -> int:
    """Modules and tensors of this process; without the collector, also those that a cycle alone keeps."""
    return sum(issubclass(type(thing), nn.Module | Tensor) for thing in gc.get_objects())


@pytest.mark.usefixtures("without_collector")
@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("network", TINY)
def test_evicted_halves_are_freed_without_the_collector(network: str, compiled: bool) -> None:
    clf, layers = tiny_classifier(network), TINY[network].layers
    kept = live()
    for layer in layers:
        for precision in ("float32", "bfloat16", "float64"):
            net = clf.split(layer, precision, compiled=compiled)
            net.tail_in(torch.float64)
            with torch.enable_grad():
                net.tail(net.head(tiny_images(1).to(net.dtype)).requires_grad_()).sum().backward()
            if not compiled:
                explain(clf, tiny_images(1)[0], method="grad-cam", layer=layer, precision=precision)
    del net
    clf._splits.clear()
    assert live() == kept


@pytest.mark.slow
@pytest.mark.usefixtures("without_collector")
def test_no_more_splits_are_alive_than_are_kept() -> None:
    clf = tiny_classifier("residual")
    layers = [name for name, part in clf.module.named_modules() if isinstance(part, nn.Conv2d | nn.BatchNorm2d)]
    sizes = []
    for layer in layers * 3:
        clf.split(layer)
        sizes.append(live())
    assert max(sizes[3:]) < 2 * sizes[2], sizes
