"""Whatever the core computes gives the same on a pretended GPU, NVIDIA's or Apple's, as on the CPU."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from cam_core import METHODS, METRICS, explain, maps
from cam_core.models.devices import available_devices
from cam_core.models.trainable.lfi import ARCHITECTURES
from cam_core.shapley import ESTIMATORS
from tests.pretend.device import Ledger, pretend
from tests.pretend.scenarios import ROUNDING, Numbers, deviation, scenarios, sentences
from tests.tiny import tiny_classifier, tiny_images

SCENARIOS = scenarios()
QUICK = [name for name, scenario in SCENARIOS.items() if scenario.quick]
THE_REST = [name for name in SCENARIOS if name not in QUICK]
PRECISE = [name for name in QUICK if SCENARIOS[name].precise]


@cache
def on_the_cpu(name: str, precision: str = "float32") -> Numbers:
    torch.manual_seed(0)
    return SCENARIOS[name].run("cpu", precision)


def check(name: str, kind: str, precision: str = "float32", **modes: Any) -> Ledger:
    """Run a scenario there; its numbers are those of the CPU."""
    with pretend(kind, **modes) as ledger:
        torch.manual_seed(0)
        there = SCENARIOS[name].run(kind, precision)
    assert ledger.ops
    assert deviation(there, on_the_cpu(name)) < SCENARIOS[name].rounding
    return ledger


def test_the_whole_contract_is_there() -> None:
    names = {name.partition(" · ")[0] for name in QUICK}
    assert set(METHODS) <= names
    assert {f"metric {key}" for key in METRICS} <= names
    assert {f"estimator {key}" for key in ESTIMATORS} <= names
    assert {f"training {arch}" for arch in ARCHITECTURES} <= names


@pytest.mark.parametrize("name", QUICK)
def test_on_nvidias(name: str) -> None:
    """With torch's switches as they are by default: float32 is not TF32, and nothing is said that the CPU does not."""
    ledger = check(name, "cuda")
    assert not ledger.rounded
    with pretend("cuda"):
        there = SCENARIOS[name].run("cuda", "float32")
    assert sentences(there) == sentences(on_the_cpu(name))


@pytest.mark.parametrize("name", QUICK)
def test_on_apples(name: str) -> None:
    check(name, "mps")


@pytest.mark.slow
@pytest.mark.parametrize("name", THE_REST)
@pytest.mark.parametrize(("kind", "modes"), [("cuda", {}), ("mps", {}), ("mps", {"old": True})])
def test_every_network(kind: str, modes: dict[str, Any], name: str) -> None:
    check(name, kind, **modes)


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_on_apples_with_older_torch(name: str) -> None:
    check(name, "mps", old=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", PRECISE)
@pytest.mark.parametrize(
    ("kind", "precision", "modes"),
    [("cuda", "tf32", {}), ("cuda", "bfloat16", {}), ("mps", "bfloat16", {"old": True}), ("mps", "bfloat16", {})],
)
def test_coarse_precisions(kind: str, precision: str, modes: dict[str, Any], name: str) -> None:
    with pretend(kind, **modes) as ledger:
        there = SCENARIOS[name].run(kind, precision)
    assert ledger.ops
    assert bool(ledger.rounded) == (precision == "tf32")
    assert all(np.isfinite(values).all() for values in (there[k] for k in there if not k.startswith("warnings")))


REAL = available_devices()[0].partition(":")[0]


@pytest.mark.skipif(REAL == "cpu", reason="no GPU")
@pytest.mark.parametrize("name", SCENARIOS)
def test_on_the_real_one(name: str) -> None:
    """What is pretended everywhere else."""
    assert deviation(SCENARIOS[name].run(REAL, "float32"), on_the_cpu(name)) < 10 * SCENARIOS[name].rounding


# Memory that ends at random: of more than one row, no batch is sure to fit.


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_memory_that_ends(kind: str, name: str) -> None:
    if SCENARIOS[name].at_once:
        pytest.skip(f"{name} runs all its rows at once: it has no smaller batch to try")
    check(name, kind, oom=0.3)


# The fixture can fail.


def test_a_tensor_left_on_the_cpu_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    upsample = maps.upsample
    monkeypatch.setattr(maps, "upsample", lambda raw, size: upsample(raw, size) + torch.zeros(size))
    for kind in ("cuda", "mps"):
        with pretend(kind), pytest.raises(RuntimeError, match="same device"):
            explain(tiny_classifier("plain", device=kind), tiny_images(1)[0], method="grad-cam")
    explain(tiny_classifier("plain"), tiny_images(1)[0], method="grad-cam")


def test_a_float64_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    upsample = maps.upsample
    monkeypatch.setattr(maps, "upsample", lambda raw, size: upsample(raw.double(), size).to(raw))
    with pretend("mps"), pytest.raises(TypeError, match="float64"):
        explain(tiny_classifier("plain", device="mps"), tiny_images(1)[0], method="grad-cam")
    with pretend("cuda"):
        explain(tiny_classifier("plain", device="cuda"), tiny_images(1)[0], method="grad-cam")


def test_a_wrong_number_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    name = next(name for name in QUICK if name.startswith("grad-cam ·"))
    here = on_the_cpu(name)
    assert deviation({**here, "map": here["map"] * (1 + 10 * ROUNDING)}, here) > ROUNDING


def test_tf32_is_found_where_nothing_turns_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    from cam_core.models import precision

    monkeypatch.setattr(precision, "_write", lambda values: None)
    name = next(name for name in QUICK if name.startswith("lift-cam · residual"))
    with pretend("cuda") as ledger:
        there = SCENARIOS[name].run("cuda", "float32")
    assert ledger.rounded
    assert deviation(there, on_the_cpu(name)) > ROUNDING
