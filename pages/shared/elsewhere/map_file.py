"""A map from a file of the visitor's, `.npy`, beside those of the methods: where it comes from, and what is made of it.

map_file.button()                   # opens the widgets
theirs = map_file.given(seen)       # None where there is no map, or none that can be used
theirs.explanation                  # stands beside ours
theirs.line, IMPORTS                # of a script that gives the same
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import streamlit as st

from cam_core import METHODS, Explanation, explanation_from_array
from cam_core.analysis.foreign import read_map
from cam_core.files import safe_stem
from cam_core.types import CamError, MethodError
from pages.runtime import compute
from pages.runtime.compute import Request
from pages.runtime.limits import limits
from pages.shared import links, messages, style
from pages.shared.scene import Scene
from pages.shared.sharing.script import TARGET

IMPORTS: Final = [
    ("pathlib", "Path"),
    ("cam_core", "explanation_from_array"),
    ("cam_core.analysis.foreign", "read_map"),
]
"""What `Theirs.line` uses."""

NOT_IN_COMMAND: Final = "The map from a file is not in it."

_KEPT: Final = "_map_file"
_ASKED: Final = "_map_link"
_LINK: Final = "map"  # in the address: the name of a file that stays with its visitor
_NAME, _SIGN, _UPLOAD = "map-name", "map-sign", "map-file"
_SIGNS: Final = ("Speak against", "Count as much")
_LONGEST: Final = 40  # letters of a name
_NAMED: Final = re.compile(r"[\w .+-]*")  # a name stands in charts, tables and files


@dataclass(frozen=True)
class MapFile:
    """What was uploaded."""

    name: str
    content: bytes

    @property
    def stem(self) -> str:
        """What its map is called where nothing else is said."""
        return safe_stem(self.name, "theirs")


@dataclass(frozen=True)
class Theirs:
    """A map from a file, as it is shown.

    Attributes:
        explanation: it is called by its name there.
        magnitude: whether what is below 0 counts as much as what is above.
    """

    file: MapFile
    explanation: Explanation
    magnitude: bool

    @property
    def name(self) -> str:
        """What it is called."""
        return self.explanation.method

    @property
    def request(self) -> Request:
        """What tells it from other maps, in the place of a method with its parameters."""
        return Request(self.name, tuple(self.explanation.params.items()))

    @property
    def stem(self) -> str:
        """What its files are called."""
        return safe_stem(self.name, "theirs")

    @property
    def files(self) -> dict[str, bytes]:
        """What was uploaded, for a script to find."""
        return {self.file.name: self.file.content}

    @property
    def line(self) -> str:
        """The expression that gives it in a script, which finds the file beside it."""
        read = f"read_map(Path({self.file.name!r}).read_bytes(){', magnitude=True' if self.magnitude else ''})"
        return f"explanation_from_array(clf, photo, {read}, title={self.name!r}, target={TARGET})"


def button() -> None:
    """What opens the widgets: the file, which stays until it is taken away, what it is called, and how it is meant."""
    _follow_link()
    with st.popover("Map from a file", icon=":material/upload_file:", type="tertiary", key="map-from-file"):
        st.file_uploader(
            "A map as numpy.save writes it (.npy)",
            type="npy",
            max_upload_size=limits().photo_bytes >> 20,
            key=_UPLOAD,
            on_change=_take,
            help="(h, w) numbers of any resolution, over what the network sees of the photo: the bright frame.",
        )
        file: MapFile | None = st.session_state.get(_KEPT)
        links.write(_LINK, file and file.name)
        if file is None:
            st.html(style.quiet("Of another library, or of your own: it stands beside ours. A link cannot carry it."))
            return
        st.text_input("Name", max_chars=_LONGEST, placeholder=file.stem, **links.kept(_NAME))
        st.segmented_control(
            "Values below 0",
            _SIGNS,
            default=_SIGNS[0],
            required=True,
            **links.kept(_SIGN),
            help="Speak against: they are evidence against the class, and not drawn where values are positive. Count "
            "as much: their size counts, whatever the sign.",
        )
        messages.button(("Take the map away", _drop), key="map-away")


def given(seen: Scene) -> Theirs | None:
    """The map, after `button` was drawn; where it cannot be used, the reason is drawn."""
    file: MapFile | None = st.session_state.get(_KEPT)
    if file is None:
        return None
    name, magnitude = st.session_state[_NAME].strip() or file.stem, st.session_state[_SIGN] == _SIGNS[1]
    try:
        return Theirs(file, _explanation(seen, file, name, magnitude), magnitude)
    except CamError as error:
        messages.failure("This map cannot be used.", str(error), ("Take it away", _drop), key="map-file")
        return None


def _explanation(seen: Scene, file: MapFile, name: str, magnitude: bool) -> Explanation:
    if not _NAMED.fullmatch(name):
        raise MethodError(f"the name {name!r} has other signs than letters, digits, spaces and . + - _")
    if name.lower() in {method.title.lower() for method in METHODS.values()}:
        raise MethodError(f"a method here is called {name!r}: give the map another name")
    values = read_map(file.content, magnitude=magnitude)
    sha256 = hashlib.sha256(file.content).hexdigest()
    clf, question = seen.classifier, seen.question
    key = compute.digest("map from a file", question, sha256, name, magnitude)
    explained = partial(explanation_from_array, clf, seen.photo.image, values, title=name, target=question.target)
    made: Explanation = compute.at_once(key, str(clf.device), explained)
    return replace(made, params={"file": file.name, "sha256": sha256, "magnitude": magnitude})


def _take() -> None:
    """The file that was uploaded; none where it was taken out of the box. The name was that of the file before."""
    given = st.session_state[_UPLOAD]
    if st.session_state.get(_KEPT) and _NAME in st.session_state:
        st.session_state[_NAME] = ""
    _keep(None if given is None else MapFile(Path(given.name).name, given.getvalue()))


def _drop() -> None:
    _keep(None)


def _keep(file: MapFile | None) -> None:
    st.session_state[_KEPT] = file
    compute.visitor_jobs().belongings[_KEPT] = file


def _follow_link() -> None:
    """On the first run: the map that was there before the page was loaded again, or that it cannot be had."""
    if _ASKED in st.session_state and not links.came_back():
        return
    jobs, named = compute.visitor_jobs(), st.query_params.get(_LINK)
    if _ASKED not in st.session_state and (left := jobs.brought(_KEPT)):
        _keep(left)
    st.session_state[_ASKED] = True
    kept: MapFile | None = st.session_state.get(_KEPT)
    if named is not None and (kept is None or kept.name != named):
        links.note(
            f"This link was made with a map from a file, which stays with its visitor: {named}. Upload that file again "
            "to see the same."
        )
