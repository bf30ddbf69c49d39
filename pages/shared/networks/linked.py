"""A link to a network that is not in the picker: one of timm's comes, an uploaded file stays with its visitor.

One in a folder comes where folders of the machine may be named, and where there is one.
"""

from __future__ import annotations

import streamlit as st

from cam_core.models.zoo.timm_models import PREFIX
from cam_core.types import CamError
from pages.shared import links, style
from pages.shared.networks.kept import FOLDER, ONNX, UPLOADED, keep_folder, keep_named, kept


def follow() -> None:
    """Called before the picker is drawn: keep the network that the link names, or say why it is not shown."""
    key = st.query_params.get("model", "")
    if not key.startswith((UPLOADED, ONNX, FOLDER, PREFIX)) or key in {network.key for network in kept()}:
        return
    reason = _uploaded_elsewhere(key) if key.startswith((UPLOADED, ONNX)) else _reason_against(key)
    if reason:
        del st.query_params["model"]
        links.note(reason)


def _reason_against(name: str) -> str:
    try:
        keep_folder(name.removeprefix(FOLDER)) if name.startswith(FOLDER) else keep_named(name)
    except CamError as error:
        return f"The link asks for the network “{name}”. {style.sentence(str(error))} The default is shown instead."
    return ""


def _uploaded_elsewhere(key: str) -> str:
    kind, begins = ("ONNX file", ONNX) if key.startswith(ONNX) else ("checkpoint of", UPLOADED)
    name, _, checksum = key.removeprefix(begins).rpartition("-")
    return (
        f"This link was made with an uploaded {kind} {name} (checksum {checksum}), which stays with its visitor. The "
        "default is shown instead; upload that file again under My network … to see the same."
    )
