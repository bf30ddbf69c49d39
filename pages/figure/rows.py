"""The photos of a figure, which are its rows: the sidebar's first, then others of the gallery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import streamlit as st
from PIL import Image

from cam_core import SAMPLES
from cam_core.figures import Shown
from cam_core.images import image_digest, sample
from pages.figure.widgets import several
from pages.shared import links, style
from pages.shared.scene import Scene
from pages.shared.targets.words import names_classes_alone, written

_BESIDE: Final = ("panda", "chelsea")  # what stands below the sidebar's photo at first: the first that is another
_MOST: Final = 8
_LONGEST: Final = 120  # letters of a title
_EDGES: Final = (("Left edge", "left", 0.35), ("Upper edge", "top", 0.25))  # of an enlarged part, at first

_OF_THE_PHOTO: Final = "Share of what is shown of the photo: of its width, and from above of its height."


@dataclass(frozen=True)
class RowPhoto:
    """A photo as a row of the figure.

    Attributes:
        name: as it stands in the spec: of the gallery its key, of the visitor's own its file's name.
    """

    name: str
    title: str
    image: Image.Image
    digest: str


def photos(seen: Scene) -> list[RowPhoto]:
    """The rows from top to bottom."""
    first = _of_sidebar(seen)
    names = {photo.title: photo.key for photo in SAMPLES if photo.key != first.name}
    titles = {name: title for title, name in names.items()}
    chosen = several(
        "photos",
        "More photos, one per row",
        list(names),
        [titles[name] for name in _BESIDE if name in titles][:1],
        most=_MOST - 1,
        placeholder="One row alone",
        help="The first row is the sidebar’s photo: of the gallery, or your own. These stand below it.",
    )
    return [first, *(_of_gallery(names[title], title) for title in chosen)]


def _of_sidebar(seen: Scene) -> RowPhoto:
    photo = seen.photo
    keys = {entry.title: entry.key for entry in SAMPLES} if photo.source == "gallery" else {}
    return RowPhoto(keys.get(photo.title, photo.title), photo.title, photo.image, photo.digest)


def _of_gallery(name: str, title: str) -> RowPhoto:
    image, digest = _opened(name)
    return RowPhoto(name, title, image, digest)


@st.cache_data(max_entries=32, show_spinner=False)
def _opened(name: str) -> tuple[Image.Image, str]:
    image = sample(name).open()
    return image, image_digest(image)


def details(seen: Scene, photos: Sequence[RowPhoto], *, classes: bool) -> tuple[Shown, ...]:
    """What is asked of each row, and how it is shown.

    Args:
        classes: whether the rows say which class is explained.
    """
    with st.expander("Rows: class, title, an enlarged part", icon=":material/table_rows:"):
        return tuple(_row(seen, photo, row, classes) for row, photo in enumerate(photos, 1))


def _row(seen: Scene, photo: RowPhoto, row: int, classes: bool) -> Shown:
    with st.container(horizontal=True, vertical_alignment="bottom", key=f"figure-row-{row}"):
        title = st.text_input(
            f"Title of row {row}", max_chars=_LONGEST, placeholder=photo.title, width=170, **links.kept(f"title-{row}")
        )
        target = _class(seen, photo, row) if classes else None
        zoom = _zoom(row)
    return Shown(photo.name, target, title.strip(), zoom, photo.digest)


def _class(seen: Scene, photo: RowPhoto, row: int) -> int | str | None:
    """The index of a class; None for the most probable one. What the first row is asked is the sidebar's."""
    if row == 1:
        return _of_sidebar_asked(seen)
    labels = seen.classifier.labels
    index = links.choice(
        f"class-{row}",
        f"Class of row {row}",
        {"": "The most probable"} | {str(index): label for index, label in enumerate(labels)},
        default="",
        scope=f"{seen.question.model.name}|{photo.name}",
        width=200,
        help="Of the first row it is the class that the sidebar explains.",
    )
    return int(index) if index else None


def _of_sidebar_asked(seen: Scene) -> int | str | None:
    target = seen.question.target
    if not names_classes_alone(target):
        st.html(style.quiet("A figure’s spec names classes alone: row 1 explains the most probable one."))
        return None
    return target if isinstance(target, int) else written(target)


def _zoom(row: int) -> tuple[float, float, float] | None:
    """Left, top and side of the part that is enlarged, inside the frame."""
    if not st.toggle(f"Enlarge a part of row {row}", **links.kept(f"zoom-{row}")):
        return None
    left, top = (
        st.slider(
            f"{what}, row {row}",
            0.0,
            0.9,
            first,
            0.01,
            format="percent",
            width=150,
            help=_OF_THE_PHOTO,
            **links.kept(f"zoom-{name}-{row}"),
        )
        for what, name, first in _EDGES
    )
    side = st.slider(
        f"Side, row {row}", 0.1, 0.4, 0.25, 0.01, format="percent", width=150, help=_OF_THE_PHOTO,
        **links.kept(f"zoom-side-{row}"),
    )  # fmt: skip
    furthest = round(1 - side, 2)
    return min(left, furthest), min(top, furthest), side
