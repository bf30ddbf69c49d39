"""Whatever the core computes gives the same on a pretended GPU, NVIDIA's or Apple's, as on the CPU."""

from __future__ import annotations

from functools import cache

import pytest
import torch

from tests.pretend.device import pretend
from tests.pretend.scenarios import Numbers, deviation, scenarios

SCENARIOS = scenarios()
QUICK = [name for name, scenario in SCENARIOS.items() if scenario.quick]
THE_REST = [name for name in SCENARIOS if name not in QUICK]

ROUNDING = 1e-4  # of the largest value


@cache
def on_the_cpu(name: str) -> Numbers:
    torch.manual_seed(0)
    return SCENARIOS[name].run("cpu", "float32")


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_the_same_numbers_as_on_the_cpu(kind: str, name: str) -> None:
    with pretend(kind) as ledger:
        there = SCENARIOS[name].run(kind, "float32")
    assert ledger.ops
    assert not ledger.rounded
    assert deviation(there, on_the_cpu(name)) < ROUNDING
