"""Charts at the end of each row of the figure: curves, and bars of coefficients."""

from __future__ import annotations

from typing import Any, Final, get_args

import streamlit as st

from cam_core.figures import Chart
from cam_core.figures.grid.spec import MOST_CHANNELS, ChartKind
from pages.shared import links
from pages.shared.curves import settings as curve_settings

_KINDS: Final[tuple[ChartKind, ...]] = get_args(ChartKind)
_SCORES: Final = {"probability": "Probability", "logit": "Logit"}


def charts() -> tuple[Chart, ...]:
    """Those that are chosen, in the order of their kinds."""
    st.html('<div class="cam-name">Charts beside the maps</div>')
    names = {kind.capitalize(): kind for kind in _KINDS}
    chosen = st.pills(
        "Charts",
        list(names),
        selection_mode="multi",
        **links.kept("charts"),
        help="At the end of each row. Deletion and insertion: the score while the pixels that a map marks go, or come. "
        "Coefficients: what the methods weight channels with.",
    )
    kinds = [kind for name, kind in names.items() if name in chosen]
    curves = _curves() if {"deletion", "insertion"} & {*kinds} else {}
    bars = {"channels": _channels()} if "coefficients" in kinds else {}
    return tuple(Chart(kind, **(bars if kind == "coefficients" else curves)) for kind in kinds)


def _curves() -> dict[str, Any]:
    with st.container(horizontal=True, key="figure-curves"):
        steps = curve_settings.steps("curve-steps")
        baseline = curve_settings.baseline("becomes", curve_settings.PUBLISHED)
        score = links.choice("follows", "Score", _SCORES, default="probability", width=120)
    return {"steps": steps, "baseline": baseline, "score": score}


def _channels() -> int:
    return int(
        st.number_input(
            "Channels",
            1,
            MOST_CHANNELS,
            Chart("coefficients").channels,
            width=120,
            **links.kept("bars"),
            help="Those that the first method weights most.",
        )
    )
