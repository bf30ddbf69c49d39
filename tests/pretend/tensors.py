"""Tensors that say they are on "cuda:0" or "mps:0", and are on the CPU."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten

INNER = torch.device("lazy:0")
"""What C++ takes the device for: one that needs no driver and whose backward passes run on the calling thread."""


class Machine(Protocol):
    """Whatever runs operators on pretended tensors."""

    def run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any: ...


class PretendTensor(torch.Tensor):
    """A CPU tensor in disguise; `host` holds the values."""

    host: Tensor
    pretends: torch.device
    machines: ClassVar[dict[str, Machine]] = {}
    """By the type of device, for threads that entered no mode of their own."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, host: Tensor, device: torch.device) -> PretendTensor:
        return torch.Tensor._make_wrapper_subclass(
            cls,
            host.shape,
            strides=host.stride(),
            storage_offset=host.storage_offset(),
            dtype=host.dtype,
            layout=host.layout,
            device=INNER,
            requires_grad=False,
        )

    def __init__(self, host: Tensor, device: torch.device) -> None:
        self.host, self.pretends = host, device

    @property
    def device(self) -> torch.device:
        return self.pretends

    @property
    def is_cuda(self) -> bool:
        return self.pretends.type == "cuda"

    @property
    def is_mps(self) -> bool:
        return self.pretends.type == "mps"

    @property
    def is_cpu(self) -> bool:
        return False

    @property
    def data(self) -> Tensor:
        return self.detach()

    @data.setter
    def data(self, value: PretendTensor) -> None:
        self.host = value.host
        torch.Tensor.data.__set__(self, value)  # type: ignore[attr-defined]

    def __deepcopy__(self, memo: dict[int, Any]) -> PretendTensor:
        if id(self) in memo:
            return memo[id(self)]
        twin = PretendTensor(self.host.detach().clone(memory_format=torch.preserve_format), self.pretends)
        twin.requires_grad_(self.requires_grad)
        if getattr(self, "_is_param", False):
            twin._is_param = True
        memo[id(self)] = twin
        return twin

    def numpy(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            f"can't convert {self.pretends} device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host "
            "memory first."
        )

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        return self.numpy()

    def tolist(self) -> Any:
        return self.detach().cpu().tolist()

    def __repr__(self) -> str:
        return f"PretendTensor({self.host!r}, device='{self.pretends}')"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        device = next(a.pretends for a in tree_flatten((args, kwargs or {}))[0] if isinstance(a, PretendTensor))
        return cls.machines[device.type].run(func, args, kwargs or {})


def host_of(value: Any) -> Any:
    """The CPU tensor behind a pretended one; anything else as it is."""
    return value.host if isinstance(value, PretendTensor) else value
