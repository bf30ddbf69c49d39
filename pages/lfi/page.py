"""LFI-CAM: networks that weigh their own channels, beside those that do not; and the means to train one's own."""

from __future__ import annotations

import streamlit as st

from pages.lfi import board, table, training
from pages.lfi.share import share
from pages.shared import messages, style


def page() -> None:
    st.title("LFI-CAM")
    st.html(
        style.subtitle(
            "What if the network ",
            "learned to explain itself",
            "? Three networks around one backbone, trained to read digits on photos: do they look at the digit?",
        )
    )
    notices = st.container()
    seen = board.board()
    st.header("Accuracy and stability")
    table.comparison()
    st.header("Train your own")
    run = training.section()
    share(seen, run)
    with notices:
        messages.link_notices()


page()
