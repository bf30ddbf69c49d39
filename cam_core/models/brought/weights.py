"""A private copy with plain float32 weights, where dtypes, parametrisations, wrapped parts or hooks need one."""

from __future__ import annotations

from itertools import chain

import torch
from torch import nn
from torch.nn.utils import parametrize

from cam_core.models.brought.wrappers import open_inside, wraps_inside
from cam_core.models.noise import InputSize
from cam_core.models.split.hooks import carries_hooks
from cam_core.models.split.tracing import private_copy


def with_plain_weights(module: nn.Module, input_size: InputSize) -> nn.Module:
    """The module itself where its weights are plain; a private copy otherwise.

    In the copy, weights of any floating dtype are float32, parametrisations and pruning are baked in, wrapped parts are
    opened, and of the hooks those are left that change what the network computes.

    Args:
        input_size: of the noise with which hooks are tried: see `private_copy`.
    """
    if not (_in_other_dtypes(module) or _is_parametrised(module) or wraps_inside(module) or carries_hooks(module)):
        return module
    duplicate = private_copy(module, input_size)
    open_inside(duplicate)
    _bake(duplicate)
    return duplicate.float()


def _in_other_dtypes(module: nn.Module) -> bool:
    values = chain(module.parameters(), module.buffers())
    return any(value.is_floating_point() and value.dtype != torch.float32 for value in values)


def _is_parametrised(module: nn.Module) -> bool:
    return any(parametrize.is_parametrized(part) for part in module.modules())


def _bake(module: nn.Module) -> None:
    """Make the weights that parametrisations make, once; the copy's class goes back to what it was before them.

    Torch's own `remove_parametrizations` would change that class, which the original shares.
    """
    for part in list(module.modules()):
        made = getattr(part, "parametrizations", None)
        if not isinstance(made, nn.ModuleDict):
            continue
        weights = {name: getattr(part, name).detach().clone() for name in made}
        del part.parametrizations
        part.__class__ = type(part).__bases__[0]
        for name, weight in weights.items():
            part.register_parameter(name, nn.Parameter(weight, requires_grad=False))
