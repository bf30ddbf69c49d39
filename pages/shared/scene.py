"""The scene: what is explained. The sidebar makes it, every page starts from it.

scene = current()            # draws why there is none and stops the page, while a model loads or cannot be had
scene.photo.image, scene.question.layer, scene.question.target, scene.words, scene.classifier, scene.frame()
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st
from PIL import Image

from cam_core import Classifier, LayerInfo, methods_at
from cam_core.analysis.costs import Cost, Pace, method_costs, pace_at
from cam_core.images import Fit
from cam_core.models.classifier import Prediction
from cam_core.overlay import Box, close_up, framed
from cam_core.targets import TargetScore
from cam_core.targets.asking import Asked
from cam_core.types import Part, shares
from pages.runtime import compute, polling
from pages.runtime.compute import ModelSpec, Question
from pages.shared import links, style
from pages.shared.targets.words import Words, leading_class, words

_KEY = "_scene"

FRAME_SIDE = 448
"""Pixels of the longer side of a heatmap's picture: sharp at the widths at which tiles are shown."""
PHOTO_SIDE = 560
"""The same for the whole photo, twice as many as there are on the screen: some screens have two for one."""


@dataclass(frozen=True)
class Photo:
    """A decoded photo.

    Attributes:
        digest: identifies its pixels; every cache is keyed on it.
        source: "gallery", "digits" (of those that no digit network has seen), or "visitor".
        sample: its key in the gallery; empty for any other.
        fit: how it is fitted to the network's input; the network's own way where None.
        whole: the photo that this one was cut out of, with its left upper corner there in pixels; None if it is whole.
    """

    image: Image.Image
    digest: str
    title: str
    credit: str = ""
    source: str = "visitor"
    sample: str = ""
    whole: tuple[Photo, int, int] | None = None
    fit: Fit | None = None


@dataclass(frozen=True)
class Scene:
    """A photo and what is asked about it.

    Attributes:
        predictions: of all classes, most probable first.
        notices: what to know of this network, or of this photo before it, ahead of everything else.
    """

    photo: Photo
    question: Question
    predictions: tuple[Prediction, ...]
    notices: tuple[str, ...] = ()

    @property
    def classifier(self) -> Classifier:
        """The shared model; never modify it."""
        return compute.classifier(self.question.model)

    @property
    def asked(self) -> Classifier:
        """The same, whose logits answer what is explained, where that is no class; never modify it."""
        target = self.question.target
        return Asked(self.classifier, target) if isinstance(target, TargetScore) else self.classifier

    @property
    def words(self) -> Words:
        """What is explained, in words."""
        return words(self.question.target, self.classifier.labels)

    @property
    def unfit(self) -> dict[str, str]:
        """The methods that cannot explain this target at the chosen layer, by key, with the reason."""
        return self._unfit(self.question.layer)

    @property
    def misplaced(self) -> dict[str, str]:
        """Those of the unfit that work at the network's own choice of a layer: another layer would help."""
        elsewhere = self._unfit(self.classifier.default_layer)
        return {key: reason for key, reason in self.unfit.items() if key not in elsewhere}

    @property
    def unasked(self) -> dict[str, str]:
        """Those of the unfit that explain a class at the chosen layer: another target would help."""
        of_class = _unfit(self.question.model, self.question.layer, "", self.classifier)
        return {key: reason for key, reason in self.unfit.items() if key not in of_class}

    def _unfit(self, layer: str) -> dict[str, str]:
        target = self.question.target
        kind = type(target).__name__ if isinstance(target, TargetScore) else ""
        return _unfit(self.question.model, layer, kind, self.asked)

    def costs(self) -> dict[str, Cost]:
        """What every method will cost at the chosen layer, on this machine: the page waits for a few passes."""
        clf, layer = self.classifier, self.question.layer
        key = compute.digest("pace", self.question.model, layer)
        pace: Pace = compute.at_once(key, str(clf.device), lambda: pace_at(clf, layer), alone=True)
        return method_costs(clf, layer, pace)

    def explain_class(self, index: int) -> None:
        """Explain another class from now on, as if it had been chosen in the sidebar; for a button's callback."""
        links.choose("class", str(index), class_scope(self.question.model, self.photo))

    @property
    def layer_info(self) -> LayerInfo:
        """Shape and plain-language label of the chosen layer."""
        return next(layer for layer in self.classifier.layers if layer.name == self.question.layer)

    @property
    def prediction(self) -> Prediction:
        """The network's belief in the explained class, or in the first that the target names.

        The most probable class where it names none.
        """
        leading = leading_class(self.question.target)
        return next((each for each in self.predictions if each.index == leading), self.predictions[0])

    @property
    def box(self) -> Box:
        """The frame that the network sees, in pixels of the photo."""
        return self.classifier.preprocessing.box(self.photo.image.size)

    @property
    def whole_photo(self) -> Photo:
        """The photo that was chosen, of which the part that is explained may be cut out."""
        return self.photo if self.photo.whole is None else self.photo.whole[0]

    @property
    def box_in_whole(self) -> Box:
        """The frame that the network sees, in pixels of the whole photo."""
        _, across, down = self.photo.whole or (None, 0, 0)
        left, top, right, bottom = self.box
        return left + across, top + down, right + across, bottom + down

    def frame(self, side: int = FRAME_SIDE) -> Image.Image:
        """The part that the network sees, from the original, `side` pixels long: heatmaps are laid over it.

        Without padding, which is no part of the photo.
        """
        image = self.photo.image
        return _close_up(self.photo.digest, self.classifier.preprocessing.shown(image.size), side, image)

    @property
    def part(self) -> Part | None:
        """Of a map, what lies over the photo: see `display_values`."""
        picture = self.classifier.picture(self.photo.image)
        return picture and shares(picture, self.classifier.input_size)

    def framed_photo(self) -> Image.Image:
        """The whole photo, with the frame that the network sees drawn in."""
        return _framed(self.whole_photo.digest, self.box_in_whole, self.whole_photo.image)


@st.cache_data(max_entries=64, show_spinner=False)
def _unfit(spec: ModelSpec, layer: str, kind: str, _asked: Classifier) -> dict[str, str]:
    """It depends on the kind of target alone, "" for a class, whatever classes that names."""
    return {key: reason for key, reason in methods_at(_asked, layer).items() if reason}


@st.cache_data(max_entries=4, scope="session", show_spinner=False)  # a visitor's photo goes with the visitor
def _close_up(digest: str, box: Box, side: int, _image: Image.Image) -> Image.Image:
    return close_up(_image, box, side)


@st.cache_data(max_entries=4, scope="session", show_spinner=False)
def _framed(digest: str, box: Box, _image: Image.Image) -> Image.Image:
    return framed(_image, box, PHOTO_SIDE)


def class_scope(spec: ModelSpec, photo: Photo) -> str:
    """What the choice of a class depends on: see `links.choice`."""
    return compute.digest(spec, photo.digest)


def put(scene: Scene | Callable[[Callable[[], None]], None]) -> None:
    """Called by the sidebar: the scene, or a function that draws why there is none.

    The function is given another one, which draws the page's title: it is for what stays, not for what passes.
    """
    st.session_state[_KEY] = scene


def current(title: str = "", *question: str) -> Scene:
    """The scene, with its notices drawn; where there is none yet, the reason is drawn and the page ends here.

    Args:
        title, question: of the page, which stand over the reason where there will be no scene; the question as
            `style.subtitle` takes it.
    """
    scene = st.session_state[_KEY]
    if isinstance(scene, Scene):
        for notice in scene.notices:
            st.html(style.notice_line(notice))
        return scene

    def heading() -> None:
        if title:
            st.title(title)
            st.html(style.subtitle(*question))

    scene(heading)
    polling.begin()
    st.stop()
