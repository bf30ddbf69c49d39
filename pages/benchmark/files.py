"""Take it away: the tables themselves, their standings as CSV and LaTeX, and a figure for print."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from cam_core.evaluation.report.exports import standings_csv, standings_latex
from cam_core.evaluation.statistics import Comparison
from cam_core.files import safe_stem
from cam_core.version import versions
from pages.benchmark.shown import Shown
from pages.shared import downloads, provenance, style
from pages.shared.provenance import Facts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SAID = ("layer", "seed", "precision", "weights", "methods", "metrics", "ground_truth", "labels", "versions")


def facts(shown: Shown) -> Facts:
    """Where the numbers come from: of each network what its table says of itself."""
    said = {
        run: {name: results.settings[name] for name in _SAID if results.settings.get(name) is not None}
        | {"images": results.images}
        for run, results in shown.runs.items()
    }
    return {
        "networks": json.dumps(said, ensure_ascii=False),
        "made_with": ", ".join(f"{name} {number}" for name, number in versions().items()),
    }


def section(shown: Shown, comparisons: Sequence[Comparison]) -> None:
    """Buttons; what they give says where it comes from."""
    origin = facts(shown)

    def figure() -> Figure:
        from cam_core.figures import standings_figure  # late: see `downloads.figures`

        return standings_figure(comparisons)

    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="benchmark-downloads"):
        for place, (run, path) in enumerate(shown.files.items()):
            name = f" :small[of {style.plain(run)}]" if len(shown.files) > 1 else ""
            downloads.button(
                f"Parquet{name}",
                path.read_bytes,
                f"{safe_stem(run, 'results')}.parquet",
                key=f"benchmark-parquet-{place}",
                help="Every value of every image, as `evaluate` writes it. This page and Python read it again.",
            )
        downloads.button(
            "CSV",
            lambda: provenance.columns(standings_csv(comparisons), origin),
            "benchmark.csv",
            key="benchmark-csv",
            help="The table above: means, intervals, ranks.",
        )
        downloads.button(
            "LaTeX",
            lambda: standings_latex(comparisons).encode(),
            "benchmark.tex",
            key="benchmark-latex",
            help="The table above for a paper; it needs the package booktabs.",
        )
        downloads.figures(
            figure,
            "benchmark",
            provenance.description(origin),
            key="benchmark-figure",
            help="Means with intervals as a figure, 174 mm wide.",
        )
