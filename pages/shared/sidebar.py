"""The sidebar: photo, model, layer, class, and how to compute. It makes the scene that every page starts from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import streamlit as st

from cam_core.models.classifier import Prediction
from cam_core.models.devices import available_devices
from cam_core.models.tails import is_pooled_linear, nonlinear_layer
from cam_core.targets import TargetScore
from cam_core.training import BUILT_IN
from cam_core.types import CamError, ImageError
from pages.runtime import compute
from pages.runtime.compute import ModelSpec, Question
from pages.runtime.jobs import Job
from pages.shared import links, messages, models, pickers, scene, style
from pages.shared.models import BUNDLED, Offer
from pages.shared.networks import dialog, linked
from pages.shared.photo import photo_picker, was_chosen
from pages.shared.scene import Photo, Scene
from pages.shared.targets import another, picker

_WITHOUT_SCENE = ("lfi", "benchmark")  # pages that explain no photo of the visitor's choice
_MOST_NAMED = 6  # classes that are called by their names
_MUCH = 2  # times its size: a photo that is enlarged so looks like none of those that the network knows
_PAIRED = ("classes",)  # pages that open on a photo of two animals, and ask for their two classes themselves
_NONLINEAR = ("channels",)  # pages that open where the network behind the layer is more than pooling and a linear layer

_BEFORE = "_network_before"  # the last network that a scene was made of
_DEVICE_NAMES = {"auto": "Automatic", "cpu": "CPU", "cuda": "GPU (CUDA)", "mps": "GPU (Apple)"}


def sidebar(page: str = "") -> None:
    """Draw the sidebar and put the scene, or the reason why there is none.

    Args:
        page: the address of the page that it stands beside, which decides the layer that is shown first.
    """
    links.follow(page)
    with st.sidebar:
        scene_box = st.container()
        links.copy_button()
    if page not in _WITHOUT_SCENE:
        with scene_box:
            _scene(page)


def _scene(page: str) -> None:
    photo_box, model_box, layer_box, class_box = (st.container() for _ in range(4))
    with model_box:
        offer = _model()
    with st.expander("Computation"):
        device, weights_box, precision, seed, compiled = _computation(offer)
    with weights_box:
        weights, weights_seed = _weights(offer)
    spec = _spec(offer, weights, weights_seed, device)
    with model_box:
        st.html(style.quiet(offer.whole) if weights == "default" else style.notice_line(_untrained(spec)))
        dialog.button()
    with photo_box:
        try:
            photo = photo_picker(digits=offer.data == BUILT_IN, pair=page in _PAIRED)
        except ImageError as error:
            scene.put(_explained("There is no photo.", error))
            return
    spec = replace(spec, fit=photo.fit)
    outcome = compute.predictions(spec, photo.digest, photo.image)
    if isinstance(outcome, Job):
        scene.put(_waiting(spec, offer, outcome))
        return
    st.session_state[_BEFORE] = offer.key
    with layer_box:
        layer = _layer(spec, nonlinear=page in _NONLINEAR)
    with class_box:
        paired = page in _PAIRED
        target = _class(spec, photo, outcome) if paired else _target(spec, offer, photo, outcome)
    question = Question(photo.digest, spec, layer, target, precision, seed, compiled)
    scene.put(Scene(photo, question, outcome, (*_opened(photo, paired), *_notices(spec, offer, photo))))


def _model() -> Offer:
    """The chosen network."""
    linked.follow()
    dialog.take_chosen()
    offers = models.offers()
    key = links.choice(
        "model",
        "Model",
        {key: offer.line for key, offer in offers.items()},
        default=models.opening(),
    )
    return offers[key]


def _spec(offer: Offer, weights: str, weights_seed: int, device: str) -> ModelSpec:
    if weights == "default":
        return ModelSpec(offer.name, offer.weights, device=device, labels=offer.labels)
    return ModelSpec(offer.name, weights, weights_seed, device)


def _untrained(spec: ModelSpec) -> str:
    return f"Untrained network: random weights, seed {spec.weights_seed}"


def _opened(photo: Photo, pair: bool) -> Iterator[str]:
    """That the gallery has opened on another photo than elsewhere, where the visitor has chosen none in it."""
    if was_chosen(photo):
        return
    if photo.source == "digits":
        yield f"Shown: {photo.title}, since this network knows digits. The other networks keep their own photo."
    elif pair:
        yield f"Shown: {photo.title}, two animals for two classes, until you choose a photo yourself."


def _notices(spec: ModelSpec, offer: Offer, photo: Photo) -> Iterator[str]:
    """What to know before looking at anything else: a network that has learnt nothing, or nothing like this photo."""
    if spec.weights == "random":
        yield f"{_untrained(spec)}. It has learnt nothing: its maps are a control, and its classes mean nothing."
    elif offer.data == BUILT_IN and photo.source == "gallery":
        yield (
            "This network knows digits alone, and this photo is none: it calls everything a digit. Choose one of the "
            "digits under Photo."
        )
    elif offer.data == BUILT_IN and photo.source == "visitor":
        yield (
            "This network knows digits alone: light ones, large in the middle of a dim photo. Whatever else it is "
            "shown, it calls a digit."
        )
    elif offer.data not in ("", BUILT_IN):
        data, classes = offer.data.replace("folder ", "the folder ", 1), _several(compute.classifier(spec).labels)
        yield (
            f"This network was trained on {data}, and knows {classes} alone: "
            "whatever else it is shown, it calls one of these."
        )
    elif _enlarged(spec, photo):
        width, height = photo.image.size
        yield (
            f"This photo has {width} × {height} pixels and is enlarged for the network: it is blurred, as those that "
            "the network was trained on are not."
        )


def _several(labels: Sequence[str]) -> str:
    """ "cats and dogs", or the first few of many."""
    if len(labels) > _MOST_NAMED:
        return f"{', '.join(labels[:_MOST_NAMED])} and {len(labels) - _MOST_NAMED} others"
    return f"{', '.join(labels[:-1])} and {labels[-1]}"


def _enlarged(spec: ModelSpec, photo: Photo) -> bool:
    """Whether the network sees the photo at much more than its size."""
    preprocessing = compute.classifier(spec).preprocessing
    side = max(photo.image.size) if preprocessing.fit == "letterbox" else min(photo.image.size)
    return _MUCH * side < min(preprocessing.input_size)


def _layer(spec: ModelSpec, nonlinear: bool) -> str:
    clf = compute.classifier(spec)
    labels = {layer.name: layer.label for layer in clf.layers}
    default = nonlinear_layer(clf) if nonlinear else clf.default_layer
    chosen = links.choice(
        "layer",
        "Layer",
        labels,
        default=default,
        scope=spec.name,
        help="The feature map that is explained: its name in the network’s own code, and channels × height × width. "
        "Late layers know what, early ones where.",
    )
    if chosen == default != clf.default_layer:
        pooled = is_pooled_linear(clf.split(clf.default_layer).halves)
        why = (
            f"behind {clf.default_layer} the network only averages and adds" if pooled else "the last stage begins here"
        )
        st.html(style.quiet(f"Earlier than on other pages: {why}."))
    return chosen


def _target(spec: ModelSpec, offer: Offer, photo: Photo, predictions: tuple[Prediction, ...]) -> int | TargetScore:
    """The class, and what of it is explained."""
    options, scope = _class_options(predictions), scene.class_scope(spec, photo)
    index = _chosen_class(options, scope, drawn=True)
    return picker.choose(
        index,
        options,
        scope=scope,
        two_sided=compute.classifier(spec).two_sided,
        similarity=lambda: another.similarity(spec, photo, offer.data),
    )


def _class(spec: ModelSpec, photo: Photo, predictions: tuple[Prediction, ...]) -> int:
    """The class that other pages explain, on a page that asks for classes of its own."""
    st.html(style.quiet("Classes to explain: A and B, on the page itself."))
    return _chosen_class(_class_options(predictions), scene.class_scope(spec, photo), drawn=False)


def _class_options(predictions: tuple[Prediction, ...]) -> dict[str, str]:
    return {
        str(prediction.index): f"{prediction.label} · {style.percent(prediction.probability)}"
        for prediction in predictions
    }


def _chosen_class(options: dict[str, str], scope: str, *, drawn: bool) -> int:
    index = links.choice(
        "class",
        "Class to explain",
        options,
        default=next(iter(options)),
        scope=scope,
        drawn=drawn,
        help="All classes, most probable first. Type to search.",
    )
    return int(index)


def _computation(offer: Offer) -> tuple[str, st.delta_generator.DeltaGenerator, str, int, bool]:
    """Device, a place for the weights, precision, seed, whether to compile."""
    device = _device(offer)
    weights_box = st.container()
    precision = pickers.precision()
    seed = pickers.seed()
    compiled = st.toggle(
        "Compile for long jobs",
        **links.kept("compiled"),
        help="Slow methods compile the network first. That takes up to a minute, in which nothing seems to happen, "
        "and makes every masked image after it cheaper: worth it where thousands follow.",
    )
    return device, weights_box, precision, seed, compiled


def _device(offer: Offer) -> str:
    """The chosen device; of a network that stays where it is, that is said instead."""
    if offer.device:
        st.html(style.quiet(f"Device: {offer.device}, where whoever serves {offer.title} has put it."))
        return "auto"
    existing = ["auto", *dict.fromkeys(name.partition(":")[0] for name in available_devices())]
    return links.choice("device", "Device", {name: _DEVICE_NAMES[name] for name in existing}, default="auto")


def _weights(offer: Offer) -> tuple[str, int]:
    if offer.fixed:
        return "default", 0
    weights = links.choice(
        "weights",
        "Weights",
        {"default": "Trained", "random": "Random (untrained)"},
        default="default",
        scope=offer.key,
        help="An untrained network is a control: a map that looks the same for it explains nothing.",
    )
    if weights == "default":
        return weights, 0
    return weights, int(st.number_input("Seed of the weights", 0, 2**31 - 1, 0, **links.kept("weights-seed")))


def _use(key: str) -> None:
    st.session_state[links.widget_key("model")] = key


def _use_bundled() -> None:
    st.session_state[links.widget_key("model")] = BUNDLED
    st.session_state[links.widget_key("weights", BUNDLED)] = "default"
    st.session_state[links.widget_key("device")] = "auto"


def _use_random_weights(key: str) -> None:
    st.session_state[links.widget_key("weights", key)] = "random"


def _explained(what: str, error: CamError) -> Callable[[Callable[[], None]], None]:
    def draw(heading: Callable[[], None]) -> None:
        heading()
        messages.failure(what, str(error), key="scene")

    return draw


def _waiting(spec: ModelSpec, offer: Offer, job: Job) -> Callable[[Callable[[], None]], None]:
    """The drawing that pages show while the model is on its way, or if it cannot be had."""

    def draw(heading: Callable[[], None]) -> None:
        if job.state == "failed":
            heading()
        leave = None if spec.name == BUNDLED else ("Use the bundled model instead", _use_bundled)
        ways_out = [messages.again(job)]
        if spec.weights == "default" and spec.name != BUNDLED and not offer.fixed:
            ways_out.insert(0, ("Use random weights", partial(_use_random_weights, offer.key)))
        if spec != ModelSpec(BUNDLED):
            ways_out.insert(0, ("Back to the bundled model", _use_bundled))
        before = models.offers().get(st.session_state.get(_BEFORE, ""))
        if before and before.key not in (offer.key, BUNDLED):
            ways_out.insert(0, (f"Back to {before.title}", partial(_use, before.key)))
        what, lost = f"Loading {offer.title}", f"{offer.title} cannot be used."
        messages.pending(job, what, lost, *ways_out, key="scene", leave=leave)

    return draw
