"""A folder of images, flat or with a folder per class, and an archive that holds one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Final
from zipfile import ZipFile, ZipInfo

from cam_core.evaluation.sources.classes import Classes
from cam_core.evaluation.sources.entries import LARGEST, Entry, Source, is_image_name
from cam_core.evaluation.sources.places import Place, too_large
from cam_core.images.archives import ArchiveLimits, content, listed
from cam_core.images.files import EXTENSIONS
from cam_core.types import CamError, MetricError

# Of whoever evaluates, and no visitor's: nothing is unpacked but one image at a time, and one that is too large is an
# error of its own. What points out of the archive, links, and what only a bomb has, is refused all the same.
_LIMITS: Final = ArchiveLimits(packed=1 << 38, unpacked=1 << 40, file=1 << 40, files=100_000)


def folder_source(place: Place, classes: Classes) -> Source:
    """The images below a folder, in the order of their paths.

    Raises:
        MetricError: there is no such folder, or no image in it.
    """
    return Source(place, _images(place.files(), classes, str(place.path)))


def zip_source(place: Place, classes: Classes) -> Source:
    """The images in a zip, in the order of their paths. Of two with the same path, the first one counts.

    Raises:
        MetricError: there is no such file, or no image in it.
        ArchiveError: no zip, a damaged or a hostile one: see `unpack_images`.
    """
    with place.opened() as archive:
        files = listed(archive, _LIMITS)
    entries = {str(path): Entry(str(path), entry.file_size, entry.CRC) for path, entry in reversed(files)}
    (zipped,) = place.entries([""])
    return Source(ZipReader(place, zipped.size, zipped.changed), _images(entries.values(), classes, place.path))


def _images(files: Iterable[Entry], classes: Classes, where: str) -> tuple[Entry, ...]:
    images = sorted((file for file in files if is_image_name(file.name)), key=lambda file: file.name.split("/"))
    if not images:
        raise MetricError(f"there is no image in {where}: looked for {', '.join(sorted(EXTENSIONS))}")
    return tuple(_labelled(image, classes) for image in images)


def _labelled(image: Entry, classes: Classes) -> Entry:
    """With the class that the folder it lies in is called after."""
    folder = image.name.rpartition("/")[0].rpartition("/")[2]
    if not folder:
        return replace(image, problem=f"{image.name} lies in no folder that is called after a class")
    try:
        return replace(image, label=classes.index(folder))
    except MetricError as error:
        return replace(image, problem=str(error))


@dataclass(frozen=True)
class ZipReader:
    """Reads out of a zip, which stays open between two images.

    Attributes:
        size, changed: of the zip, so that another one of the same name is another reader.
    """

    place: Place
    size: int
    changed: int

    def read(self, name: str) -> bytes:
        """See `Reader`."""
        opened, entries = _opened(self)
        entry = entries.get(name)
        if entry is None:
            raise MetricError(f"cannot read {name}: the zip has no such file")
        if entry.file_size > LARGEST:
            raise too_large(name, entry.file_size)
        try:
            return content(opened, entry)
        except CamError as error:
            raise MetricError(f"cannot read {name}: {error}") from None


@lru_cache(maxsize=2)
def _opened(reader: ZipReader) -> tuple[ZipFile, dict[str, ZipInfo]]:
    """An open zip and its entries by their paths."""
    opened = ZipFile(reader.place.opened())
    return opened, {_path(entry): entry for entry in reversed(opened.infolist())}


def _path(entry: ZipInfo) -> str:
    return str(PurePosixPath(entry.filename.replace("\\", "/")))
