"""Lessons: what the visitors of a full class do on a page, what an answer must look like, and what it costs the core.

A lesson opens a page, gives it a photo of the visitor's own, and then clicks, again and again.
"""

from __future__ import annotations

import base64
import io
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from html import escape
from itertools import count, cycle
from typing import Any, Final

import numpy as np
from PIL import Image
from streamlit.proto.Element_pb2 import Element

from benchmarks.app_core import CHANNEL_SIDE, CURVE_SETTINGS, FIRST_METHODS, FRAME_SIDE, Core
from benchmarks.app_scenarios import BAR, FEW_PASSES, FEW_STEPS
from benchmarks.common import median, side_by_side
from cam_core import METHODS, SAMPLES, Classifier, Explanation, explain, load_image
from cam_core.images import ASSETS
from cam_core.metrics.curves.frames import Film
from cam_core.metrics.curves.perturbation import KINDS, Kind
from cam_core.models.tails import nonlinear_layer
from cam_core.overlay import SEQUENTIAL, close_up, display_values, limits, overlay, shaded
from cam_core.shapley import stream_channel_shap
from pages.shared.pictures import address
from scripts.visitor import Visitor, Wanted, html, picture

CHEAP: Final = ("hires-cam", "layer-cam", "xgrad-cam", "grad-cam++", "eigen-cam")
SLOW: Final = "score-cam"
QUICK: Final = ("method", "class", "slider", "channel")
"""The clicks that a reader expects to be answered at once."""

CLASS_BOX: Final = "Class to explain"
METHODS_BOX: Final = "Methods"
CHANNEL_BOX: Final = "Channel"
CHANGED_SLIDER: Final = "Pixels changed, most salient first"
UPLOADER: Final = "A photo of yours"

_PHOTOS: Final = sorted((ASSETS / "eval").glob("*.jpg"))
_NEAREST: Final = 0.8  # share of a photo's width and height that is left at least
_CLASSES: Final = 6  # most probable classes that are asked for
_START: Final = 20  # per cent: where the slider stands
_ALIKE: Final = 1.0  # levels of 255 by which two pictures of one answer differ at most, on average
_REMOVED: Final = 30  # channels that the page takes away


@dataclass(frozen=True)
class Question:
    """The question that a picture answers.

    Attributes:
        photo: number of the visitor's own photo.
        rank: place of the explained class among the photo's most probable ones.
        about: a method's key; a method, kind of curve and per cent; or a channel.
    """

    photo: int
    rank: int
    about: str | tuple[str, Kind, int] | int


@dataclass(frozen=True)
class Click:
    """One request: what is done, what answers it, and the calls of the core that it takes.

    Attributes:
        kind: of request: one of `QUICK`, "slow" or "curves".
        pictures: questions, each with the beginning of the description of the picture that answers it.
        also: what else must have been drawn.
    """

    kind: str
    do: Callable[[], None]
    pictures: dict[Question, str]
    costs: tuple[str, ...]
    also: tuple[Wanted, ...] = ()

    def wanted(self) -> list[Wanted]:
        """The conditions of an answer, those of the pictures first."""
        return [*map(picture, self.pictures.values()), *self.also]


@dataclass(frozen=True)
class Lesson:
    """A page and what is done there.

    Attributes:
        opens: the beginnings of the descriptions of the pictures that a reader waits for, once the page is opened.
        fills: what is drawn later, if anything.
        costs, filling_costs: calls of the core for what a new photo opens with, and for what fills it.
        clicks: endless; the photo's number tells where in their order a visitor begins.
    """

    title: str
    path: str
    clicks: Callable[[Visitor, int], Iterator[Click]]
    opens: tuple[str, ...]
    costs: tuple[str, ...]
    link: dict[str, str] = field(default_factory=dict)
    fills: tuple[Wanted, ...] = ()
    filling_costs: tuple[str, ...] = ()
    slow: bool = False


def _titles(*methods: str) -> list[str]:
    return [METHODS[method].title for method in methods]


def _class(visitor: Visitor, rank: int) -> str:
    """The option of a class in the picker."""
    option: str = visitor.widgets[CLASS_BOX].proto.options[rank]
    return option


def _label(option: str) -> str:
    """The class without its probability."""
    return option.rpartition(" · ")[0]


def _maps(visitor: Visitor, photo: int, rank: int, *methods: str) -> dict[Question, str]:
    label = _label(_class(visitor, rank))
    return {Question(photo, rank, method): f"{METHODS[method].title} heatmap for {label} over" for method in methods}


def compare(visitor: Visitor, photo: int) -> Iterator[Click]:
    """Two more methods, one after the other, then another class."""
    beside = FIRST_METHODS[0]
    methods = cycle(CHEAP)
    method = FIRST_METHODS[1]
    for rank in cycle(range(_CLASSES)):
        if rank:
            shown = (beside, method)
            maps = _maps(visitor, photo, rank, *shown)
            option = _class(visitor, rank)
            yield Click("class", partial(visitor.choose, CLASS_BOX, option), maps, shown)
        for _ in range(2):
            method = next(methods)
            options = _titles(beside, method)
            yield Click(
                "method",
                partial(visitor.choose, METHODS_BOX, *options),
                _maps(visitor, photo, rank, method),
                (method,),
            )


def score_cam(visitor: Visitor, photo: int) -> Iterator[Click]:
    """Score-CAM of one class after the other."""
    options = _titles(FIRST_METHODS[0], SLOW)
    first = _maps(visitor, photo, 0, SLOW)
    yield Click("slow", partial(visitor.choose, METHODS_BOX, *options), first, (SLOW,))
    for rank in count(1):
        maps = _maps(visitor, photo, rank, SLOW)
        option = _class(visitor, rank)
        yield Click("slow", partial(visitor.choose, CLASS_BOX, option), maps, (FIRST_METHODS[0], SLOW))


def deletion(visitor: Visitor, photo: int) -> Iterator[Click]:
    """The slider three times, then the curves of another class."""
    percents = cycle(range(_START + 1, 100))
    for rank in cycle(range(_CLASSES)):
        if rank:
            option = _class(visitor, rank)
            choose = partial(visitor.choose, CLASS_BOX, option)
            yield Click("curves", choose, {}, (*FIRST_METHODS, "curves", "metrics"), CURVES_ARE_WHOLE)
        for percent in (next(percents) for _ in range(3)):
            yield Click(
                "slider",
                partial(visitor.slide, CHANGED_SLIDER, percent),
                _frames(photo, rank, percent),
                ("frames",),
            )


def _frames(photo: int, rank: int, percent: int) -> dict[Question, str]:
    done: dict[Kind, str] = {"deletion": "removed", "insertion": "shown"}
    return {
        Question(photo, rank, (method, kind, percent)): (
            f"{METHODS[method].title}: the photo with {percent} % of its pixels {done[kind]}"
        )
        for method in FIRST_METHODS
        for kind in KINDS
    }


def channels(visitor: Visitor, photo: int) -> Iterator[Click]:
    """Three channels, one after the other, then another class."""
    places = cycle(range(1, 20))
    for rank in cycle(range(_CLASSES)):
        if rank:
            option = _class(visitor, rank)
            subtitle = html(f"carry <b>{escape(_label(option))}</b>")
            bars = (picture("Channel "), subtitle)
            choose = partial(visitor.choose, CLASS_BOX, option)
            yield Click("estimate", choose, {}, ("shapley", "removal", *FIRST_METHODS), bars)
        for place in (next(places) for _ in range(3)):
            option = visitor.widgets[CHANNEL_BOX].proto.options[place]
            number = int(option.split()[0])
            yield Click(
                "channel",
                partial(visitor.choose, CHANNEL_BOX, option),
                {Question(photo, rank, number): f"Channel {number} heatmap"},
                ("channel",),
            )


CURVES_ARE_WHOLE: Final = (html("Area under the curve", without="…≈"),)
_FIRST_MAPS: Final = tuple(f"{title} heatmap" for title in _titles(*FIRST_METHODS))
_FIRST_FRAMES: Final = tuple(f"{title}: the photo with {_START} %" for title in _titles(*FIRST_METHODS))
COMPARE: Final = Lesson("Compare", "/", compare, _FIRST_MAPS, ("first sight",))
SCORE_CAM: Final = Lesson("Score-CAM", "/", score_cam, _FIRST_MAPS, ("first sight",), slow=True)
DELETION: Final = Lesson(
    "Deletion",
    "/deletion",
    deletion,
    _FIRST_FRAMES,
    ("first sight",),
    {"steps": str(FEW_STEPS)},
    CURVES_ARE_WHOLE,
    ("curves", "metrics"),
)
CHANNELS: Final = Lesson(
    "Channels", "/channels", channels, ("Channel ",), ("first sight", "shapley", "removal"), {"budget": str(FEW_PASSES)}
)
LESSONS: Final = (COMPARE, DELETION, SCORE_CAM, CHANNELS)


def lessons(visitors: int, slow: int) -> list[Lesson]:
    """One lesson per visitor: `slow` of them, evenly among the others, compute Score-CAM, the others' take turns."""
    quick = cycle(lesson for lesson in LESSONS if not lesson.slow)
    slow_ones = {(2 * place + 1) * visitors // (2 * slow) for place in range(slow)}
    return [SCORE_CAM if number in slow_ones else next(quick) for number in range(visitors)]


def own_photo(number: int) -> bytes:
    """The JPEG file of a visitor's own photo: a part of a bundled one that no other number has."""
    image = load_image(_PHOTOS[number % len(_PHOTOS)])
    draw = random.Random(number)
    width, height = (round(side * draw.uniform(_NEAREST, 1)) for side in image.size)
    left, top = draw.randint(0, image.width - width), draw.randint(0, image.height - height)
    buffer = io.BytesIO()
    image.crop((left, top, left + width, top + height)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def core_seconds(clf: Classifier, rounds: int) -> dict[str, float]:
    """Seconds of the core alone for everything that a lesson asks of it."""
    core = Core(clf, SAMPLES[0].key, seed=0)
    jobs = {method: core.one_method(method) for method in {*FIRST_METHODS, *CHEAP, SLOW}}
    jobs |= {
        "first sight": core.first_sight(),
        "curves": core.curves(FEW_STEPS),
        "metrics": core.metrics(),
        "frames": core.frames(FEW_STEPS, 0.21),
        "shapley": core.shapley(FEW_PASSES),
        "removal": core.removal(_REMOVED),
        "channel": core.channel_map(FEW_PASSES, BAR),
    }
    return {name: median(times) for name, times in side_by_side(jobs, rounds).items()}


class Answers:
    """The answers of the core to the visitors' questions, as pictures that stand in a page."""

    def __init__(self, clf: Classifier) -> None:
        self._clf = clf
        self._photo = cache(lambda number: load_image(own_photo(number)))
        self._ranking = cache(lambda number: clf.predict(self._photo(number), top=None))
        self._explanation = cache(self._explain)
        self._film = cache(self._make_film)
        self._activations = cache(self._activate)

    def own(self, question: Question, shown: str) -> bool:
        """Whether a picture that was shown, an address that holds it, is the answer to the question."""
        answer = self.of(question)
        return shown == answer or alike(shown, answer)

    def of(self, question: Question) -> str:
        """The picture that answers a question."""
        if isinstance(question.about, str):
            return address(self._map(question, self._explanation(question).map))
        if isinstance(question.about, int):
            raw = self._activations(question.photo, question.rank)[question.about]
            frame = self._frame(question, CHANNEL_SIDE)
            return address(shaded(frame, display_values(raw, (frame.height, frame.width), signed=True)))
        method, kind, percent = question.about
        return address(self._film(question.photo, question.rank).at(percent / 100)[method, kind].photo)

    def _map(self, question: Question, raw: Any) -> Image.Image:
        frame = self._frame(question)
        values = display_values(raw, (frame.height, frame.width))
        return overlay(frame, values, 0.5, SEQUENTIAL[0], limits([values]))

    def _frame(self, question: Question, side: int = FRAME_SIDE) -> Image.Image:
        photo = self._photo(question.photo)
        return close_up(photo, self._clf.preprocessing.box(photo.size), side)

    def _explain(self, question: Question) -> Explanation:
        target = self._ranking(question.photo)[question.rank].index
        layer = None if METHODS[str(question.about)].multi_layer else self._clf.default_layer
        return explain(self._clf, self._photo(question.photo), method=str(question.about), layer=layer, target=target)

    def _make_film(self, photo: int, rank: int) -> Film:
        maps = {method: self._explanation(Question(photo, rank, method)) for method in FIRST_METHODS}
        target = self._ranking(photo)[rank].index
        return Film(self._clf, self._photo(photo), maps, kinds=KINDS, target=target, steps=FEW_STEPS, **CURVE_SETTINGS)

    def _activate(self, photo: int, rank: int) -> Any:
        target = self._ranking(photo)[rank].index
        stream = stream_channel_shap(
            self._clf, self._photo(photo), layer=nonlinear_layer(self._clf), target=target, budget=FEW_PASSES
        )
        return next(iter(stream)).activations[0].float().numpy()


def alike(shown: str, answer: str) -> bool:
    """Whether two addresses hold the same picture but for rounding."""
    first, second = _pixels(shown), _pixels(answer)
    return first.shape == second.shape and float(np.abs(first - second).mean()) <= _ALIKE


def _pixels(shown: str) -> Any:
    """Pixels of a picture in an address, as numbers with a sign."""
    encoded = base64.b64decode(shown.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"), dtype=np.int16)


def shown_picture(element: Element, start: str) -> str:
    """The address of the picture whose description begins like this."""
    url: str = next(image.url for image in element.imgs.imgs if image.alt.startswith(start))
    return url
