"""The networks to choose from: the served one, the catalogue, the trained ones that come along, the visitor's own."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from cam_core import CATALOG
from cam_core.files import write_whole
from cam_core.models.load import CatalogEntry, named_networks
from cam_core.models.trainable.checkpoints import SUFFIX, card_path
from cam_core.models.trainable.trained import TrainedNetwork, find_trained
from cam_core.models.zoo.downloads import sha256_of
from cam_core.models.zoo.names import is_here, official_file
from cam_core.models.zoo.timm_models import PREFIX
from pages.runtime import compute, served
from pages.runtime.compute import ModelSpec
from pages.shared.networks.kept import FOLDER, ONNX, Kept, kept

BUNDLED = next(key for key, entry in CATALOG.items() if entry.source == "bundled")
"""The model whose weights come with the installation: what every way out of a failure leads back to."""

_LINES = "_model_lines"
_OWN = "mine-"
_ROOM = 30  # letters that a closed picker shows
_SERVED = "served"


@dataclass(frozen=True)
class Offer:
    """One network of the picker.

    Attributes:
        key: stands in the link.
        name: what `load_model` takes.
        title: what people call it.
        line: as it is read in the picker.
        note: family, size, and where the weights come from.
        data: what it was trained on, where that is known: "digits", say.
        weights, labels: as `load_model` takes them.
        fixed: whether there is no untrained one to be had of it.
        device: where it lives, of a network that stays there whatever is chosen.
    """

    key: str
    name: str
    title: str
    line: str
    note: str
    data: str = ""
    weights: str = "default"
    labels: tuple[str, ...] = ()
    fixed: bool = False
    device: str = ""

    @property
    def whole(self) -> str:
        """The note, after the name where a closed picker has no room for it."""
        return self.note if len(self.title) <= _ROOM or self.title in self.note else f"{self.title}: {self.note}"


def offers() -> dict[str, Offer]:
    """All networks by key: the served one where there is one, then the bundled one first."""
    return _served() | {key: _named(key, entry) for key, entry in named_networks().items()} | _own() | _brought()


def opening() -> str:
    """The key of the network that the app opens with."""
    return _SERVED if served.name() else BUNDLED


def _served() -> dict[str, Offer]:
    name = served.name()
    if not name:
        return {}
    title, device = served.title(name), str(compute.classifier(ModelSpec(name)).device)
    note = f"{name}, served by this machine, on {device}"
    return {_SERVED: Offer(_SERVED, name, title, title, note, fixed=True, device=device)}


def _brought() -> dict[str, Offer]:
    """Networks that the visitor has named or uploaded in this visit."""
    return {network.key: _of_kept(network) for network in kept()}


def _of_kept(network: Kept) -> Offer:
    size = f"{network.parameters / 1e6:.1f} M weights"
    if network.key.startswith(FOLDER):
        title = Path(network.name).name
        note = f"{title}, {network.classes:,} classes, its own labels · read from a folder of this machine"
        return Offer(network.key, network.name, title, f"{title} · {size}", note, fixed=True)
    named = "your labels" if network.labels else "without labels of its own"
    classes = "one output" if network.classes == 1 else f"{network.classes:,} classes"
    if network.key.startswith(ONNX):
        line, note = f"{network.file} · {size}", f"{classes}, {named} · ONNX file, uploaded in this visit"
        return Offer(network.key, network.name, network.file, line, note, labels=network.labels, fixed=True)
    if network.weights == "default":
        title = network.name.removeprefix(PREFIX)
        return Offer(network.key, network.name, title, f"{title} · {size}", f"timm, by name · {_whence(network.name)}")
    return Offer(
        network.key,
        network.name,
        network.file,
        f"{network.file} · {network.name.removeprefix(PREFIX)}",
        f"{network.name}, {classes}, {named} · uploaded in this visit",
        weights=network.weights,
        labels=network.labels,
    )


def _whence(name: str) -> str:
    file = official_file(name)
    if not file.source:
        return "timm has no trained weights of it: random ones are a control"
    return f"weights {'on this machine' if file.here else 'downloaded when first used'}"


def _named(key: str, entry: CatalogEntry | TrainedNetwork) -> Offer:
    if isinstance(entry, TrainedNetwork):
        return _offer(key, entry, "comes along")
    size = f"{entry.megabytes:.0f} MB"
    if entry.source == "bundled":
        origin, line = "come with the installation", "comes along"
    elif is_here(entry):
        origin, line = "are on this machine", f"{size}, here"
    else:
        origin, line = "are downloaded when first used, which takes a network connection", f"download {size}"
    note = f"{entry.family} family · its {entry.parameters / 1e6:.1f} M weights ({size}) {origin}"
    return Offer(key, key, entry.title, _line_of_visit(key, f"{entry.title} · {line}"), note)


def _line_of_visit(key: str, line: str) -> str:
    """As it was first read in this visit: a box whose options change their words forgets which one was chosen."""
    lines: dict[str, str] = st.session_state.setdefault(_LINES, {})
    return lines.setdefault(key, line)


def _own() -> dict[str, Offer]:
    """Networks that the visitor has trained in this visit."""
    paths = sorted(own_folder().glob(f"*{SUFFIX}"), key=lambda path: path.stat().st_mtime)
    return {path.stem: _offer(path.stem, find_trained(str(path)), "trained in this visit") for path in paths}


def _offer(key: str, network: TrainedNetwork, origin: str) -> Offer:
    height, width = network.input_size
    accuracy = network.card["accuracy"]
    right = f" · {accuracy:.1%} right" if isinstance(accuracy, float) else ""
    return Offer(
        key,
        network.key,
        network.title,
        f"{network.title}{right}",
        f"{network.parameters / 1e6:.2f} M weights, {origin} · sees {height} × {width} pixels",
        str(network.card["data"]),
    )


def keep(checkpoint: Path, folder: Path) -> str:
    """Put a copy of a checkpoint among the visitor's networks, where later epochs do not change it; its key.

    Args:
        folder: `own_folder()`, which only the page's own thread can ask for.
    """
    network = find_trained(str(checkpoint))
    key = f"{_OWN}{network.arch}-{sha256_of(checkpoint)[:6]}"
    target = folder / f"{key}{SUFFIX}"
    shutil.copyfile(card_path(checkpoint), card_path(target))
    # Last, and at once: a network is there when its weights are, also for the visitor's other tabs.
    write_whole(target, lambda draft: shutil.copyfile(checkpoint, draft))
    return key


def own_folder() -> Path:
    """Where the visitor's own networks lie."""
    folder = compute.visitor_folder() / "networks"
    folder.mkdir(exist_ok=True)
    return folder
