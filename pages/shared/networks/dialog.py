"""The dialog behind "My network …": one of timm's by name, a checkpoint, an ONNX file, or a folder.

Folders are those of the machine that the app runs on. They and ONNX files are there only where it serves itself alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import streamlit as st

from cam_core.models.brought.onnx_file import ENDING
from cam_core.models.zoo.foreign import ENDINGS
from cam_core.models.zoo.names import architecture_names, count_parameters, official_file, pretrained_names
from cam_core.models.zoo.timm_models import PREFIX
from cam_core.types import CamError
from pages.runtime.limits import limits
from pages.shared import links, messages, style
from pages.shared.networks.kept import keep_folder, keep_named, keep_onnx, keep_uploaded

_OPEN: Final = "_my_network"
_CHOSEN: Final = "_my_network_chosen"
_LABELS_MB: Final = 1
_SOURCES: Final = ("By name", "Checkpoint", "ONNX file", "Folder")
_WEIGHTS: Final = ("Trained", "Random (untrained)")


def button() -> None:
    """The button under the picker, and the dialog as long as it is open: also while the page is drawn again."""
    st.button("My network …", key="my-network", type="tertiary", icon=":material/add:", on_click=_open)
    if st.session_state.get(_OPEN):
        _dialog()


def take_chosen() -> None:
    """Called before the picker is drawn: what was chosen in the dialog is the model from now on."""
    key, weights = chosen()
    if key:
        st.session_state[links.widget_key("model")] = key
        st.session_state[links.widget_key("weights", key)] = weights


def chosen() -> tuple[str, str]:
    """The network that was chosen in the dialog a moment ago, by its key, and its weights; "" where none was."""
    made: tuple[str, str] = st.session_state.pop(_CHOSEN, ("", ""))
    return made


def _open() -> None:
    st.session_state[_OPEN] = True


def _close() -> None:
    st.session_state[_OPEN] = False


@st.dialog("My network", on_dismiss=_close)
def _dialog() -> None:
    sources = _SOURCES if limits().folders else _SOURCES[:2]
    source = st.segmented_control(
        "Where it comes from", sources, default=_SOURCES[0], required=True, width="stretch", key="network-source",
        label_visibility="collapsed",
    )  # fmt: skip
    if source == _SOURCES[0]:
        _by_name()
    elif source == _SOURCES[1]:
        _by_file()
    elif source == _SOURCES[2]:
        _by_onnx()
    else:
        _by_folder()


def _by_name() -> None:
    names = pretrained_names()
    name = st.selectbox(
        "A network of timm",
        names,
        index=None,
        format_func=lambda name: name.removeprefix(PREFIX),
        filter_mode="contains",
        placeholder=f"Type to search {len(names):,} pretrained classifiers",
        key="network-name",
    )
    weights = st.segmented_control("Weights", _WEIGHTS, default=_WEIGHTS[0], required=True, key="network-weights")
    random = weights == _WEIGHTS[1]
    if name is not None:
        st.html(style.notice_line(_UNTRAINED) if random else style.quiet(_official(name)))
    _use(None if name is None else partial(keep_named, name), "random" if random else "default")


_UNTRAINED: Final = "It will have learnt nothing: its maps are a control, and its classes mean nothing."


def _official(name: str) -> str:
    file = official_file(name)
    count = count_parameters(name)
    size = f"{count / 1e6:.1f} M weights, {count * 4 / (1 << 20):,.0f} MB"
    if file.here:
        return f"{size}: on this machine, nothing is downloaded."
    return f"{size}: not on this machine. Downloaded from {file.source} when first used."


def _by_file() -> None:
    most = limits().checkpoint_bytes >> 20
    file = st.file_uploader(
        "Weights", type=[ending.removeprefix(".") for ending in ENDINGS], max_upload_size=most, key="network-file"
    )
    st.html(
        style.quiet(
            "Safetensors, or a state dict as torch.save writes it: code in it is never run. It goes when this visit "
            "ends; a link cannot carry it."
        )
    )
    name = st.selectbox(
        "Architecture",
        architecture_names(),
        index=None,
        filter_mode="contains",
        placeholder="Type to search torchvision and timm",
        key="network-architecture",
        help="The network that these weights are of. The number of classes is read from the weights.",
    )
    labels = _labels()
    if file is None or name is None:
        _use(None, "default")
        return
    _use(lambda: keep_uploaded(file.getvalue(), file.name, name, labels), "default")


def _by_onnx() -> None:
    most = limits().checkpoint_bytes >> 20
    file = st.file_uploader("ONNX file", type=ENDING.removeprefix("."), max_upload_size=most, key="network-onnx")
    st.html(
        style.quiet(
            "With its weights in it. Photos are given the size that it states, and the range of values that its "
            "metadata states as Image.NominalPixelRange; where it states none, ImageNet’s mean and deviation. It goes "
            "when this visit ends; a link cannot carry it."
        )
    )
    labels = _labels()
    _use(None if file is None else lambda: keep_onnx(file.getvalue(), file.name, labels), "default")


def _labels() -> bytes | None:
    file = st.file_uploader(
        "Labels (optional)", type="txt", max_upload_size=_LABELS_MB, key="network-labels",
        help="A text file: one label per line, in the order of the classes.",
    )  # fmt: skip
    return None if file is None else file.getvalue()


def _by_folder() -> None:
    path = st.text_input("Folder", key="network-folder", placeholder="~/models/my-vit").strip()
    st.html(
        style.quiet(
            "On the machine that the app runs on, as save_pretrained of transformers writes an image classifier: "
            "config.json, model.safetensors, preprocessor_config.json. Code in it is never run, and nothing is "
            "downloaded."
        )
    )
    _use(partial(keep_folder, path) if path else None, "default")


def _use(keep: Callable[[], str] | None, weights: str) -> None:
    """The button that puts the network into the picker; without `keep` there is nothing to put there yet."""
    clicked = st.button("Use this network", type="primary", disabled=keep is None, key="network-use")
    if not clicked or keep is None:
        return
    try:
        with st.spinner("Reading …"):
            key = keep()
    except CamError as error:
        why = f"{error}. The network before it stays."
        messages.failure("This network cannot be used.", why, key="network")
        return
    st.session_state[_CHOSEN] = key, weights
    _close()
    st.rerun()
