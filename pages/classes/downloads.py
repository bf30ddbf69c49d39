"""Take it away: the maps as a figure for print, the channels as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from cam_core.analysis.channel_contrast import ChannelContrast, contrast_csv
from cam_core.analysis.contrast import Contrast
from pages.classes.channels import ESTIMATOR
from pages.classes.pair import Pair
from pages.shared import downloads, provenance, style
from pages.shared.scene import Scene

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def files(seen: Scene, pair: Pair, contrasts: Sequence[Contrast], report: ChannelContrast | None) -> None:
    """Buttons; what they give says where it comes from."""
    parameters = provenance.of_maps(contrast.a for contrast in contrasts)
    facts = {**provenance.facts(seen, parameters), **pair.facts}
    frame = seen.frame()  # here: a file is made outside of the page's run, where a visit's pictures cannot be had

    def figure() -> Figure:
        from cam_core.figures import contrast_figure  # late: see `downloads.figures`

        return contrast_figure(frame, contrasts)

    name = f"classes-{seen.question.layer}-{pair.a.index}-{pair.b.index}{style.mark(seen.classifier.trained)}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="class-downloads"):
        downloads.figures(
            figure,
            name,
            provenance.description(facts),
            key="save-classes",
            help="All maps as a figure, 174 mm wide: a row for each method.",
        )
        if report:
            how = {"shap": {"estimator": ESTIMATOR, "budget": report.budget}}
            origin = {**provenance.facts(seen, how), **pair.facts}
            downloads.button(
                "CSV :small[of the channels]",
                lambda: provenance.columns(contrast_csv(report), origin),
                f"{name}-channels.csv",
                key="save-class-channels",
                help="Every channel with its SHAP values for the difference and for both classes.",
            )
