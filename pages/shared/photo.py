"""Where the photo comes from: gallery, upload or camera. A bad file is answered, and what was there stays."""

from __future__ import annotations

import base64
import io

import streamlit as st
from PIL import Image

from cam_core import SAMPLES, load_image
from cam_core.images import EXTENSIONS, image_digest, sample
from cam_core.types import ImageError
from pages.shared import links, messages, style
from pages.shared.scene import Photo

_LAST = "_photo"
_MAX_MEGABYTES = 25
_THUMBNAIL = 96  # pixels


def photo_picker() -> Photo:
    """The photo to explain; the last good one as long as no other has been chosen.

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
            photo = _from_gallery()
    else:
        with file:
            photo = from_file(source)
        if photo is not None and "sample" in st.query_params:
            del st.query_params["sample"]  # a link cannot carry the upload, and must not name another photo
    if photo is not None:
        st.session_state[_LAST] = photo
    elif _LAST not in st.session_state:
        st.session_state[_LAST] = _sample_photo(SAMPLES[0].key if SAMPLES else "")
    last: Photo = st.session_state[_LAST]
    return last


def _from_gallery() -> Photo | None:
    if not SAMPLES:
        return None
    titles = {entry.key: entry.title for entry in SAMPLES}
    key = links.choice(
        "sample",
        "Sample photo",
        list(titles),
        default=SAMPLES[0].key,
        shown=titles.__getitem__,
        label_visibility="collapsed",
    )
    style.style_rules(_thumbnail_rules())
    with st.container(key="gallery"):
        for entry in SAMPLES:
            st.button(entry.title, key=f"sample-{entry.key}", help=entry.title, on_click=_choose, args=(entry.key,))
    style.style_rules(f".st-key-sample-{key} button {{ outline: 2px solid var(--cam-accent); }}")
    return _sample_photo(key)


def _choose(key: str) -> None:
    st.session_state[links.widget_key("sample")] = key


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


@st.cache_data(max_entries=len(SAMPLES) or 1, show_spinner=False)
def _sample_photo(key: str) -> Photo:
    entry = sample(key)
    image = entry.open()
    return Photo(image, image_digest(image), entry.title, entry.credit)


@st.cache_data(show_spinner=False)
def _thumbnail_rules() -> str:
    """Every gallery button shows its photo."""
    pictures = {entry.key: f"url(data:image/jpeg;base64,{_thumbnail(entry.open())})" for entry in SAMPLES}
    return "".join(f".st-key-sample-{key} button {{ background-image: {url}; }}" for key, url in pictures.items())


def _thumbnail(image: Image.Image) -> str:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    small = image.crop((left, top, left + side, top + side)).resize((_THUMBNAIL, _THUMBNAIL))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return base64.b64encode(buffer.getvalue()).decode()
