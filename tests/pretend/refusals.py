"""What the real devices refuse, in their own words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.pretend.tensors import PretendTensor

DOUBLE = (torch.float64, torch.complex128)

# What the installed torch has on Apple's GPU, but the oldest supported release had not.
MISSING_BEFORE = ("unique_dim", "_linalg_eigh", "col2im")

_NO_DOUBLE = (
    "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64. "
    "Please use float32 instead."
)
_INDEXING = ("index", "index_put", "_index_put_impl_", "index_put_", "_unsafe_index", "_unsafe_index_put")
_ACROSS_DEVICES = ("copy_", "_to_copy", "_copy_from", "set_")
# They take no scalar of another device either.
_STRICT = ("cat", "stack", "gather", "scatter", "scatter_", "scatter_add", "scatter_add_", "scatter_reduce")
_BATCH_NORMS = ("native_batch_norm", "_native_batch_norm_legit_no_training")


def refuse_foreign(func: Any, args: tuple[Any, ...], foreign: Sequence[Tensor], device: torch.device) -> None:
    """A device's tensors and the CPU's do not mix; but an index may come from the CPU, and so may a scalar."""
    name = name_of(func)
    if not foreign or name in _ACROSS_DEVICES:
        return
    mixed = f"Expected all tensors to be on the same device, but found at least two devices, {device} and cpu! ({name})"
    if name in _INDEXING:
        _refuse_indexing(args, mixed)
    elif any(value.ndim for value in foreign) or name in _STRICT or any(is_cpu(value) for value in written(func, args)):
        raise RuntimeError(mixed)


def _refuse_indexing(args: tuple[Any, ...], mixed: str) -> None:
    if is_cpu(args[0]):
        raise RuntimeError("indices should be either on cpu or on the same device as the indexed tensor (cpu)")
    if len(args) > 2 and is_cpu(args[2]) and args[2].ndim:
        raise RuntimeError(mixed)


def refuse_generator(kwargs: dict[str, Any], device: torch.device) -> None:
    """A draw on the device takes the device's generator."""
    generator = kwargs.get("generator")
    if generator is not None and generator.device.type == "cpu":
        raise RuntimeError(f"Expected a '{device.type}' device type for generator but found 'cpu'")


def refuse_on_mps(func: Any, kwargs: dict[str, Any], tensors: Sequence[Tensor], place: str, old: bool) -> None:
    """Apple's GPU has no float64, lacks some operators, and where torch is old aborts in a batch norm of two dtypes."""
    name = name_of(func)
    moved = name == "_to_copy" and kwargs.get("dtype") is None and bool(tensors) and tensors[0].dtype in DOUBLE
    if place == "device" and (kwargs.get("dtype") in DOUBLE or moved):
        refuse_double()
    if name == "_to_copy" and place == "cpu" and kwargs.get("dtype") in DOUBLE:
        raise RuntimeError("Undefined type Double")  # torch 2.14 says nothing and writes zeros
    if (old and name in MISSING_BEFORE) or not _has_mps_kernel(func):
        raise NotImplementedError(f"The operator 'aten::{name}' is not currently implemented for the MPS device.")
    if name == "convolution" and any(_is_channels_last(value) for value in tensors):
        raise RuntimeError("channels-last: the real device is silently wrong, or aborts")
    if name in _BATCH_NORMS and old and len({value.dtype for value in tensors}) > 1:
        raise SystemError("LLVM ERROR: Failed to infer result type(s): the process aborts")


def refuse_double() -> None:
    """Raise what torch raises."""
    raise TypeError(_NO_DOUBLE)


def _is_channels_last(value: Tensor) -> bool:
    return value.ndim == 4 and not value.is_contiguous() and value.is_contiguous(memory_format=torch.channels_last)


def is_cpu(value: Any) -> bool:
    """Whether this is a tensor that the device does not hold."""
    return isinstance(value, Tensor) and not isinstance(value, PretendTensor)


def name_of(func: Any) -> str:
    """ "add" for aten::add.Tensor."""
    return str(func._schema.name.removeprefix("aten::"))


def written(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> list[Any]:
    """The arguments that an operator writes into."""
    options = kwargs or {}
    named = dict(zip((argument.name for argument in func._schema.arguments), args, strict=False)) | options
    return [
        named[argument.name]
        for argument in func._schema.arguments
        if argument.alias_info is not None and argument.alias_info.is_write and argument.name in named
    ]


def _has_mps_kernel(func: Any) -> bool:
    kernels = _mps_kernels()
    overload = func._schema.overload_name
    name = name_of(func)
    full = f"{name}.{overload}" if overload else name
    # The variants in place and with an output are generated from the operator itself.
    alike = {full, name.rstrip("_"), f"{name.rstrip('_')}.{overload}"}
    return func.namespace != "aten" or not alike.isdisjoint(kernels)


@cache
def _mps_kernels() -> frozenset[str]:
    """Full names of the operators that run on Apple's GPU in the installed torch, which says so in a file."""
    import torchgen
    import yaml

    file = Path(torchgen.__file__).parent / "packaged" / "ATen" / "native" / "native_functions.yaml"
    entries = {entry["func"].split("(")[0]: entry for entry in yaml.safe_load(file.read_text(encoding="utf-8"))}
    kernels = {name for name, entry in entries.items() if _runs_on_mps(entries[entry.get("structured_delegate", name)])}
    generated = {f"{name}.out" for name in kernels if entries[name].get("autogen")}
    return frozenset(kernels | generated)


def _runs_on_mps(entry: dict[str, Any]) -> bool:
    if "dispatch" not in entry:
        return True  # made of others
    keys = {key.strip() for joined in entry["dispatch"] for key in joined.split(",")}
    return "MPS" in keys or any(key.startswith("Composite") for key in keys)
