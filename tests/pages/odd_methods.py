"""Methods that fail, never end, or say what they were given."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from cam_core.declarations.parameters import Parameter
from cam_core.types import MethodError


def broken(net: Any, image: Tensor, acts: Tensor, target: Tensor, run: Any) -> Tensor:
    raise MethodError("the *tail* has no [0] to divide by")


def surprised(net: Any, image: Tensor, acts: Tensor, target: Tensor, run: Any) -> Tensor:
    raise ZeroDivisionError("nobody foresaw this")


def zero(net: Any, image: Tensor, acts: Tensor, target: Tensor, run: Any) -> Tensor:
    return torch.zeros(len(acts), *acts.shape[2:])


def below_zero(net: Any, image: Tensor, acts: Tensor, target: Tensor, run: Any) -> Tensor:
    return -1 - torch.arange(acts[0, 0].numel(), dtype=acts.dtype).reshape(1, *acts.shape[2:]).expand(len(acts), -1, -1)


def endless(net: Any, image: Tensor, acts: Tensor, target: Tensor, run: Any) -> Tensor:
    run.expect(1_000_000)
    for _ in range(1_000_000):
        run.advance()
        time.sleep(0.005)
    return torch.zeros(len(acts), *acts.shape[2:])


def adjustable(
    net: Any,
    image: Tensor,
    acts: Tensor,
    target: Tensor,
    run: Any,
    steps: Annotated[int, Parameter("how many steps", low=1, high=9)] = 5,
    rate: Annotated[float, Parameter("how far each goes", low=0, high=1)] = 0.25,
    centred: Annotated[bool, Parameter("whether to subtract the mean")] = False,
    score: Annotated[Literal["logit", "probability"], Parameter("what is looked at")] = "logit",
) -> Tensor:
    """A map whose size tells the parameters that arrived."""
    value = steps + rate + 10 * centred + 100 * (score == "probability")
    return torch.arange(acts.shape[2] * acts.shape[3]).view(1, *acts.shape[2:]).float() * value
