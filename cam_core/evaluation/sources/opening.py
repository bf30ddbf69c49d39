"""Open whatever holds the images, by what it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from cam_core.evaluation.sources.classes import AnyClass, Classes
from cam_core.evaluation.sources.entries import Source
from cam_core.evaluation.sources.folder import folder_source, zip_source
from cam_core.evaluation.sources.imagenet import annotated, read_synsets
from cam_core.evaluation.sources.places import Place
from cam_core.evaluation.sources.tables import table_source
from cam_core.types import MetricError

TABLES: Final = (".csv", ".parquet")
"""Endings of tables that list images."""


def open_source(
    where: Path | str,
    labels: Sequence[str],
    annotations: Path | str | None = None,
    synsets: Path | str | None = None,
    filesystem: Any = None,
) -> Source:
    """The images to be evaluated, with labels and boxes as far as they are known. No image is read yet.

    Args:
        where: a folder, flat or with a folder per class; a zip of such a one; or a table in CSV or Parquet: see
            `table_source`. A path, or a URI that pyarrow knows.
        labels: of the network's classes.
        annotations: ImageNet's, for a folder or a zip: LOC_val_solution.csv or a folder of CLS-LOC files in XML.
        synsets: LOC_synset_mapping.txt, for networks whose classes are named after some of it.
        filesystem: of `pyarrow.fs`, where these are paths on another one than this machine's.
    Raises:
        MetricError: there is no such thing, no image in it, or it is not fit to be read, for the reason that is told.
        ArchiveError: a zip that is damaged or hostile.
    """
    classes = Classes(labels, None if synsets is None else read_synsets(Place.of(synsets, filesystem)))
    return _opened(
        Place.of(where, filesystem), classes, None if annotations is None else Place.of(annotations, filesystem)
    )


def survey(where: Path | str, annotations: Path | str | None = None) -> Source:
    """The same before there is a network: all boxes are there, of whatever classes, and labels say nothing.

    Raises:
        MetricError, ArchiveError: as of `open_source`.
    """
    return _opened(Place.of(where), AnyClass(), None if annotations is None else Place.of(annotations))


def _opened(place: Place, classes: Classes, annotations: Place | None) -> Source:
    source = _open(place, classes)
    if annotations is None:
        return source
    if source.labelled:
        raise MetricError(
            f"{place.name} has its labels in itself: they cannot be taken from {annotations.path} as well"
        )
    return replace(source, entries=annotated(source.entries, annotations, classes), labelled=True)


def _open(place: Place, classes: Classes) -> Source:
    if place.is_folder:
        return folder_source(place, classes)
    if not place.is_file:
        raise MetricError(f"{place.path} is not a folder, a zip or a table: there is nothing of that name")
    if place.ending == ".zip":
        return zip_source(place, classes)
    if place.ending in TABLES:
        return table_source(place, classes)
    raise MetricError(f"{place.path} is not a folder, a zip (.zip) or a table ({', '.join(TABLES)})")
