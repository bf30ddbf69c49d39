"""The comparison of the architectures as it was measured: the table of the benchmark, with its notes."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from cam_core.images import ASSETS
from pages.shared import messages, style, tables
from pages.shared.tables import Cell

_FILE = ASSETS / "models" / "comparison.json"


def comparison() -> None:
    """Accuracy, overlap with the true mask, and stability, with what the numbers mean."""
    record = _read()
    if record is None:
        messages.empty("There are no measurements here yet: python benchmarks/lfi.py makes them.")
        return
    columns: list[str] = record["columns"]
    tables.show(columns[1:], [(style.plain(row[0]), [_cell(value) for value in row[1:]]) for row in record["rows"]])
    with st.expander("What was measured"):
        for note in record["notes"]:
            st.html(style.quiet(note))


def _cell(value: str) -> Cell:
    """ "0.41 [0.40, 0.42]": the interval in small print."""
    number, bracket, interval = value.partition("[")
    return Cell(number.strip(), f"[{interval}" if bracket else "")


@st.cache_data(show_spinner=False)
def _read() -> dict[str, Any] | None:
    if not _FILE.is_file():
        return None
    record: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return record
