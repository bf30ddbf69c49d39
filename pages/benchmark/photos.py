"""The photos of a benchmark: those that come along, a zip, or a folder or table of the machine that the app runs on."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

import streamlit as st

from cam_core import SAMPLES, load_image
from cam_core.evaluation.report.images import ImageScore
from cam_core.evaluation.sources import survey
from cam_core.evaluation.sources.opening import TABLES
from cam_core.images import ASSETS, EXTENSIONS, image_digest
from cam_core.types import CamError, ImageError
from pages.benchmark import boxes
from pages.benchmark.boxes import Boxes
from pages.runtime.limits import limits
from pages.shared import links, messages, photo, style
from pages.shared.scene import Photo

EVALUATION: Final = ASSETS / "eval"
"""The evaluation photos, which come along."""

_GALLERY: Final = ASSETS / "samples"

_BUNDLED, _SAMPLES, _ZIP, _FOLDER = "Evaluation photos", "Sample photos", "Zip", "Folder"
_KEY: Final = "benchmark-photos"
_PATH: Final = "benchmark-folder"


@dataclass(frozen=True)
class PhotoSet:
    """Photos in a folder.

    Attributes:
        folder: that they lie in, or those below it.
        names: their paths within the folder, with forward slashes.
        written: the folder, or the table that lists them, as a command for a shell names it.
        table: that lists them, where one does.
        boxes: where objects are on them; None where nobody has said.
    """

    folder: Path
    names: tuple[str, ...]
    written: str
    table: Path | None = None
    boxes: Boxes | None = None

    @property
    def source(self) -> Path:
        """What `open_source` takes."""
        return self.table or self.folder

    @property
    def asset(self) -> str:
        """The folder of `ASSETS` that they come along in; "" where they do not."""
        return self.folder.name if self.folder in (EVALUATION, _GALLERY) else ""

    def photo(self, score: ImageScore) -> Photo | None:
        """The photo that was evaluated; None where it is not among these, or is another by now.

        The name is looked up, never opened: it may come from a stranger's table.
        """
        if score.image not in self.names:
            return None
        return _photo(self.folder / score.image, score.sha256)


@st.cache_data(max_entries=32, scope="session", show_spinner=False)  # a visitor's photo goes with the visitor
def _photo(path: Path, sha256: str) -> Photo | None:
    try:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != sha256:
            return None
        image = load_image(content)
    except (OSError, ImageError):
        return None
    return Photo(image, image_digest(image), path.name, _credit(path))


def _credit(path: Path) -> str:
    if path.parent == _GALLERY:
        return next((sample.credit for sample in SAMPLES if sample.path == path), "")
    author, licence = _credits().get(path.name, ("", "")) if path.parent == EVALUATION else ("", "")
    return f"{path.stem}. Photo: {author}. {licence}." if author else ""


@cache
def _credits() -> dict[str, tuple[str, str]]:
    with (EVALUATION / "CREDITS.csv").open(encoding="utf-8", newline="") as file:
        return {row["file"]: (row["author"], row["licence"]) for row in csv.DictReader(file)}


def evaluation_photos() -> PhotoSet:
    """Those that come along, and no network was trained on here."""
    return _asset(EVALUATION)


def sample_photos() -> PhotoSet:
    """Those of the gallery, which come along with boxes around their objects."""
    photos = _asset(_GALLERY)
    return replace(photos, boxes=boxes.of_samples(photos.names))


def _asset(folder: Path) -> PhotoSet:
    return _set(folder, f"$(python -c \"from cam_core.images import ASSETS; print(ASSETS / '{folder.name}')\")")


def choose() -> PhotoSet | None:
    """The chosen photos; None where there are none yet, which is then said."""
    folders = limits().folders
    if not folders:
        _close_folder()
    source = st.segmented_control(
        "Photos",
        [_BUNDLED, _SAMPLES, _ZIP, *([_FOLDER] if folders else [])],
        default=_BUNDLED,
        required=True,
        **links.kept(_KEY),
        help=f"{_BUNDLED}: {len(evaluation_photos().names)} photos that come along, which no network was trained on "
        f"here. {_SAMPLES}: the {len(SAMPLES)} of the gallery, with boxes around their objects. {_ZIP}: photos of "
        f"yours.{_FOLDERS if folders else ''}",
    )
    if source == _BUNDLED:
        return evaluation_photos()
    if source == _SAMPLES:
        return sample_photos()
    if source == _ZIP:
        unpacked = photo.from_zip("benchmark", "Photos, in folders or not")
        if unpacked is None:
            return None
        photos = _set(unpacked.folder, unpacked.folder.name)
        return replace(photos, boxes=boxes.sent(photos.folder, photos.names))
    return _named_folder()


_FOLDERS: Final = (
    " Folder: photos on the machine that the app runs on, also in folders within it; or a CSV or Parquet that lists "
    "them, with their boxes."
)


def _named_folder() -> PhotoSet | None:
    named = st.text_input("Folder", **links.kept(_PATH), placeholder="~/photos").strip()
    if not named or not limits().folders:
        return None
    try:
        photos = _at(Path(named).expanduser().resolve())
    except CamError as error:
        messages.failure("These photos cannot be had.", str(error), key=_PATH)
        return None
    st.html(style.quiet(f"{len(photos.names):,} images."))
    return photos if photos.table else replace(photos, boxes=boxes.named(photos.folder, photos.names))


def _at(place: Path) -> PhotoSet:
    """The photos of a folder, or those that a table lists.

    Raises:
        CamError: there are none.
    """
    if place.suffix.lower() in TABLES and place.is_file():
        names = _rows(place, place.stat().st_mtime_ns)
        return PhotoSet(place.parent, names, str(place), place, boxes.of_table(place, names))
    if not place.is_dir():
        raise ImageError(f"{place} is not a folder")
    photos = _set(place, str(place))
    if not photos.names:
        raise ImageError(f"there is no image in {place}")
    return photos


@st.cache_data(ttl=60, max_entries=8, scope="session", show_spinner=False)
def _rows(table: Path, changed: int) -> tuple[str, ...]:
    return tuple(entry.name for entry in survey(table).entries)


def _close_folder() -> None:
    """Say of a link that names a folder why it is not opened."""
    if _PATH in st.query_params or st.query_params.get(_KEY) == _FOLDER:
        links.note(
            "The link names a folder of the machine that the app runs on. Others can reach this app, so no folder is "
            "opened: put the photos into a zip."
        )
        st.query_params.pop(_PATH, None)
    st.query_params.pop(boxes.PATH, None)


def _set(folder: Path, written: str) -> PhotoSet:
    return PhotoSet(folder, _listed(folder), written)


@st.cache_data(ttl=60, max_entries=8, scope="session", show_spinner=False)
def _listed(folder: Path) -> tuple[str, ...]:
    """The images in a folder and those below it, as `evaluate_folder` finds them."""
    paths = (path for path in folder.rglob("*") if path.suffix.lower().lstrip(".") in EXTENSIONS and path.is_file())
    return tuple(sorted(path.relative_to(folder).as_posix() for path in paths))
