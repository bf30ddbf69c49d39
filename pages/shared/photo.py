"""Where photos come from: gallery, upload, camera or a zip. A bad file is answered, and what was there stays."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import threading
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

import streamlit as st
from PIL import Image

from cam_core import SAMPLES, load_image
from cam_core.files import fill_whole, safe_stem
from cam_core.images import EXTENSIONS, ArchiveError, ArchiveLimits, Unpacked, image_digest, sample, unpack_images
from cam_core.images.preprocessing import part_of
from cam_core.training.digits import gallery_digits
from cam_core.types import ImageError
from pages.runtime import compute
from pages.runtime.limits import limits
from pages.shared import links, messages, style
from pages.shared.scene import Photo

_LAST = "_photo"
_PART, _PART_OF, _MIDDLE = "part", "_part_of", 50
_SHOWN, _A_PART, _WHOLE = "shown", "A part", "All of it"
_FAR_FROM_SQUARE = 1.7  # times as long as wide: of 3 : 2, as cameras make them, the middle is nearly all
_OWN: Final = "_own_photo"  # the visitor's last one, with its source: for Back, after a look at the gallery
_AWAITED: Final = "_awaited_photo"
_UPLOAD: Final = "upload"  # in the address: the name of a photo that stays with its visitor
_THUMBNAIL = 96  # pixels
_DIGITS = "digits"
_DIGIT = "digit-"
_RECORD: Final = "unpacked.json"  # beside the photos of a zip, once all of them are there
_UNPACKING = threading.Lock()
_DIGITS_CREDIT = "MNIST, CC BY-SA 3.0, on a photo of this gallery’s kind; no network was trained on it."


def photo_picker(*, digits: bool = False, pair: bool = False) -> Photo:
    """The photo to explain; the last good one as long as no other has been chosen.

    Args:
        digits: open the gallery with digits, for a network that knows nothing else.
        pair: open on a photo of two animals, for a page that sets two classes against each other.
    Raises:
        ImageError: there is no gallery, and nothing has been uploaded yet.
    """
    _follow_address()
    source = st.segmented_control(
        "Photo",
        ["Gallery", "Upload", "Camera"],
        default="Gallery",
        required=True,
        width="stretch",
        key="source",
        persist_state="session",
    )
    # A place of its own for each: what stood in the other would be shown in the wrong place until the run ends.
    gallery, file = st.container(), st.container()
    if source == "Gallery":
        with gallery:
            photo = _from_gallery(digits, pair)
    else:
        with file:
            photo = from_file(source)
    if photo is not None:
        _keep(photo, source)
    elif _LAST not in st.session_state:
        st.session_state[_LAST] = gallery_photo(next(iter(gallery_titles(digits)), ""))
    last: Photo = st.session_state[_LAST]
    if photo is None and last.source == "visitor":
        with file:
            st.html(style.quiet(f"{last.title} is shown until you choose another."))
    return _chosen_part(last)


def _chosen_part(photo: Photo) -> Photo:
    """The photo, or what is chosen where the network would see its middle alone: another part, or all of it."""
    width, height = photo.image.size
    if max(width, height) < _FAR_FROM_SQUARE * min(width, height):
        return photo
    another = st.session_state.setdefault(_PART_OF, photo.digest) != photo.digest
    if another:  # it begins in its middle
        st.session_state[_PART_OF], st.session_state[_PART] = photo.digest, _MIDDLE
    if _whole():
        return replace(photo, fit="letterbox")
    ends = "0 is the left end, 100 the right" if width > height else "0 is the top, 100 the bottom"
    place = st.slider(
        "Which part",
        0,
        100,
        _MIDDLE,
        format="%d %%",
        **links.kept(_PART),
        help=f"The network sees a square: this photo is far from one. {ends}.",
    )
    if place == _MIDDLE:
        return photo
    box = part_of(photo.image.size, place / 100)
    image, digest = _cut_out(photo.digest, box, photo.image)
    title = f"{photo.title} (part at {place} %)"
    return replace(photo, image=image, digest=digest, title=title, whole=(photo, box[0], box[1]))


def _whole() -> bool:
    shown = st.segmented_control(
        "What the network sees",
        [_A_PART, _WHOLE],
        default=_A_PART,
        required=True,
        **links.kept(_SHOWN),
        help="A part: a square of the photo, as networks are trained on. All of it: scaled down to fit, a letterbox.",
    )
    if shown == _WHOLE:
        st.html(
            style.quiet(
                "Around the photo the network sees bars of the mean colour, which it was hardly trained on. They are "
                "never drawn, and count for nothing."
            )
        )
    return shown == _WHOLE


@st.cache_data(max_entries=4, scope="session", show_spinner=False)  # a visitor's photo goes with the visitor
def _cut_out(digest: str, box: tuple[int, int, int, int], _image: Image.Image) -> tuple[Image.Image, str]:
    part = _image.crop(box)
    return part, image_digest(part)


def _follow_address() -> None:
    """A visitor's own photo as the address names it: on the first run, and after Back."""
    jobs, named = compute.visitor_jobs(), st.query_params.get(_UPLOAD)
    first = _LAST not in st.session_state
    if first and "sample" not in st.query_params and (left := jobs.brought(_LAST)) and named in (None, left[1].title):
        _show_own(*left)  # the page was loaded again
        jobs.belongings[_LAST] = left
    elif first or links.came_back():
        own: tuple[str, Photo] | None = st.session_state.get(_OWN)
        if own and own[1].title == named:
            _show_own(*own)
            return
        st.session_state["source"] = "Gallery"
        if named is not None:
            st.session_state[_AWAITED] = named
            links.note(
                f"This link was made with an uploaded photo, which stays with its visitor: {named}. A sample photo is "
                "shown instead; upload that photo again to see the same."
            )


def _show_own(source: str, photo: Photo) -> None:
    st.session_state["source"], st.session_state[_LAST] = source, photo
    st.session_state[_OWN] = source, photo


def _keep(photo: Photo, source: str) -> None:
    """The photo is shown from now on; its name is all that a link can carry of a visitor's own."""
    own = None if source == "Gallery" else (source, photo)
    st.session_state[_LAST] = photo
    compute.visitor_jobs().belongings[_LAST] = own
    if own is None:
        links.write(_UPLOAD, None)
        return
    if st.session_state.get(_AWAITED) == photo.title:
        del st.session_state[_AWAITED]
        links.address_counts_again("class")
    st.session_state[_OWN] = own
    links.write("sample", None)
    links.write(_UPLOAD, photo.title)


def _from_gallery(digits: bool, pair: bool) -> Photo | None:
    titles = gallery_titles(digits)
    if not titles:
        return None
    scope = _DIGITS if digits else ""
    key = links.choice(
        "sample",
        "Sample photo",
        titles,
        default=_first(titles, pair and not digits),
        scope=scope,
        label_visibility="collapsed",
    )
    style.style_rules(_thumbnail_rules(digits))
    with st.container(key="gallery"):
        for name, title in titles.items():
            st.button(
                title,
                key=f"sample-{name}",
                type="primary" if name == key else "secondary",  # not to be seen: names.js says it to those who hear
                help=title,
                on_click=links.choose,
                args=("sample", name, scope),
            )
    style.style_rules(f".st-key-sample-{key} button {{ outline: 2px solid var(--cam-accent); }}")
    return gallery_photo(key)


def _first(titles: Mapping[str, str], pair: bool) -> str:
    """The photo that the gallery opens on."""
    pairs = [entry.key for entry in SAMPLES if entry.collage] if pair else []
    return next(iter([*pairs, *titles]))


def gallery_titles(digits: bool) -> dict[str, str]:
    """Key → title of everything in the gallery: digits first, where they are asked for."""
    titles = {entry.key: entry.title for entry in SAMPLES}
    return {f"{_DIGIT}{label}": f"Digit {label}" for label in gallery_digits()} | titles if digits else titles


def was_chosen(photo: Photo) -> bool:
    """Whether the visitor, or the link, has chosen this photo: else it is what the gallery opened on."""
    scope = _DIGITS if photo.source == _DIGITS else ""
    return photo.source == "visitor" or links.was_chosen("sample", scope)


def from_file(source: str, key: str = "") -> Photo | None:
    """The uploaded or taken photo; None where there is none yet, or none that can be used.

    Args:
        source: "Camera" or "Upload".
        key: tells apart several places of one page that take a file.
    """
    most = limits().photo_bytes
    if source == "Camera":
        file = st.camera_input("Take a photo", key=f"camera{key}", label_visibility="collapsed")
    else:
        file = st.file_uploader(
            "A photo of yours",
            type=list(EXTENSIONS),
            max_upload_size=most >> 20,
            key=f"upload{key}",
            label_visibility="collapsed",
        )
    st.html(
        style.quiet(
            f"At most {most >> 20} MB. It is read in memory, never written to disk, and cannot be part of a link."
        )
    )
    good = f"_good{key}"
    if file is None:
        st.session_state.pop(good, None)
        return None
    try:
        image = _image(file.getvalue())
    except ImageError as error:
        stays = "" if key and good not in st.session_state else " The photo before it stays."
        messages.failure("This file cannot be used.", f"{style.sentence(str(error))}{stays}", key=f"photo{key}")
        before: Photo | None = st.session_state.get(good)
        return before
    photo = Photo(image, image_digest(image), file.name if source == "Upload" else "Camera photo")
    st.session_state[good] = photo
    return photo


def _image(data: bytes) -> Image.Image:
    most = limits().photo_bytes
    if len(data) > most:  # the browser knows the limit too, but need not keep it
        raise ImageError(f"it has {len(data) >> 20} MB; at most {most >> 20} MB are read")
    return load_image(data)


def show_own(photo: Photo) -> None:
    """A photo from elsewhere in the app is the visitor's own from now on, as if it had been uploaded."""
    _show_own("Upload", photo)
    compute.visitor_jobs().belongings[_LAST] = "Upload", photo


def from_zip(key: str, holds: str = "One folder of images for each class") -> Unpacked | None:
    """Many photos at once; None where there is no zip yet, or none that can be used.

    They lie in the visitor's folder, each zip once, and go with the visit.

    Args:
        key: tells apart several places that take a zip.
        holds: what is asked to be in it.
    """
    file = st.file_uploader(
        "A zip with photos",
        type="zip",
        max_upload_size=limits().archive_bytes >> 20,
        key=f"zip-{key}",
        label_visibility="collapsed",
    )
    st.html(
        style.quiet(
            f"{holds}, at most {limits().archive_bytes >> 20} MB in all. It goes when this "
            "visit ends; a link cannot carry it."
        )
    )
    if file is None:
        return None
    unpacked: dict[str, Unpacked | ArchiveError] = st.session_state.setdefault("_unpacked", {})
    if file.file_id not in unpacked:
        unpacked[file.file_id] = _unpacked(file.getvalue(), file.name)
    outcome = unpacked[file.file_id]
    if isinstance(outcome, ArchiveError):
        messages.failure("This file cannot be used.", str(outcome), key=f"zip-{key}")
        return None
    skipped = f" Files left out, being no image: {outcome.skipped}." if outcome.skipped else ""
    st.html(style.quiet(f"{outcome.images} images in {file.name}.{skipped}"))
    return outcome


def _unpacked(archive: bytes, name: str) -> Unpacked | ArchiveError:
    """The photos of a zip of that name, unpacked now or, in whatever tab, before."""
    photos = compute.visitor_folder() / "photos"
    place = photos / hashlib.sha256(archive).hexdigest()
    with _UNPACKING:  # another tab may have sent the same zip, and shares the room for all
        photos.mkdir(exist_ok=True)
        if place.exists():
            return _recorded(place / _RECORD)
        taken = sum(file.stat().st_size for file in photos.rglob("*") if file.is_file())
        try:
            return _unpack(archive, place, safe_stem(name, "photos"), taken)
        except ArchiveError as error:
            earlier = f". Earlier zips of this visit take {taken / (1 << 20):,.1f} MB" if taken else ""
            return ArchiveError(f"{error}{earlier}")


def _unpack(archive: bytes, place: Path, stem: str, taken: int) -> Unpacked:
    """Into a new place, which is whole, or is not there."""
    most = limits()
    bounds = ArchiveLimits(most.archive_bytes, max(0, most.unpacked_bytes - taken), most.photo_bytes)
    fill_whole(place, lambda place: _record(unpack_images(archive, place / stem, bounds), place / _RECORD))
    return _recorded(place / _RECORD)


def _record(unpacked: Unpacked, path: Path) -> None:
    path.write_text(json.dumps(asdict(unpacked) | {"folder": str(unpacked.folder)}), encoding="utf-8")


def _recorded(path: Path) -> Unpacked:
    record = json.loads(path.read_text(encoding="utf-8"))
    return Unpacked(Path(record["folder"]), record["images"], record["skipped"])


@st.cache_data(max_entries=32, show_spinner=False)
def gallery_photo(key: str) -> Photo:
    """A photo of the gallery by its key in `gallery_titles`."""
    if key.startswith(_DIGIT):
        label = key.removeprefix(_DIGIT)
        digit = gallery_digits()[label]
        return Photo(digit, image_digest(digit), f"Digit {label}", f"Digit {label}. {_DIGITS_CREDIT}", _DIGITS)
    entry = sample(key)
    image = entry.open()
    return Photo(image, image_digest(image), entry.title, entry.credit, "gallery", key)


@st.cache_data(show_spinner=False)
def _thumbnail_rules(digits: bool) -> str:
    """Every gallery button shows its photo."""
    pictures = {
        key: f"url(data:image/jpeg;base64,{_thumbnail(gallery_photo(key).image)})" for key in gallery_titles(digits)
    }
    return "".join(f".st-key-sample-{key} button {{ background-image: {url}; }}" for key, url in pictures.items())


def _thumbnail(image: Image.Image) -> str:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    small = image.crop((left, top, left + side, top + side)).resize((_THUMBNAIL, _THUMBNAIL))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return base64.b64encode(buffer.getvalue()).decode()
