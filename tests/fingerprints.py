"""What shows whether a module was left as it was."""

from __future__ import annotations

from typing import Any

from torch import nn


def fingerprint(module: nn.Module) -> tuple[Any, ...]:
    """Everything that a method might leave behind on the user's module."""
    values = {name: value.double().sum().item() for name, value in module.state_dict().items()}
    flags = [(p.requires_grad, p.grad is None, p.dtype, p.device) for p in module.parameters()]
    hooks = [
        (len(part._forward_hooks), len(part._forward_pre_hooks), len(part._backward_hooks), part.training)
        for part in module.modules()
    ]
    return values, flags, hooks, sorted(vars(module))
