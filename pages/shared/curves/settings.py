"""How fine curves are, and what a pixel becomes: widgets."""

from __future__ import annotations

from typing import Final

import streamlit as st

from pages.shared import links

_STEPS: Final = (14, 28, 56, 112, 224)
_USUAL_STEPS: Final = 28
PUBLISHED: Final = "Usual"
"""Each kind of curve with a baseline of its own."""

# What a removed pixel is, as the link has it and as it is read.
_BASELINES: Final = {
    "Zero": "Grey",
    "Mean": "The photo’s mean",
    "Blur": "Blur",
    "Noise": "Noise",
    PUBLISHED: "As published",
}


def steps(key: str) -> int:
    """Points of each curve after the first; the choice stands in the address under the key."""
    chosen = st.selectbox(
        "Steps",
        _STEPS,
        index=_STEPS.index(_USUAL_STEPS),
        **links.kept(key),
        width=90,
        help="Points of each curve after the first.",
    )
    return int(chosen)


def baseline(name: str, default: str) -> str:
    """What a removed pixel is, as the core takes it, "" for each kind's own; it stands in the address by that name."""
    chosen = links.choice(
        name,
        "A removed pixel is",
        _BASELINES,
        default=default,
        width=150,
        help="Grey: the mean colour of the training images, which is 0 for the network and shows it nothing of the "
        "class. The photo’s mean: that of this photo. Blur: the photo blurred by 5 pixels; it often keeps the "
        "class, and then the curves have little to show. Noise: independent normal draws. As published (RISE): "
        "deletion to grey, insertion from blur.",
    )
    return "" if chosen == PUBLISHED else chosen.lower()
