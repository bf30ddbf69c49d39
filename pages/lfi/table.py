"""The comparison of the architectures as it was measured: the table of the benchmark, with its words and its notes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from typing import Any, Final

import streamlit as st

from cam_core.images import ASSETS
from pages.shared import messages, style, tables
from pages.shared.tables import Cell

_FILE = ASSETS / "models" / "comparison.json"


@dataclass(frozen=True)
class Term:
    """A column of the table: its name in plain words, what it means, and the field's name where that is another."""

    name: str
    means: str
    symbol: str = ""


TERMS: Final = {
    "accuracy": Term("Right answers", "Held-out images whose digit the network reads correctly."),
    "EBPG": Term(
        "Map on the digit",
        "The share of the map’s energy that lies on the digit: energy-based pointing game. A map that is bright "
        "everywhere has the share of the image that digits cover.",
        "EBPG",
    ),
    "IoU with the digit": Term(
        "Overlap with the digit",
        "The map is cut where it reaches 100 of 255: the area that it then has in common with the digit, over the area "
        "of both together, intersection over union. 1 is the same area, 0 none in common.",
        "IoU",
    ),
    "pointing game": Term(
        "Peak on the digit", "How often the map’s highest point lies on the digit, or just beside it.", "pointing game"
    ),
    "area": Term("Area marked", "The share of the image where the map reaches 100 of 255."),
    "stability IoU": Term(
        "Same map after another training",
        "Two networks that were trained with other settings see the same image: the overlap of their maps, cut as "
        "before. 1 is the same area.",
        "stability, IoU",
    ),
    "rowwise": Term(
        "… counted row by row",
        "The same overlap as the authors’ code counts it: row by row, where rows that are empty in both maps count "
        "as 1.",
        "row-wise IoU",
    ),
    "other images": Term(
        "… of two different images",
        "The overlap that two maps have for nothing, because a network looks at the same place in every image. "
        "Stability says something by as much as it exceeds this.",
    ),
}
"""The benchmark's columns in plain words."""

_NETWORKS: Final = {"ABN": "Attention branch network (ABN)"}


def comparison() -> None:
    """Accuracy, overlap with the true mask, and stability, with what the numbers mean."""
    record = _read()
    if record is None:
        messages.empty("There are no measurements here yet: python benchmarks/lfi.py makes them.")
        return
    terms = [TERMS.get(column, Term(column, "")) for column in record["columns"][1:]]
    rows = [(escape(_NETWORKS.get(row[0], row[0])), [_cell(value) for value in row[1:]]) for row in record["rows"]]
    with st.container(key="lfi-table"):
        st.html(tables.table(["Network", *map(_head, terms)], rows))
    st.html(
        style.quiet(
            "Each number is the mean of five trainings, in brackets how surely they tell; “this network” above is one. "
            "From 0 to 1 where there is no %. “–”: this network draws no map of its own."
        )
    )
    with st.container(horizontal=True, key="lfi-words"):
        with st.popover("What the columns mean", icon=":material/help:"):
            st.markdown("\n".join(map(_explained, terms)))
        with st.popover("How it was measured", icon=":material/science:"):
            for note in record["notes"]:
                st.html(style.quiet(note))


def _head(term: Term) -> str:
    """The plain name, the field's name below it."""
    return f"{escape(term.name)}<small>{escape(term.symbol)}</small>"


def _explained(term: Term) -> str:
    symbol = f" ({term.symbol})" if term.symbol else ""
    return f"- **{style.plain(term.name)}**{style.plain(symbol)}: {style.plain(term.means)}"


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
