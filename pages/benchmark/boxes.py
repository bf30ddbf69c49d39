"""Where objects are on the photos of a benchmark: no metric of localisation can be had without boxes around them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import streamlit as st

from cam_core.evaluation.sources import survey
from cam_core.files import safe_stem, write_whole
from cam_core.metrics.ground_truth import SAMPLE_BOXES, by_path, read_ground_truth
from cam_core.types import CamError, MetricError
from pages.runtime import compute
from pages.runtime.limits import limits
from pages.shared import links, messages, style

PATH: Final = "benchmark-boxes"
_OURS: Final = ".json"
_FORMS: Final = "a file in the form of the samples’ boxes.json, or ImageNet’s LOC_val_solution.csv"


@dataclass(frozen=True)
class Boxes:
    """What is known to be where.

    Attributes:
        photos: how many of the photos have a box.
        digest: the same for the same boxes.
        written: the file as a command names it.
        ground_truth: a file in the form of the samples' boxes.json.
        annotations: ImageNet's. Neither where a table lists the photos with their boxes.
    """

    photos: int
    digest: str
    written: str
    ground_truth: Path | None = None
    annotations: Path | None = None

    @property
    def bundled(self) -> bool:
        """Whether they come along."""
        return self.ground_truth == SAMPLE_BOXES


def of_samples(names: Sequence[str]) -> Boxes | None:
    """Those that come along."""
    return _checked(SAMPLE_BOXES, SAMPLE_BOXES.parent, names)


def of_table(table: Path, listed: Sequence[str]) -> Boxes | None:
    """Those that a table has of the photos that it lists."""
    return _checked(None, table, listed)


def sent(photos: Path, names: Sequence[str]) -> Boxes | None:
    """A file that the visitor sends; None where there is none yet, or none that can be used, which is then said."""
    file = st.file_uploader(
        "Boxes, where there are any",
        type=["json", "csv"],
        max_upload_size=limits().photo_bytes >> 20,
        key="benchmark-boxes-file",
        help=f"Around the objects, for the metrics of localisation: {_FORMS}.",
    )
    if file is None:
        return None
    content = file.getvalue()
    path = compute.visitor_folder() / "boxes" / hashlib.sha256(content).hexdigest()[:32] / _name(file.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        write_whole(path, lambda draft: draft.write_bytes(content))
    boxes = _checked(path, photos, names)
    return None if boxes is None else replace(boxes, written=path.name)


def _name(name: str) -> str:
    return f"{safe_stem(name, 'boxes')}{Path(name).suffix.lower()}"


def named(photos: Path, names: Sequence[str]) -> Boxes | None:
    """A file, or a folder of XML, of the machine that the app runs on; None as of `sent`."""
    written = st.text_input(
        "Boxes, where there are any",
        **links.kept(PATH),
        placeholder="~/photos/boxes.json",
        help=f"Around the objects, for the metrics of localisation: {_FORMS} or folder of CLS-LOC files in XML.",
    ).strip()
    return _checked(Path(written).expanduser().resolve(), photos, names) if written else None


def _checked(path: Path | None, photos: Path, names: Sequence[str]) -> Boxes | None:
    """Boxes that some of the photos have; None where none has, which is said where a file was given.

    Args:
        path: None for those that a table, which is `photos` then, has itself.
    """
    try:
        boxes = _read(path, photos, tuple(names), _changed(path or photos))
    except CamError as error:
        messages.failure("These boxes cannot be used.", str(error), key=PATH)
        return None
    if boxes.photos:
        return boxes
    if path is not None:
        messages.failure("These boxes cannot be used.", f"{path.name} has none of these photos", key=PATH)
    return None


def _changed(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


@st.cache_data(ttl=60, max_entries=8, scope="session", show_spinner=False)
def _read(path: Path | None, photos: Path, names: tuple[str, ...], changed: int) -> Boxes:
    if path is not None and path.suffix.lower() == _OURS:
        known = by_path(read_ground_truth(path), names)
        count = sum(any(region["boxes"] for region in photo["regions"]) for photo in known.values())
        return Boxes(count, hashlib.sha256(path.read_bytes()).hexdigest(), str(path), ground_truth=path)
    if path is not None and not path.exists():
        raise MetricError(f"there is no {path}")
    source = survey(photos, path)
    return Boxes(
        sum(entry.truth is not None for entry in source.entries), source.digest, str(path or photos), annotations=path
    )


def said(boxes: Boxes | None, count: int, metrics: Sequence[str]) -> str:
    """Whether the metrics that need boxes are offered, and why not, as HTML.

    Args:
        count: of the photos.
        metrics: those that need boxes, by their titles.
    """
    if boxes is not None:
        return style.quiet(
            f"Boxes around objects: on {boxes.photos:,} of {count:,} photos. Metrics that need them have a value where "
            "the class that is explained is one of theirs."
        )
    return style.quiet(
        f"{style.listed(metrics)} need boxes around the objects, and these photos have none: the sample photos have "
        "them, and photos of yours may bring a file of them."
    )
