"""What every test gets: one thread, fixed seeds, and a skip (or, in CI, a failure) where the machine lacks a part."""

from __future__ import annotations

import gc
import os
import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from scripts.serving import NO_BROWSER, find_browser

SLOW_TIMEOUT = 1200  # seconds, where a slow test names no limit of its own

torch.set_num_threads(1)


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() == "true"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    no_gpu = pytest.mark.skip(reason="no CUDA device")
    no_browser = pytest.mark.skip(reason=NO_BROWSER)
    has_gpu, has_browser = torch.cuda.is_available(), find_browser() is not None
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_TIMEOUT))
        if item.get_closest_marker("gpu") and not has_gpu:
            item.add_marker(no_gpu)
        if item.get_closest_marker("browser") and not has_browser and not in_ci():
            item.add_marker(no_browser)
        if item.get_closest_marker("browser") and in_ci():
            item.add_marker(pytest.mark.flaky(reruns=1))  # CONTRIBUTING says why


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A missing browser in CI is a fault of the set-up, not a reason to leave the pages untested."""
    if item.get_closest_marker("browser") and in_ci() and find_browser() is None:
        pytest.fail(f"{NO_BROWSER}, and CI=true", pytrace=False)


@pytest.fixture(scope="session")
def browser_path() -> str:
    """For `playwright.chromium.launch(executable_path=…)`, in tests marked `browser`."""
    path = find_browser()
    assert path is not None, NO_BROWSER
    return path


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """No test depends on which tests ran before it in the same process."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _tidy(request: pytest.FixtureRequest) -> Iterator[None]:
    """Traced networks refer to themselves, so a slow test's gigabytes would stay until Python happens to look."""
    yield
    if request.node.get_closest_marker("slow"):
        gc.collect()


@pytest.fixture
def restored_switches() -> Iterator[None]:
    """What float32 means to the process, as it was before the test."""
    switches = (torch.backends.cudnn.conv, torch.backends.cudnn.rnn, torch.backends.cuda.matmul)
    before = [switch.fp32_precision for switch in switches]
    yield
    for switch, precision in zip(switches, before, strict=True):
        switch.fp32_precision = precision
