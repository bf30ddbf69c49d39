"""What is said of the device that computes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cam_core.models import hardware as module
from cam_core.models.hardware import Hardware, hardware


@pytest.mark.parametrize(
    ("used", "total", "text"),
    [
        (1_200_000_000, 7_800_000_000, "1.2 of 7.8 GB"),
        (None, 16_000_000_000, "16.0 GB"),
        (500_000_000, None, "0.5 GB used"),
        (None, None, ""),
    ],
)
def test_memory_in_words(used: int | None, total: int | None, text: str) -> None:
    assert Hardware("any", used, total).memory == text


def test_cpu_tells_threads_and_memory_of_this_process() -> None:
    found = hardware(torch.device("cpu"))
    assert found.name.startswith(f"CPU, {torch.get_num_threads()} thread")
    assert found.used is None or 10_000_000 < found.used < (found.total or found.used + 1)


def test_memory_is_left_out_where_the_system_does_not_tell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "_PROC", tmp_path)
    monkeypatch.setattr(module.platform, "system", lambda: "Windows")
    assert hardware(torch.device("cpu")).memory == ""


@pytest.mark.gpu
def test_gpu_tells_its_name_and_memory() -> None:
    found = hardware(torch.device("cuda", 0))
    assert found.name == torch.cuda.get_device_name(0)
    assert found.used is not None and found.total is not None and 0 < found.used <= found.total
