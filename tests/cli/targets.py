"""A target that a command imports by its name."""

from __future__ import annotations

from torch import Tensor


def margin(logits: Tensor) -> Tensor:
    return logits[:, 0] - logits[:, 4]
