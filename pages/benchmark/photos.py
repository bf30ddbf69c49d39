"""The photos of a benchmark: those that come along, a zip, or a folder of the machine that the app runs on."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import streamlit as st

from cam_core import load_image
from cam_core.evaluation.report.images import ImageScore
from cam_core.images import ASSETS, EXTENSIONS, image_digest
from cam_core.types import ImageError
from pages.runtime.limits import limits
from pages.shared import links, messages, photo, style
from pages.shared.scene import Photo

EVALUATION: Final = ASSETS / "eval"
"""The evaluation photos, which come along."""

_BUNDLED, _ZIP, _FOLDER = "Evaluation photos", "Zip", "Folder"
_KEY: Final = "benchmark-photos"
_PATH: Final = "benchmark-folder"


@dataclass(frozen=True)
class PhotoSet:
    """A folder of photos.

    Attributes:
        names: their paths within the folder, with forward slashes.
        written: the folder as a command for a shell names it.
    """

    folder: Path
    names: tuple[str, ...]
    written: str

    @property
    def bundled(self) -> bool:
        """Whether they come along."""
        return self.folder == EVALUATION

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
    author, licence = _credits().get(path.name, ("", "")) if path.parent == EVALUATION else ("", "")
    return f"{path.stem}. Photo: {author}. {licence}." if author else ""


@cache
def _credits() -> dict[str, tuple[str, str]]:
    with (EVALUATION / "CREDITS.csv").open(encoding="utf-8", newline="") as file:
        return {row["file"]: (row["author"], row["licence"]) for row in csv.DictReader(file)}


def evaluation_photos() -> PhotoSet:
    """Those that come along."""
    return _set(EVALUATION, "$(python -c \"from cam_core.images import ASSETS; print(ASSETS / 'eval')\")")


def choose() -> PhotoSet | None:
    """The chosen photos; None where there are none yet, which is then said."""
    folders = limits().folders
    if not folders:
        _close_folder()
    source = st.segmented_control(
        "Photos",
        [_BUNDLED, _ZIP, _FOLDER] if folders else [_BUNDLED, _ZIP],
        default=_BUNDLED,
        required=True,
        **links.kept(_KEY),
        help=f"{_BUNDLED}: {len(evaluation_photos().names)} photos that come along, which no network was trained on "
        f"here. {_ZIP}: photos of yours.{_FOLDERS if folders else ''}",
    )
    if source == _BUNDLED:
        return evaluation_photos()
    if source == _ZIP:
        unpacked = photo.from_zip("benchmark", "Photos, in folders or not")
        return _set(unpacked.folder, unpacked.folder.name) if unpacked else None
    return _named_folder()


_FOLDERS: Final = " Folder: photos on the machine that the app runs on, also in folders within it."


def _named_folder() -> PhotoSet | None:
    named = st.text_input("Folder", **links.kept(_PATH), placeholder="~/photos").strip()
    if not named or not limits().folders:
        return None
    folder = Path(named).expanduser().resolve()
    if not folder.is_dir():
        messages.failure("These photos cannot be had.", f"{folder} is not a folder", key=_PATH)
        return None
    photos = _set(folder, str(folder))
    if not photos.names:
        messages.failure("These photos cannot be had.", f"there is no image in {folder}", key=_PATH)
        return None
    st.html(style.quiet(f"{len(photos.names):,} images."))
    return photos


def _close_folder() -> None:
    """Say of a link that names a folder why it is not opened."""
    if _PATH in st.query_params or st.query_params.get(_KEY) == _FOLDER:
        links.note(
            "The link names a folder of the machine that the app runs on. Others can reach this app, so no folder is "
            "opened: put the photos into a zip."
        )
        st.query_params.pop(_PATH, None)


def _set(folder: Path, written: str) -> PhotoSet:
    return PhotoSet(folder, _listed(folder), written)


@st.cache_data(ttl=60, max_entries=8, scope="session", show_spinner=False)
def _listed(folder: Path) -> tuple[str, ...]:
    """The images in a folder and those below it, as `evaluate_folder` finds them."""
    paths = (path for path in folder.rglob("*") if path.suffix.lower().lstrip(".") in EXTENSIONS and path.is_file())
    return tuple(sorted(path.relative_to(folder).as_posix() for path in paths))
