"""The board of the LFI-CAM page: images with their true masks, and where each bundled network looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from typing import Any, Final

import streamlit as st
from PIL import Image

from cam_core import Classifier, load_model
from cam_core.models.trainable.trained import ARCHITECTURE_TITLES, TrainedNetwork, digit_networks
from cam_core.overlay import SEQUENTIAL, display_values, highlight, limits, overlay
from cam_core.training import DigitsSet
from cam_core.training.digits import CHUNK
from cam_core.training.image_sets import Masks
from cam_core.training.looks import Look, looks, share_on_object
from cam_core.types import FloatArray
from pages.runtime import compute, devices
from pages.runtime.compute import Task
from pages.runtime.jobs import Job
from pages.shared import links, messages, photo, pictures, style

SHOWN: Final = 4
"""Images on the board."""

_SIDE: Final = 192  # pixels of a picture
_HELD_OUT: Final = 1000
_MINE: Final = "Mine"
_WORDS: Final = """
- **LFI-CAM**: learns how important each channel of its last feature map is, by looking at that feature map. The
  weighted sum of the channels is its attention, and its answer depends on it.
- **Attention branch network** (ABN): a branch of its own draws the attention, and answers too.
- **Baseline**: the same network without attention. Grad-CAM explains its answer after the fact.
- **Attention**: where the network itself looks; it is the same whatever class is asked for.
- **3.2 × its share**: the part of the map that lies on the digit, over the digit’s share of the image. A map that is
  bright everywhere would get 1.
"""


@dataclass(frozen=True)
class Sample:
    """An image on the board: the held-out one of that index; or a visitor's own, whose `label`, `mask` (S, S) and
    index are unknown."""

    title: str
    image: Image.Image
    label: str = ""
    mask: Masks | None = None
    index: int | None = None


@dataclass(frozen=True)
class Board:
    """Images, and what each network says of them, by the network's key."""

    samples: tuple[Sample, ...]
    looks: dict[str, list[Look]]


def board() -> Board | None:
    """The controls and the board, which is returned, or what stands in its place."""
    networks = {key: entry for key, entry in digit_networks().items() if entry.arch in ARCHITECTURE_TITLES}
    if not networks:
        messages.empty(
            "The bundled networks are not here. Train one below, or get them by: "
            "python -m cam_core train --arch lfi --out assets/models"
        )
        return None
    with st.container(horizontal=True, vertical_alignment="top", key="board-controls"):
        source = st.segmented_control(
            "Images",
            ["Held-out", _MINE],
            default="Held-out",
            required=True,
            key="images",
            bind="query-params",
            help="Held-out: digits and photos that no network was trained on. Mine: an image of yours.",
        )
        first = _first() if source != _MINE else 0
        opacity = st.slider("Opacity", 0.0, 1.0, 0.55, 0.05, format="percent", **links.kept("board-opacity"), width=180)
        with st.popover("What is compared", icon=":material/help:"):
            st.markdown(_WORDS)
    outcome = _held_out(networks, first) if source != _MINE else _mine(networks)
    if isinstance(outcome, Job):
        _unfinished(outcome)
        return None
    if outcome is not None:
        st.html(_html(outcome, networks, opacity))
        with st.container(key="board-scale"):
            st.html(style.colour_bar(SEQUENTIAL[0], 0, 1))
        st.html(
            style.quiet(
                "Every map has a scale of its own, from its lowest to its highest value. Attention is the network’s "
                "own and depends on no class; Grad-CAM explains the predicted class after the fact. × its share: how "
                "much more of the map lies on the digit than of one that is bright everywhere, which would get 1."
            )
        )
    return outcome


def _first() -> int:
    return int(
        st.number_input(
            "First image shown",
            min_value=0,
            max_value=_HELD_OUT - SHOWN,
            value=0,
            step=SHOWN,
            key="from",
            bind="query-params",
            width=150,
            help=f"{_HELD_OUT} images are held out, by number from 0: this one and the {SHOWN - 1} after it are shown.",
        )
    )


def _held_out(networks: dict[str, TrainedNetwork], first: int) -> Board | Job:
    def samples() -> list[Sample]:
        data = DigitsSet("held-out", count=composed(first + SHOWN))
        assert data.masks is not None
        return [
            Sample(
                f"Held-out image {index}",
                data.picture(index),
                str(data.labels[index]),
                data.masks[index],
                index,
            )
            for index in range(first, first + SHOWN)
        ]

    return _outcome(networks, samples, f"held-out {first}")


def composed(needed: int) -> int:
    """How many images to compose, so that the first `needed` are those of the whole set: composing all takes longer."""
    return min(-(-needed // CHUNK) * CHUNK, _HELD_OUT)


def _mine(networks: dict[str, TrainedNetwork]) -> Board | Job | None:
    with st.container(key="board-file"):
        upload = photo.from_file("Upload", key="-board")
    if upload is None:
        st.html(style.quiet("Drop an image with a large, light digit on it. The networks see its middle, 64 × 64."))
        return None
    st.html(style.notice_line("These networks know digits alone: whatever else they are shown, they call a digit."))
    return _outcome(networks, lambda: [Sample(upload.title, upload.image)], f"{upload.digest} {upload.title}")


def _outcome(networks: dict[str, TrainedNetwork], samples: Any, identity: str) -> Board | Job:
    checksums = [network.card["sha256"] for network in networks.values()]
    task = Task(compute.digest("board", checksums, identity), partial(_look, list(networks), samples), "Maps")
    outcome: Board | Job = compute.outcomes("board", [task], patience=4 * compute.PATIENCE)[0]
    return outcome


def _look(keys: Sequence[str], samples: Any, job: Job) -> Board:
    unframed: list[Sample] = samples()
    by_network: dict[str, list[Look]] = {}
    for number, key in enumerate(keys):
        job.progress(number, len(keys))
        clf = network(key)
        with devices.computing(str(clf.device), job):
            by_network[key] = looks(clf, [sample.image for sample in unframed])
    frame = network(keys[0]).preprocessing.frame
    return Board(tuple(replace(sample, image=frame(sample.image)) for sample in unframed), by_network)


@st.cache_resource(max_entries=3, show_spinner=False)
def network(key: str) -> Classifier:
    """A bundled network. It is small: the CPU is fastest."""
    return load_model(key, device="cpu")


def _unfinished(job: Job) -> None:
    messages.pending(job, "Looking", "There are no maps.", messages.again(job), key="board")


def _html(content: Board, networks: dict[str, TrainedNetwork], opacity: float) -> str:
    masks = any(sample.mask is not None for sample in content.samples)
    heads = ["<div>Image</div>", *(["<div>True mask</div>"] if masks else [])]
    heads += [_head(networks[key], network_looks[0]) for key, network_looks in content.looks.items()]
    cells = []
    for index, sample in enumerate(content.samples):
        caption = f"true class: {sample.label}" if sample.label else sample.title
        cells.append(_figure(sample.image, sample.title, escape(caption), given=True))
        if sample.mask is not None:
            alt = f"True mask of {sample.title.lower()}"
            cells.append(_figure(_masked(sample), alt, _area(sample.mask), given=True))
        cells += [
            _cell(sample, network_looks[index], networks[key], opacity) for key, network_looks in content.looks.items()
        ]
    return f'<div class="cam-board" style="--columns: {len(heads)}">{"".join(heads)}{"".join(cells)}</div>'


def _head(entry: TrainedNetwork, look: Look) -> str:
    accuracy = entry.card["accuracy"]
    right = f"this network: {style.percent(accuracy)} right" if isinstance(accuracy, float) else ""
    return f"<div>{escape(ARCHITECTURE_TITLES[entry.arch])}<small>{_kind(look)}</small><small>{right}</small></div>"


def _kind(look: Look) -> str:
    return "attention" if look.attention else "Grad-CAM"


def _cell(sample: Sample, look: Look, entry: TrainedNetwork, opacity: float) -> str:
    prediction = look.prediction
    mark = "" if not sample.label else "&nbsp;✓" if prediction.label == sample.label else "&nbsp;✗"
    title = ARCHITECTURE_TITLES[entry.arch]
    said = f"says {escape(prediction.label)}, {style.percent(prediction.probability)} sure{mark}"
    text = f"<b>{escape(title)}, {_kind(look)}</b>{said}"
    if sample.mask is not None:
        text += f"<small>{_on_digit(share_on_object(look.map, sample.mask), float(sample.mask.mean()))}</small>"
    picture = heat(sample.image, look.map, opacity)
    return _figure(picture, f"{title} heatmap of {sample.title.lower()}: says {prediction.label}", text)


def heat(image: Image.Image, values: FloatArray, opacity: float) -> Image.Image:
    """A map (h, w) over its image, from its lowest to its highest value."""
    large = image.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
    spread = display_values(values, (_SIDE, _SIDE))
    return overlay(large, spread, opacity, SEQUENTIAL[0], limits([spread]))


def _masked(sample: Sample) -> Image.Image:
    """The image, dark outside the object."""
    assert sample.mask is not None
    return highlight(sample.image.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC), sample.mask)


def _area(mask: Masks) -> str:
    share = style.percent(float(mask.mean()))
    return f"<b>True mask</b><small>the digit: {share} of the image</small>"


def _on_digit(share: float, even: float) -> str:
    """ "10.9 % of the map on the digit: 3.2 × its share"; a map that is bright everywhere has `even` there."""
    times = f": {share / even:.1f} × its share" if even else ""
    return f"{style.percent(share)} of the map on the digit{times}"


def _figure(picture: Image.Image, alt: str, caption: str, *, given: bool = False) -> str:
    """`caption` is HTML; `given` is what no network says: the image, and its mask."""
    kind = ' class="cam-given"' if given else ""
    return f"<figure{kind}>{image(picture, alt)}<figcaption>{caption}</figcaption></figure>"


def image(picture: Image.Image, alt: str) -> str:
    """A picture as HTML, with its content inside."""
    large = picture.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
    return f'<img src="{pictures.address(large)}" alt="{escape(alt)}">'
