"""`models`: the catalogue, and which weights are on this machine."""

from __future__ import annotations

from cam_core.cli.tables import print_table
from cam_core.models.load import CatalogEntry, named_networks
from cam_core.models.trainable.trained import TrainedNetwork
from cam_core.models.zoo.names import is_here

_COLUMNS = ("model", "parameters", "file", "weights", "input", "default layer")
_NOTE = (
    "Any convolutional network of timm works as well, as timm:NAME, any classifier of torchvision by its name, a "
    "network of `train` by the path of its .safetensors file, one of transformers by its folder, and one in an ONNX "
    "file by its path. Weights that are not here are downloaded at first use."
)


def models() -> None:
    """List the networks that are offered by name."""
    rows = [_row(entry, _availability(entry)) for entry in named_networks().values()]
    print_table(_COLUMNS, rows, numeric=("parameters", "file"), whole=("model", "default layer"), note=_NOTE)


def _row(entry: CatalogEntry | TrainedNetwork, availability: str) -> tuple[object, ...]:
    height, width = entry.input_size
    return (
        entry.key,
        f"{entry.parameters / 1e6:.1f} M",
        f"{entry.megabytes:.{0 if entry.megabytes >= 1 else 1}f} MB",
        availability,
        f"{height}×{width}",
        entry.default_layer,
    )


def _availability(entry: CatalogEntry | TrainedNetwork) -> str:
    if isinstance(entry, TrainedNetwork) or entry.source == "bundled":
        return "bundled"
    return "here" if is_here(entry) else "download"
