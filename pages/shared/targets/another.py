"""The other photo, for what makes the explained one similar to it: of the gallery, or a file of the visitor's."""

from __future__ import annotations

from typing import Final

import streamlit as st

from cam_core.targets import Similarity
from cam_core.training import BUILT_IN
from pages.runtime import compute
from pages.runtime.compute import ModelSpec
from pages.shared import links, style
from pages.shared.photo import from_file, gallery_photo, gallery_titles
from pages.shared.scene import Photo

_OWN: Final = "own"
_LAST: Final = "_other_photo"  # the visitor's last upload: another page draws an empty field


def similarity(spec: ModelSpec, explained: Photo, data: str) -> Similarity | None:
    """Similarity to a photo that is chosen here; None where there is none yet.

    Args:
        explained: the photo that it is compared with.
        data: what the network was trained on, where that is known.
    """
    other = _chosen(explained, digits=data == BUILT_IN)
    if other is None:
        st.html(style.quiet("Give another photo. Until then the class is explained."))
        return None
    clf = compute.classifier(spec)
    key = compute.digest("embedding", spec, other.digest)
    return compute.at_once(key, str(clf.device), lambda: Similarity.to(clf, other.image, other.title))


def _chosen(explained: Photo, digits: bool) -> Photo | None:
    titles = gallery_titles(digits)
    key = links.choice(
        "other",
        "The other photo",
        titles | {_OWN: "A photo of yours"},
        default=next((key for key in titles if key != explained.sample), _OWN),
        scope=f"{digits}",
        help="What the network returns for it is what the photo is to be similar to. A link carries it where it is of "
        "the gallery.",
    )
    if key != _OWN:
        return gallery_photo(key)
    photo = from_file("Upload", key="-other")
    if photo is not None:
        st.session_state[_LAST] = photo
    last: Photo | None = st.session_state.get(_LAST)
    if photo is None and last is not None:
        st.html(style.quiet(f"{last.title} is compared with until you choose another."))
    return last
