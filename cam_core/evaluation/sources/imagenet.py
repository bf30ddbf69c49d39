"""ImageNet's labels and boxes: its CLS-LOC annotations in XML, Kaggle's table of them, the names of its classes."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, Final
from xml.etree import ElementTree

from cam_core.evaluation.sources.classes import Classes, is_wnid
from cam_core.evaluation.sources.entries import Entry
from cam_core.evaluation.sources.places import Place
from cam_core.evaluation.sources.tables import fit_box
from cam_core.types import MetricError

_KAGGLE: Final = ["ImageId", "PredictionString"]
_LARGEST_XML: Final = 1 << 20  # bytes
_LARGEST_TABLE: Final = 1 << 28
_DEVKIT: Final = re.compile(rb"\s*\d{1,4}(\s+\d{1,4})*\s*")


@dataclass(frozen=True)
class Annotation:
    """What is on one image: a wnid, or another name of a class, and a box for each object.

    Boxes are as they are written: (left, top, right, bottom) in pixels, as bounds, of an image of `size` (width,
    height), which Kaggle's table does not say. Those without an area, of which ImageNet has a few, are left out.
    """

    objects: tuple[tuple[str, tuple[float, ...]], ...]
    size: tuple[int, int] | None = None


def read_synsets(place: Place) -> dict[str, str]:
    """WordNet number → names of the class, of a file such as Kaggle's LOC_synset_mapping.txt: one class per line.

    Raises:
        MetricError: no such file, or a line that does not begin with a WordNet number.
    """
    synsets = {}
    for number, line in enumerate(_text(place).splitlines(), 1):
        wnid, _, names = line.strip().partition(" ")
        if wnid and not (is_wnid(wnid) and names.strip()):
            raise MetricError(f"line {number} of {place.name} is no 'n01440764 tench, Tinca tinca': {line[:60]!r}")
        if wnid:
            synsets[wnid] = names.strip()
    return synsets


def annotated(entries: Iterable[Entry], place: Place, classes: Classes) -> tuple[Entry, ...]:
    """Images with the labels and boxes that a file has of them, which knows them by their names without ending.

    Args:
        place: LOC_val_solution.csv, or a folder of XML files, also in subfolders.
    Raises:
        MetricError: neither of these. The numbers of ILSVRC2012_validation_ground_truth.txt are in an order of their
            own: taken for the network's classes, they would be wrong, and nobody would see it.
    """
    images = list(entries)
    known = _read_folder(place, images) if place.is_folder else _read_file(place)
    if not any(_stem(image) in known for image in images):
        raise MetricError(f"{place.name} has none of these images, such as {_stem(images[0])}")
    return tuple(_told(image, known.get(_stem(image)), classes) for image in images)


def _read_file(place: Place) -> Mapping[str, Annotation]:
    text = _text(place)
    if _DEVKIT.fullmatch(text.encode()):
        raise MetricError(
            f"{place.name} numbers the classes, and so does ImageNet's development kit, in an order that is not the "
            "network's: its class 1 is no tench. Give Kaggle's LOC_val_solution.csv or the CLS-LOC annotations, which "
            "name the classes"
        )
    try:
        rows = list(csv.reader(io.StringIO(text)))
    except csv.Error as error:
        raise MetricError(f"{place.name} cannot be read as a table: {error}") from None
    if not rows or rows[0] != _KAGGLE:
        raise MetricError(f"{place.name} is neither a folder of XML files nor a table {', '.join(_KAGGLE)}")
    return {row[0]: _of_row(row, place.name, number) for number, row in enumerate(rows[1:], 2) if row}


def _of_row(row: list[str], table: str, number: int) -> Annotation:
    """ "n03995372 85 1 499 272 n03481172 …" """
    words = row[1].split() if len(row) == len(_KAGGLE) else [""]
    try:
        objects = [(words[at], [float(word) for word in words[at + 1 : at + 5]]) for at in range(0, len(words), 5)]
        if not objects or not all(is_wnid(name) and len(box) == 4 for name, box in objects):
            raise ValueError
    except ValueError:
        raise MetricError(
            f"line {number} of {table} is no image with wnids and boxes, such as 'n03995372 85 1 499 272'"
        ) from None
    return Annotation(tuple((name, tuple(box)) for name, box in objects))


def _read_folder(place: Place, images: Iterable[Entry]) -> Mapping[str, Annotation]:
    """Of the images alone: a folder of all ImageNet has more than half a million files."""
    wanted = {_stem(image) for image in images}
    files = (file.name for file in place.files() if PurePosixPath(file.name).suffix.lower() == ".xml")
    return {PurePosixPath(n).stem: _of_xml(place, n) for n in files if PurePosixPath(n).stem in wanted}


def _of_xml(place: Place, name: str) -> Annotation:
    data = place.read(name, _LARGEST_XML)
    try:
        if b"<!DOCTYPE" in data or b"<!ENTITY" in data:  # ImageNet's have none; entities can unfold to gigabytes
            raise ValueError("it declares entities")
        root = ElementTree.fromstring(data)
        size = tuple(int(_word(root, f"size/{side}")) for side in ("width", "height"))
        return Annotation(tuple(_objects(root)), (size[0], size[1]) if min(size) > 0 else None)
    except (ElementTree.ParseError, ValueError) as error:
        raise MetricError(f"{name} is no annotation of ImageNet: {error}") from None


def _objects(root: ElementTree.Element) -> Iterator[tuple[str, tuple[float, ...]]]:
    for thing in root.iter("object"):
        corners = tuple(float(_word(thing, f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax"))
        yield _word(thing, "name"), corners


def _word(element: ElementTree.Element, path: str) -> str:
    word = element.findtext(path)
    if word is None or not word.strip():
        raise ValueError(f"no {path}")
    return word.strip()


def _told(image: Entry, annotation: Annotation | None, classes: Classes) -> Entry:
    """An image with the class that all its objects are of, and their boxes."""
    names = [] if annotation is None else list(dict.fromkeys(name for name, _ in annotation.objects))
    if annotation is None or len(names) != 1:
        problem = f"{len(names)} classes are annotated" if names else f"no annotation of {_stem(image)}"
        return replace(image, label=None, problem=problem)
    try:
        label = classes.index(names[0])
    except MetricError as error:
        return replace(image, label=None, problem=str(error))
    return replace(image, label=label, problem="", truth=_truth(annotation, classes.labels[label]))


def _truth(annotation: Annotation, name: str) -> dict[str, Any] | None:
    boxes = []
    for _, box in annotation.objects:
        try:
            boxes.append(fit_box(box))
        except ValueError:
            continue
    size = None if annotation.size is None else list(annotation.size)
    return {"size": size, "regions": [{"classes": [name], "boxes": boxes}]} if boxes else None


def _stem(image: Entry) -> str:
    return PurePosixPath(image.name).stem


def _text(place: Place) -> str:
    try:
        return place.read(most=_LARGEST_TABLE).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise MetricError(f"{place.name} is no text in UTF-8") from None
