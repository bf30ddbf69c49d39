"""Targets that a command imports by their names."""

from __future__ import annotations

from torch import Tensor


def margin(logits: Tensor) -> Tensor:
    return logits[:, 0] - logits[:, 4]


def all_logits(logits: Tensor) -> Tensor:
    return logits


def fails(logits: Tensor) -> Tensor:
    return logits[:, 0] / (1 // 0)
