"""What a source lists: its images with labels and boxes, as plain data, and the reader that has their bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from cam_core.images import EXTENSIONS, upright_size

LARGEST: Final = 256 << 20
"""Bytes that are read of one file at most."""

ENDINGS: Final = tuple(f".{ending}" for ending in EXTENSIONS)


def is_image_name(name: str) -> bool:
    """Whether a file is an image by its ending."""
    return name.lower().endswith(ENDINGS)


class Reader(Protocol):
    """Reads the files of a source by their names. It can be pickled and hashed, for workers elsewhere to read."""

    def read(self, name: str) -> bytes:
        """The bytes of one file.

        Raises:
            MetricError: it is not there, cannot be read, or is larger than `LARGEST`.
        """


@dataclass(frozen=True)
class Entry:
    """One image as its source lists it. While `size` and `changed` stay as they are, so have its bytes.

    Attributes:
        name: its path within the source, with forward slashes.
        size: bytes; −1 where there is no such file.
        changed: when it was changed last, in nanoseconds, or the checksum that an archive has of it.
        label: the index of the class that it shows; None where that is not known, and `problem` says why.
        truth: what is where on it, as an entry of `read_ground_truth`; its "size" is None where nobody has said.
    """

    name: str
    size: int
    changed: int
    label: int | None = None
    problem: str = ""
    truth: Mapping[str, Any] | None = field(default=None, hash=False)


@dataclass(frozen=True)
class Source:
    """The images to be evaluated, in the order of the evaluation, and what has their bytes.

    `labelled` is whether its labels and boxes come from a file, and not from the names of folders.
    """

    reader: Reader
    entries: tuple[Entry, ...]
    labelled: bool = False

    @property
    def digest(self) -> str:
        """SHA-256 of the labels and boxes that a file gave; empty without such a file."""
        if not self.labelled:
            return ""
        told = [(entry.name, entry.label, entry.truth) for entry in self.entries]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def with_size(truth: Mapping[str, Any], data: bytes) -> Mapping[str, Any]:
    """Ground truth that says how large the image is that its boxes are on.

    Args:
        data: the image file, which is asked where nobody has said.
    """
    return truth if truth["size"] is not None else {**truth, "size": list(upright_size(data))}
