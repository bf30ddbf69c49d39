"""Methods that fail, never end, or say what they were given."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor

from cam_core.parameters import Parameter
from cam_core.types import MethodError


def broken(net: Any, image: Tensor, acts: Tensor, target: Tensor, run: Any) -> Tensor:
    raise MethodError("the *tail* has no [0] to divide by")


def surprised(net: Any, image: Tensor, acts: Tensor, target: Tensor, run: Any) -> Tensor:
    raise ZeroDivisionError("nobody foresaw this")


def zero(net: Any, image: Tensor, acts: Tensor, target: Tensor, run: Any) -> Tensor:
    return torch.zeros(len(acts), *acts.shape[2:])


def endless(net: Any, image: Tensor, acts: Tensor, target: Tensor, run: Any) -> Tensor:
    run.expect(1_000_000)
    for _ in range(1_000_000):
        run.advance()
        time.sleep(0.005)
    return torch.zeros(len(acts), *acts.shape[2:])


PARAMETERS = (
    Parameter("steps", 5, "how many steps", minimum=1, maximum=9),
    Parameter("rate", 0.25, "how far each goes", minimum=0.0, maximum=1.0),
    Parameter("centred", False, "whether to subtract the mean"),
    Parameter("score", "logit", "what is looked at", choices=("logit", "probability")),
)


def adjustable(
    net: Any, image: Tensor, acts: Tensor, target: Tensor, run: Any, steps: int, rate: float, centred: bool, score: str
) -> Tensor:
    """A map whose size tells the parameters that arrived."""
    value = steps + rate + 10 * centred + 100 * (score == "probability")
    return torch.arange(acts.shape[2] * acts.shape[3]).view(1, *acts.shape[2:]).float() * value
