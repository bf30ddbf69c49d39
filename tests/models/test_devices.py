from __future__ import annotations

import pytest
import torch

from cam_core.models.devices import available_devices, resolve_device
from cam_core.types import DeviceError


def _pretend(monkeypatch: pytest.MonkeyPatch, cuda: int, mps: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("auto", "cuda:0"),
        ("cpu", "cpu"),
        ("cuda", "cuda:0"),
        ("cuda:1", "cuda:1"),
        ("CUDA:1", "cuda:1"),
        (" cpu ", "cpu"),
    ],
)
def test_a_name_means_one_device(monkeypatch: pytest.MonkeyPatch, name: str, expected: str) -> None:
    _pretend(monkeypatch, cuda=2, mps=False)
    assert resolve_device(name) == torch.device(expected)


def test_auto_takes_the_fastest(monkeypatch: pytest.MonkeyPatch) -> None:
    _pretend(monkeypatch, cuda=0, mps=True)
    assert available_devices() == ["mps", "cpu"]
    assert resolve_device("auto") == torch.device("mps")
    _pretend(monkeypatch, cuda=0, mps=False)
    assert resolve_device("auto") == torch.device("cpu")


def test_a_torch_device_is_taken_as_it_is() -> None:
    assert resolve_device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda:2", "mps", "tpu", "", "cuda:x"])
def test_a_device_that_is_not_there_is_named_with_those_that_are(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    _pretend(monkeypatch, cuda=2, mps=False)
    with pytest.raises(DeviceError, match=rf"'{name}'.*auto, cuda:0, cuda:1, cpu"):
        resolve_device(name)
