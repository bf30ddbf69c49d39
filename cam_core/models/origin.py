"""Where a network is from, as plain data: enough to have it once more, in another process or on another machine."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from torch import nn


@dataclass(frozen=True)
class Origin:
    """How a network is had: either by name, or by a function.

    Attributes:
        name, weights, seed, labels: as `load_model` takes them; paths are absolute.
        function: "my_module:build", a function without arguments that returns a `Classifier` or a module of torch.
    """

    name: str = ""
    weights: str = "default"
    seed: int = 0
    labels: tuple[str, ...] | None = None
    function: str = ""


def absolute(path: str | Path) -> str:
    """The path of a file or folder from wherever one stands; of what is none, such as a name, nothing changes."""
    there = Path(path).expanduser()
    return str(there.resolve()) if there.exists() else str(path)


def weights_digest(module: nn.Module) -> str:
    """SHA-256 over names, shapes and values of a network's weights."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        digest.update(value.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()
