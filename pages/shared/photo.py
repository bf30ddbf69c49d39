"""Where the photo comes from: gallery, upload or camera. A bad file is answered, and what was there stays."""

from __future__ import annotations

import base64
import io

import streamlit as st
from PIL import Image

from cam_core import SAMPLES, load_image
from cam_core.images import EXTENSIONS, image_digest, sample
from cam_core.training.digits import gallery_digits
from cam_core.types import ImageError
from pages.shared import links, messages, style
from pages.shared.scene import Photo

_LAST = "_photo"
_MAX_MEGABYTES = 25
_THUMBNAIL = 96  # pixels
_DIGITS = "digits"
_DIGIT = "digit-"
_DIGITS_CREDIT = "MNIST, CC BY-SA 3.0, on a photo of this gallery’s kind; no network was trained on it."


def photo_picker(*, digits: bool = False) -> Photo:
    """The photo to explain; the last good one as long as no other has been chosen.

    Args:
        digits: open the gallery with digits, for a network that knows nothing else.
    Raises:
        ImageError: there is no gallery, and nothing has been uploaded yet.
    """
    source = st.segmented_control(
        "Photo", ["Gallery", "Upload", "Camera"], default="Gallery", required=True, width="stretch", key="source"
    )
    # A place of its own for each: what stood in the other would be shown in the wrong place until the run ends.
    gallery, file = st.container(), st.container()
    if source == "Gallery":
        with gallery:
            photo = _from_gallery(digits)
    else:
        with file:
            photo = from_file(source)
        if photo is not None and "sample" in st.query_params:
            del st.query_params["sample"]  # a link cannot carry the upload, and must not name another photo
    if photo is not None:
        st.session_state[_LAST] = photo
    elif _LAST not in st.session_state:
        st.session_state[_LAST] = _gallery_photo(next(iter(_titles(digits)), ""))
    last: Photo = st.session_state[_LAST]
    return last


def _from_gallery(digits: bool) -> Photo | None:
    titles = _titles(digits)
    if not titles:
        return None
    scope = _DIGITS if digits else ""
    key = links.choice(
        "sample",
        "Sample photo",
        list(titles),
        default=next(iter(titles)),
        scope=scope,
        shown=titles.__getitem__,
        label_visibility="collapsed",
    )
    style.style_rules(_thumbnail_rules(digits))
    with st.container(key="gallery"):
        for name, title in titles.items():
            st.button(title, key=f"sample-{name}", help=title, on_click=_choose, args=(name, scope))
    style.style_rules(f".st-key-sample-{key} button {{ outline: 2px solid var(--cam-accent); }}")
    return _gallery_photo(key)


def _titles(digits: bool) -> dict[str, str]:
    """Key → title of everything in the gallery: digits first, where they are asked for."""
    titles = {entry.key: entry.title for entry in SAMPLES}
    return {f"{_DIGIT}{label}": f"Digit {label}" for label in gallery_digits()} | titles if digits else titles


def _choose(key: str, scope: str) -> None:
    st.session_state[links.widget_key("sample", scope)] = key


def from_file(source: str, key: str = "") -> Photo | None:
    """The uploaded or taken photo; None where there is none yet, or none that can be used.

    Args:
        source: "Camera" or "Upload".
        key: tells apart several places of one page that take a file.
    """
    if source == "Camera":
        file = st.camera_input("Take a photo", key=f"camera{key}", label_visibility="collapsed")
    else:
        file = st.file_uploader(
            "A photo of yours",
            type=list(EXTENSIONS),
            max_upload_size=_MAX_MEGABYTES,
            key=f"upload{key}",
            label_visibility="collapsed",
            help="It is read in memory, never written to disk, and cannot be part of a link.",
        )
    if file is None:
        return None
    try:
        image = load_image(file.getvalue())
    except ImageError as error:
        messages.failure("This file cannot be used.", f"{error}. The photo before it stays.", key=f"photo{key}")
        return None
    return Photo(image, image_digest(image), file.name if source == "Upload" else "Camera photo")


@st.cache_data(max_entries=32, show_spinner=False)
def _gallery_photo(key: str) -> Photo:
    if key.startswith(_DIGIT):
        label = key.removeprefix(_DIGIT)
        digit = gallery_digits()[label]
        return Photo(digit, image_digest(digit), f"Digit {label}", f"Digit {label}. {_DIGITS_CREDIT}", _DIGITS)
    entry = sample(key)
    image = entry.open()
    return Photo(image, image_digest(image), entry.title, entry.credit, "gallery")


@st.cache_data(show_spinner=False)
def _thumbnail_rules(digits: bool) -> str:
    """Every gallery button shows its photo."""
    pictures = {key: f"url(data:image/jpeg;base64,{_thumbnail(_gallery_photo(key).image)})" for key in _titles(digits)}
    return "".join(f".st-key-sample-{key} button {{ background-image: {url}; }}" for key, url in pictures.items())


def _thumbnail(image: Image.Image) -> str:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    small = image.crop((left, top, left + side, top + side)).resize((_THUMBNAIL, _THUMBNAIL))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return base64.b64encode(buffer.getvalue()).decode()
