"""Wrappers around a network: what distributes, compiles or averages it and hands images on as they are."""

from __future__ import annotations

from typing import Final

from torch import nn

# Class name → the attribute that holds the network. By name: some come from libraries that may not be here.
_INNER: Final = {
    "DataParallel": "module",
    "DistributedDataParallel": "module",
    "OptimizedModule": "_orig_mod",
    "AveragedModel": "module",
    "ModelEmaV2": "module",
    "ModelEmaV3": "module",
    "_FabricModule": "_forward_module",
}


def opened(module: nn.Module) -> nn.Module:
    """The network inside all wrappers around `module`; the module itself where there are none."""
    name = _inner_name(module)
    return module if name is None else opened(getattr(module, name))


def wraps_inside(module: nn.Module) -> bool:
    """Whether a part of `module` is wrapped."""
    return any(_inner_name(part) is not None for part in module.modules())


def open_inside(module: nn.Module) -> None:
    """Put in place of every wrapped part of `module`, which is not wrapped itself, the part alone."""
    for name, part in list(module.named_children()):
        inner = opened(part)
        if inner is not part:
            setattr(module, name, inner)
        open_inside(inner)


def name_inside(module: nn.Module, layer: str) -> str:
    """A layer's name without the steps that only lead through a wrapper: "module.layer4" is "layer4"."""
    kept: list[str] = []
    current: nn.Module | None = module
    for step in layer.split("."):
        through = current is not None and step == _inner_name(current)
        current = None if current is None else _child(current, step)
        kept += [] if through else [step]
    return ".".join(kept)


def _child(module: nn.Module, step: str) -> nn.Module | None:
    children = dict(module.named_children())
    return children.get(step) or dict(opened(module).named_children()).get(step)


def _inner_name(module: nn.Module) -> str | None:
    names = (_INNER.get(kind.__name__) for kind in type(module).__mro__)
    name = next((name for name in names if name is not None), None)
    return name if name is not None and isinstance(getattr(module, name, None), nn.Module) else None
