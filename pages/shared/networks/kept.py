"""The visitor's own networks on disk: a record for each, and beside it the checkpoint if it was uploaded.

A record is there when its network can be loaded: what is wrong with a file is said before anything is kept.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from cam_core.files import fill_whole, safe_stem, write_whole
from cam_core.models.brought.folder import WEIGHTS, check_folder
from cam_core.models.brought.onnx_file import ENDING
from cam_core.models.load import classes_of, find_network, load_model
from cam_core.models.zoo.foreign import read_foreign
from cam_core.models.zoo.labels import read_labels
from cam_core.models.zoo.names import count_parameters
from cam_core.models.zoo.weights import UnfitError
from cam_core.types import ModelError, WeightsError
from pages.runtime import compute
from pages.runtime.limits import limits

UPLOADED: Final = "upload-"
"""Begins the key of an uploaded network, which goes on with its architecture and its checksum."""
FOLDER: Final = "folder:"
"""Begins the key of a network in a folder of the machine, which goes on with the folder's path."""
ONNX: Final = "onnx-"
"""Begins the key of an uploaded ONNX file, which goes on with the name that it is kept under and its checksum."""

_RECORD: Final = "network.json"


@dataclass(frozen=True)
class Kept:
    """One network of the visitor's own.

    Attributes:
        key: stands in the link.
        name: what `load_model` takes; of a folder or an ONNX file, its path.
        parameters: how many weights.
        weights: the path of the uploaded checkpoint, or "default".
        labels: one for each class; empty where none came with it.
    """

    key: str
    name: str
    parameters: int
    weights: str = "default"
    labels: tuple[str, ...] = ()
    classes: int = 0

    @property
    def file(self) -> str:
        """The name of the uploaded checkpoint or ONNX file."""
        return Path(self.name if self.key.startswith(ONNX) else self.weights).name


def kept() -> list[Kept]:
    """The networks of this visit, in the order in which they came; in folders and of ONNX only where these may be."""
    return [network for network in _all() if limits().folders or not network.key.startswith((FOLDER, ONNX))]


def _all() -> list[Kept]:
    records = sorted(_folder().glob(f"*/{_RECORD}"), key=lambda path: path.stat().st_mtime_ns)
    return [_read(record) for record in records]


def keep_named(name: str) -> str:
    """Keep a network that timm knows as `name`, "timm:resnet18.a1_in1k"; its key, which is the name.

    Raises:
        ModelError: none that can be explained here.
    """
    if name not in {network.key for network in kept()}:
        _check(name)
        find_network(name)
        _write(Kept(name, name, count_parameters(name)))
    return name


def keep_uploaded(data: bytes, file: str, name: str, labels: bytes | None = None) -> str:
    """Keep a checkpoint that was uploaded as weights of the architecture `name`; its key.

    Args:
        file: its name, as a stranger has chosen it.
        labels: a text, one label per line.
    Raises:
        ModelError, WeightsError: it cannot be read or explained, or does not fit.
    """
    key = f"{UPLOADED}{name}-{_digest(data, labels)}"
    if key not in {network.key for network in kept()}:
        _check(name)
        fill_whole(_place(key), lambda place: _upload(data, place / _safe(file), key, name, labels))
    return key


def keep_folder(path: str) -> str:
    """Keep the network in a folder of this machine, as transformers saves it; its key.

    Raises:
        ModelError, WeightsError: it cannot be read or explained; or no folder of the machine may be named.
    """
    if not limits().folders:
        raise ModelError("others can reach this app, so no folder of the machine that it runs on is opened")
    folder = Path(path.strip()).expanduser().resolve()
    key = f"{FOLDER}{folder}"
    if key not in {network.key for network in kept()}:
        check_folder(folder)
        _check_size(folder.name, (folder / WEIGHTS).stat().st_size)
        clf = load_model(str(folder), device="cpu")
        parameters = sum(weight.numel() for weight in clf.module.parameters())
        _write(Kept(key, str(folder), parameters, classes=clf.classes))
    return key


def keep_onnx(data: bytes, file: str, labels: bytes | None = None) -> str:
    """Keep an ONNX file that was uploaded; its key.

    Not where others reach the app: a file says what is computed, and that could be more than any machine has.

    Args:
        file: its name, as a stranger has chosen it.
        labels: a text, one label per line.
    Raises:
        ModelError: it cannot be read, converted or explained; or others can reach the app.
    """
    if not limits().folders:
        raise ModelError("others can reach this app, so no ONNX file is computed with: it could ask for any memory")
    kept_as = f"{safe_stem(file, 'network')}{ENDING}"
    key = f"{ONNX}{kept_as}-{_digest(data, labels)}"
    if key not in {network.key for network in kept()}:
        _check_size(kept_as, len(data))
        fill_whole(_place(key), lambda place: _upload_onnx(data, place, key, kept_as, labels))
    return key


def _upload_onnx(data: bytes, place: Path, key: str, kept_as: str, labels: bytes | None) -> None:
    path = place / kept_as
    path.write_bytes(data)
    clf = load_model(str(path), device="cpu")
    classes = 1 if clf.two_sided else clf.classes
    names = () if labels is None else read_labels(labels, classes)
    parameters = sum(weight.numel() for weight in clf.module.parameters())
    _write(Kept(key, str(path), parameters, labels=names, classes=classes))


def _upload(data: bytes, path: Path, key: str, name: str, labels: bytes | None) -> None:
    most = limits().checkpoint_bytes
    path.write_bytes(data)
    try:
        classes = classes_of(name, read_foreign(path, most), path.name)
    except UnfitError as error:
        raise WeightsError(
            f"these are not weights of {name}: {len(error.missing)} of its weights are not in {path.name}, and "
            f"{len(error.misshapen)} have another shape there; choose the architecture that was trained"
        ) from error
    names = () if labels is None else read_labels(labels, classes)
    _write(Kept(key, name, count_parameters(name), str(path), names, classes))


def _check(name: str) -> None:
    _check_size(name, 4 * count_parameters(name))  # of float32


def _check_size(name: str, size: int) -> None:
    most = limits().network_bytes
    if size > most:
        raise ModelError(
            f"the weights of {name} have {size >> 20:,} MB, and at most {most >> 20:,} MB are computed with here: "
            "choose a smaller one"
        )


def _write(network: Kept) -> None:
    place = _place(network.key)
    place.mkdir(exist_ok=True)
    write_whole(place / _RECORD, lambda draft: draft.write_text(json.dumps(asdict(network)), encoding="utf-8"))
    for oldest in _all()[: -limits().networks]:
        shutil.rmtree(_place(oldest.key))


def _read(record: Path) -> Kept:
    fields = json.loads(record.read_text(encoding="utf-8"))
    return Kept(**fields | {"labels": tuple(fields["labels"])})


def _folder() -> Path:
    folder = compute.visitor_folder() / "brought"
    folder.mkdir(exist_ok=True)
    return folder


def _place(key: str) -> Path:
    return _folder() / hashlib.sha256(key.encode()).hexdigest()[:16]


def _digest(data: bytes, labels: bytes | None) -> str:
    found = hashlib.sha256(data)  # not of both joined: that would copy hundreds of megabytes
    found.update(b"\0" + (labels or b""))
    return found.hexdigest()[:8]


def _safe(file: str) -> str:
    """What a file can be called after a name that a stranger has chosen."""
    return f"{safe_stem(file, 'weights')}{re.sub(r'[^a-z.]', '', Path(file).suffix.lower())}"
