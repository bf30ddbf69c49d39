"""What the app is served around: a network of one's own, and a function that makes what is explained of the logits.

`python -m pages --model my_module:build --target my_module:my_score`. The network is built once, before the first
visitor, and both are shared by all of them. What is wrong with them is told at the start. No browser names either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st
from PIL import Image

from cam_core import Classifier
from cam_core.models.brought.named import named_function, what_was_raised
from cam_core.targets import Custom
from cam_core.types import CamError, ModelError

_UNNAMED = "custom"  # what a `Classifier` is called that nobody has named


@st.cache_resource(show_spinner=False)
def _networks() -> dict[str, Classifier]:
    """At most one, by what it was asked for as."""
    return {}


@st.cache_resource(show_spinner=False)
def _targets() -> dict[str, Custom]:
    """At most one, by what it was asked for as."""
    return {}


def target() -> Custom | None:
    """The function of whoever serves the app, as a target."""
    return next(iter(_targets().values()), None)


def serve_target(reference: str) -> None:
    """Import the function; from now on it is offered as what to explain.

    Args:
        reference: "my_module:my_score": logits (B, C) → one number per image (B,).
    Raises:
        TargetError: there is no such function.
    """
    function = Custom.named(reference)
    _targets().clear()
    _targets()[reference] = function


def name() -> str:
    """What it was asked for as: "my_module:build"; "" where the app is served without one."""
    return next(iter(_networks()), "")


def network(reference: str) -> Classifier | None:
    """The network that was asked for so, if it is served; never modify it."""
    return _networks().get(reference)


def title(reference: str) -> str:
    """What people call it: its own name, or what it was asked for as."""
    own = _networks()[reference].name
    return reference if own == _UNNAMED else own


def serve(reference: str) -> None:
    """Build the network and look whether the pages can explain it; from now on it is served.

    Args:
        reference: "my_module:build": a function without arguments that returns a `Classifier` or a module of torch.
    Raises:
        ModelError: there is no such function, or what it returns is no network to explain.
    """
    built = _called(reference, named_function(reference, ModelError, example="build"))
    try:
        clf = built if isinstance(built, Classifier) else Classifier(built, name=reference)
        clf.predict(Image.new("RGB", (64, 64), "grey"))
    except (CamError, ValueError) as error:
        raise ModelError(f"{reference} returned a network that cannot be explained: {error}") from error
    _networks().clear()
    _networks()[reference] = clf


def _called(reference: str, function: Callable[[], Any]) -> Any:
    try:
        return function()
    except Exception as error:  # a foreign function may raise anything
        raise ModelError(f"{reference} raised {what_was_raised(error)}") from error
