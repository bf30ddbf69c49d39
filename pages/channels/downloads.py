"""Take it away: all channels as a table, the bars as a figure for print."""

from __future__ import annotations

import streamlit as st

from cam_core.analysis.channels import ChannelReport, channel_csv
from cam_core.figures import FORMATS, Design, channel_figure, encode_figure
from pages.shared import provenance, style
from pages.shared.provenance import Facts

_KINDS = {"pdf": "application/pdf", "svg": "image/svg+xml", "png": "image/png"}


def downloads(report: ChannelReport, facts: Facts, count: int = 20) -> None:
    """Buttons; what they give is made when they are clicked, and says where it comes from: `facts`."""
    description = provenance.description(facts)
    name = f"channels-{report.layer}-{report.target}{style.mark(report.trained)}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="channel-downloads"):
        st.download_button(
            "CSV",
            data=lambda: provenance.columns(channel_csv(report), facts),
            file_name=f"{name}.csv",
            mime="text/csv",
            key="save-csv",
            icon=":material/download:",
            help="Every channel with φ, its standard error, its mean activation, and the methods’ coefficients.",
            on_click="ignore",
        )
        for form in FORMATS:
            st.download_button(
                form.upper(),
                data=lambda form=form: encode_figure(channel_figure(report, count, Design()), form, description),
                file_name=f"{name}.{form}",
                mime=_KINDS[form],
                key=f"save-{form}",
                icon=":material/download:",
                help=f"The bars of the {count} largest channels as a figure, 174 mm wide.",
                on_click="ignore",
            )
