"""Precisions: which device has which, and that CUDA's switches are turned for a pass, and back."""

from __future__ import annotations

import threading

import pytest
import torch

from cam_core import explain
from cam_core.models.precision import check_precision, computing_in, has_bfloat16
from cam_core.models.split import compiled as compilation
from cam_core.types import DeviceError
from tests.pretend.device import pretend
from tests.tiny import tiny_classifier, tiny_images

CUDA = torch.device("cuda", 0)
Switches = tuple[str, str, str]


def switches() -> Switches:
    cudnn, cuda = torch.backends.cudnn, torch.backends.cuda
    return cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision, cuda.matmul.fp32_precision


@pytest.mark.parametrize(
    ("kind", "precision", "says"),
    [
        ("mps", "float64", "Apple's GPU has no float64"),
        ("mps", "tf32", "TF32 is for NVIDIA's GPUs from Ampere on, not for mps"),
        ("cuda", "float16", "unknown precision 'float16'; there are: float32, tf32, bfloat16, float64"),
    ],
)
def test_a_precision_that_the_device_lacks_is_refused(kind: str, precision: str, says: str) -> None:
    with pretend(kind), pytest.raises(DeviceError, match=says):
        explain(tiny_classifier("plain", device=kind), tiny_images(1)[0], method="grad-cam", precision=precision)


def test_tf32_is_no_precision_of_the_cpu() -> None:
    with pytest.raises(DeviceError, match="not for cpu"):
        tiny_classifier("plain").logits(tiny_images(1), precision="tf32")


def test_before_ampere_there_is_neither_tf32_nor_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    with pretend("cuda"):
        for precision in ("float32", "tf32", "bfloat16", "float64"):
            check_precision(precision, CUDA)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (7, 5))
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
        assert not has_bfloat16(CUDA)
        for precision in ("tf32", "bfloat16"):
            with pytest.raises(DeviceError, match="Ampere"):
                check_precision(precision, CUDA)


def test_the_switches_are_turned_inside_and_turned_back(restored_switches: None) -> None:
    before = switches()
    assert before[0] == "tf32", "torch's default"
    with computing_in("float32", CUDA):
        assert switches() == ("ieee",) * 3
        with computing_in("float64", CUDA):
            assert switches() == ("ieee",) * 3
        assert switches() == ("ieee",) * 3, "the outer one is not done"
    assert switches() == before
    with computing_in("tf32", CUDA):
        assert switches() == ("tf32",) * 3
    with pytest.raises(ZeroDivisionError), computing_in("tf32", CUDA):
        raise ZeroDivisionError
    assert switches() == before
    with computing_in("float32", torch.device("cpu")):
        assert switches() == before


@pytest.mark.parametrize("chosen", ["ieee", "tf32"])
def test_what_the_user_chose_by_the_new_switch_stays(chosen: str, restored_switches: None) -> None:
    torch.backends.cudnn.conv.fp32_precision = chosen
    with computing_in("float32", CUDA):
        assert torch.backends.cudnn.conv.fp32_precision == "ieee"
    assert torch.backends.cudnn.conv.fp32_precision == chosen


def test_passes_of_two_kinds_wait_for_each_other(restored_switches: None) -> None:
    seen: list[str] = []

    def coarse() -> None:
        with computing_in("tf32", CUDA):
            seen.append(switches()[0])

    other = threading.Thread(target=coarse)
    with computing_in("float32", CUDA):
        other.start()
        other.join(0.1)
        assert other.is_alive() and not seen
        assert switches()[0] == "ieee"
    other.join()
    assert seen == ["tf32"]


def test_a_pass_inside_one_of_the_other_kind_would_wait_for_itself(restored_switches: None) -> None:
    before = switches()
    with (
        pytest.raises(RuntimeError, match="ieee begins inside one in tf32"),
        computing_in("tf32", CUDA),
        computing_in("float32", CUDA),
    ):
        pytest.fail("it began")
    assert switches() == before
    with computing_in("float32", CUDA):
        assert switches()[0] == "ieee", "nobody is left inside"


def test_many_threads_of_both_kinds_come_to_an_end(restored_switches: None) -> None:
    before = switches()
    wrong: list[Switches] = []

    def passes(precision: str, expected: str) -> None:
        for _ in range(50):
            with computing_in(precision, CUDA), computing_in(precision, CUDA):
                if switches() != (expected,) * 3:
                    wrong.append(switches())

    kinds = [("tf32", "tf32"), ("float32", "ieee")] * 4
    threads = [threading.Thread(target=passes, args=kind, daemon=True) for kind in kinds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert not wrong
    assert switches() == before


def test_while_tf32_waits_float32_begins_nothing_but_goes_on(restored_switches: None) -> None:
    seen: list[str] = []

    def enter(precision: str) -> None:
        with computing_in(precision, CUDA):
            seen.append(switches()[0])

    coarse, fine = (threading.Thread(target=enter, args=(name,), daemon=True) for name in ("tf32", "float32"))
    with computing_in("float32", CUDA):
        coarse.start()
        coarse.join(0.1)
        fine.start()
        fine.join(0.1)
        assert coarse.is_alive() and fine.is_alive() and not seen
        with computing_in("float32", CUDA):
            assert switches()[0] == "ieee", "who is inside does not wait"
    coarse.join(5)
    fine.join(5)
    assert seen == ["tf32", "ieee"]


def test_what_is_compiled_for_one_way_to_compute_is_not_used_for_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation.torch, "compile", lambda function, **options: function)
    with pretend("cuda"):
        clf = tiny_classifier("plain", device="cuda")
        halves = {
            (precision, compiled): clf.split(precision=precision, compiled=compiled).halves
            for precision in ("float32", "tf32")
            for compiled in (False, True)
        }
    assert halves["float32", False] is halves["tf32", False], "stored alike"
    assert halves["float32", True] is not halves["tf32", True]
