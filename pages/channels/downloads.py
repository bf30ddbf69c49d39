"""Take it away: all channels as a table, the bars as a figure for print."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from cam_core.analysis.channels import ChannelReport, channel_csv
from pages.shared import downloads, provenance, style
from pages.shared.provenance import Facts
from pages.shared.targets.words import in_a_file_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def files(report: ChannelReport, facts: Facts, count: int = 20) -> None:
    """Buttons; what they give says where it comes from: `facts`."""

    def figure() -> Figure:
        from cam_core.figures import Design, channel_figure  # late: see `downloads.figures`

        return channel_figure(report, count, Design())

    name = f"channels-{report.layer}-{in_a_file_name(report.target)}{style.mark(report.trained)}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="channel-downloads"):
        downloads.button(
            "CSV",
            lambda: provenance.columns(channel_csv(report), facts),
            f"{name}.csv",
            key="save-csv",
            help="Every channel with φ, its standard error, its mean activation, and the methods’ coefficients.",
        )
        said = f"The bars of the {count} largest channels as a figure, 174 mm wide."
        downloads.figures(figure, name, provenance.description(facts), key="save", help=said)
