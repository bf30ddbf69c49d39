"""Weights that a stranger has sent: read without running code, within bounds, or refused with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import torch
from torch import Tensor

from cam_core.models.zoo.weights import StateDict, read_state_dict
from cam_core.types import WeightsError

_SAFE: Final = ".safetensors"
ENDINGS: Final = (_SAFE, ".pt", ".pth", ".bin")
"""Of the files that are read: safetensors, and state dicts as `torch.save` writes them."""

_KINDS: Final = {torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.int32}


def read_foreign(path: Path, most: int) -> StateDict:
    """The weights in a file, if they and the file have at most `most` bytes.

    Raises:
        WeightsError: another ending, too large, packed, damaged, or more than plain tensors in it.
    """
    if path.suffix not in ENDINGS:
        raise WeightsError(f"{path.name} has another ending than {', '.join(ENDINGS)}")
    size = path.stat().st_size
    if size > most:
        raise WeightsError(f"{path.name} has {_megabytes(size)}; at most {_megabytes(most)} are read")
    if path.suffix != _SAFE:
        _check_stored(path, most)
    try:
        state = read_state_dict(path)
    except (RecursionError, MemoryError) as error:  # a file can be made to bring about either
        raise WeightsError(f"{path.name} holds no state dict that can be read") from error
    _check_plain(state, path.name, most)
    return state


def _check_stored(path: Path, most: int) -> None:
    """As `torch.save` writes it: what is packed or listed twice could be far larger than the file."""
    try:
        with ZipFile(path) as archive:
            entries = archive.infolist()
    except (BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise WeightsError(
            f"{path.name} is damaged, or was not written by torch.save of torch 1.6 or later ({error})"
        ) from error
    unpacked = sum(entry.file_size for entry in entries)
    if any(entry.compress_type != ZIP_STORED for entry in entries) or unpacked > most:
        raise WeightsError(f"{path.name} is packed, which torch.save does not do: it is not read")


def _check_plain(state: StateDict, file: str, most: int) -> None:
    odd = [name for name, value in state.items() if not _is_plain(value)]
    if odd:
        raise WeightsError(f"{file} holds other weights than floating-point numbers in plain tensors, such as {odd[0]}")
    # A view can repeat one number for ever.
    size = sum(value.numel() * value.element_size() for value in state.values())
    if size > most:
        raise WeightsError(f"the weights in {file} have {_megabytes(size)}; at most {_megabytes(most)} are read")


def _is_plain(value: Tensor) -> bool:
    return value.layout == torch.strided and value.device.type == "cpu" and value.dtype in _KINDS


def _megabytes(size: int) -> str:
    return f"{size / (1 << 20):,.1f} MB"
