"""The images of an evaluation as a worker has them: read once, and known again without being read."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass

from PIL import Image

from cam_core.declarations.lazy import lazy
from cam_core.evaluation.sources import Entry, Reader
from cam_core.images import load_image
from cam_core.types import CamError, MetricError


@dataclass(frozen=True, slots=True)
class Photo:
    """A file as its source lists it: while none of this changes, its bytes have not.

    Attributes:
        name: its path within the source, with forward slashes.
        size: in bytes; −1 where it is not there.
        changed: when it was last, in nanoseconds, or the checksum that an archive has of it.
    """

    name: str
    size: int
    changed: int

    @classmethod
    def of(cls, entry: Entry) -> Photo:
        """What a source lists, less what it says is on it."""
        return cls(entry.name, entry.size, entry.changed)


class PhotoFile:
    """One file of a source, read once: what is hashed is what is decoded."""

    def __init__(self, reader: Reader, name: str) -> None:
        self.name = name
        self._reader = reader

    @lazy
    def data(self) -> bytes:
        """Its bytes.

        Raises:
            MetricError: it cannot be read.
        """
        return self._reader.read(self.name)

    @lazy
    def sha256(self) -> str:
        """Of the file's bytes, in hexadecimal; empty where they cannot be read."""
        try:
            return hashlib.sha256(self.data).hexdigest()
        except MetricError:
            return ""

    @lazy
    def image(self) -> Image.Image:
        """The image, decoded when first asked for.

        Raises:
            CamError: the file cannot be read, or is no image.
        """
        return load_image(_Named(self.data, self.name))

    @property
    def fit(self) -> bool:
        """Whether there is an image in it."""
        try:
            return bool(self.image)
        except CamError:
            return False


class _Named(io.BytesIO):
    """Bytes that say in messages where they are from."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name
