from __future__ import annotations

import pytest
import torch

from cam_core.models.devices import (
    available_devices,
    device_for,
    double,
    in_dtype,
    layout,
    moved_to_cpu,
    resolve_device,
    wait_for,
)
from cam_core.types import DeviceError
from tests.pretend.device import pretend


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


@pytest.mark.parametrize("name", ["mps", "mps:0", "MPS:0", "auto"])
def test_apples_gpu_is_one(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    _pretend(monkeypatch, cuda=0, mps=True)
    assert resolve_device(name) == torch.device("mps")
    with pytest.raises(DeviceError, match="mps:1"):
        resolve_device("mps:1")


def test_a_torch_device_is_taken_as_it_is() -> None:
    assert resolve_device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda:2", "mps", "tpu", "", "cuda:x"])
def test_a_device_that_is_not_there_is_named_with_those_that_are(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    _pretend(monkeypatch, cuda=2, mps=False)
    with pytest.raises(DeviceError, match=rf"'{name}'.*auto, cuda:0, cuda:1, cpu"):
        resolve_device(name)


def test_float64_is_had_everywhere() -> None:
    x = torch.tensor([1 / 3, 2.0])
    for kind, home in (("cuda", "cuda"), ("mps", "cpu")):
        with pretend(kind):
            there = double(x.to(kind))
            assert there.dtype == torch.float64 and there.device.type == home
            assert torch.equal(there.cpu(), x.double())
            assert in_dtype(x.to(kind), torch.bfloat16).device.type == kind
    assert double(x).device.type == "cpu"


def test_what_goes_to_the_cpu_is_told_once_to_whoever_asks() -> None:
    apples, nvidias = torch.device("mps"), torch.device("cuda", 0)
    assert device_for("fold", apples) == torch.device("cpu"), "nobody asks"
    with moved_to_cpu() as outer:
        with moved_to_cpu() as inner:
            assert [device_for("fold", place).type for place in (apples, nvidias, apples)] == ["cpu", "cuda", "cpu"]
        device_for("eigh", apples)
    assert (outer, inner) == (["eigh"], ["fold"])


def test_channels_last_is_for_others() -> None:
    assert [layout(torch.device(kind)) for kind in ("cpu", "cuda", "mps")] == [
        torch.channels_last,
        torch.channels_last,
        torch.contiguous_format,
    ]


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_waiting(kind: str) -> None:
    with pretend(kind) as ledger:
        wait_for(torch.device(kind))
        wait_for(torch.device("cpu"))
        assert ledger.waits == 1
