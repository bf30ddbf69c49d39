"""Where photos come from: gallery, upload, camera or a zip. A bad file is answered, and what was there stays."""

from __future__ import annotations

import base64
import io
from uuid import uuid4

import streamlit as st
from PIL import Image

from cam_core import SAMPLES, load_image
from cam_core.images import EXTENSIONS, ArchiveError, ArchiveLimits, Unpacked, image_digest, sample, unpack_images
from cam_core.types import ImageError
from pages.runtime import compute
from pages.runtime.limits import limits
from pages.shared import links, messages, style
from pages.shared.scene import Photo

_LAST = "_photo"
_THUMBNAIL = 96  # pixels


def photo_picker() -> Photo:
    """The photo to explain; the last good one as long as no other has been chosen.

    Raises:
        ImageError: there is no gallery, and nothing has been uploaded yet.
    """
    jobs = compute.visitor_jobs()
    if _LAST not in st.session_state and "sample" not in st.query_params and (left := jobs.brought(_LAST)):
        st.session_state["source"], st.session_state[_LAST] = left  # the page was loaded again
        jobs.belongings[_LAST] = left
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
        jobs.belongings[_LAST] = None if source == "Gallery" else (source, photo)
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
            max_upload_size=limits().photo_bytes >> 20,
            key=f"upload{key}",
            label_visibility="collapsed",
            help="It is read in memory, never written to disk, and cannot be part of a link.",
        )
    if file is None:
        return None
    try:
        image = _image(file.getvalue())
    except ImageError as error:
        messages.failure("This file cannot be used.", f"{error}. The photo before it stays.", key=f"photo{key}")
        return None
    return Photo(image, image_digest(image), file.name if source == "Upload" else "Camera photo")


def _image(data: bytes) -> Image.Image:
    most = limits().photo_bytes
    if len(data) > most:  # the browser knows the limit too, but need not keep it
        raise ImageError(f"it has {len(data) >> 20} MB; at most {most >> 20} MB are read")
    return load_image(data)


def from_zip(key: str) -> Unpacked | None:
    """Many photos at once; None where there is no zip yet, or none that can be used.

    They lie in the visitor's folder and go with the visit.

    Args:
        key: tells apart several places that take a zip.
    """
    file = st.file_uploader(
        "A zip with photos",
        type="zip",
        max_upload_size=limits().archive_bytes >> 20,
        key=f"zip-{key}",
        label_visibility="collapsed",
        help="A zip file with one folder of images for each class. It goes when this visit ends, and cannot be part "
        "of a link.",
    )
    if file is None:
        return None
    unpacked: dict[str, Unpacked | ArchiveError] = st.session_state.setdefault("_unpacked", {})
    if file.file_id not in unpacked:
        unpacked[file.file_id] = _unpacked(file.getvalue())
    outcome = unpacked[file.file_id]
    if isinstance(outcome, ArchiveError):
        messages.failure("This file cannot be used.", str(outcome), key=f"zip-{key}")
        return None
    skipped = f" Files left out, being no image: {outcome.skipped}." if outcome.skipped else ""
    st.html(style.quiet(f"{outcome.images} images in {file.name}.{skipped}"))
    return outcome


def _unpacked(archive: bytes) -> Unpacked | ArchiveError:
    photos = compute.visitor_folder() / "photos"
    photos.mkdir(exist_ok=True)
    taken = sum(file.stat().st_size for file in photos.rglob("*") if file.is_file())
    most = limits()
    bounds = ArchiveLimits(most.archive_bytes, max(0, most.unpacked_bytes - taken), most.photo_bytes)
    try:
        return unpack_images(archive, photos / uuid4().hex, bounds)
    except ArchiveError as error:
        return error


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
