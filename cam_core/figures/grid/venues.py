"""The widths, fonts and font sizes that conferences and journals ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from tueplots import figsizes, fonts, fontsizes

from cam_core.figures.text import INCH, SANS, SERIF


@dataclass(frozen=True)
class Venue:
    """One width of one venue.

    Attributes:
        title: as it is read in a picker.
        width: millimetres.
        font: "sans" or "serif".
        font_size: of titles, points.
        spans: whether that width reaches over both columns of a page of two.
        highest: millimetres that a figure may be high, with its caption below it.
    """

    title: str
    width: float
    font: str
    font_size: float
    spans: bool = False
    highest: float = 235.0


def _of_tueplots(name: str, title: str, size: str, *, spans: bool = False) -> Venue:
    """By the package tueplots, which follows the style files; of what it tells LaTeX, only the kind of font is read."""
    width: float = getattr(figsizes, size)()["figure.figsize"][0]
    points: float = getattr(fontsizes, name)()["axes.titlesize"]
    serif = getattr(fonts, f"{name}_tex")()["font.family"] == "serif"
    return Venue(title, round(width * INCH, 2), SERIF if serif else SANS, points, spans)


VENUES: Final[Mapping[str, Venue]] = MappingProxyType(
    {
        "cvpr-column": _of_tueplots("cvpr2024", "CVPR, ICCV: column", "cvpr2024_half"),
        "cvpr-page": _of_tueplots("cvpr2024", "CVPR, ICCV: page", "cvpr2024_full", spans=True),
        "eccv": _of_tueplots("eccv2024", "ECCV", "eccv2024"),
        "icml-column": _of_tueplots("icml2024", "ICML: column", "icml2024_half"),
        "icml-page": _of_tueplots("icml2024", "ICML: page", "icml2024_full", spans=True),
        "neurips": _of_tueplots("neurips2024", "NeurIPS", "neurips2024"),
        "aaai-column": _of_tueplots("aaai2024", "AAAI: column", "aaai2024_half"),
        "aaai-page": _of_tueplots("aaai2024", "AAAI: page", "aaai2024_full", spans=True),
        # research-figure-guide.nature.com, "Building and exporting figure panels": 89 and 183 mm, Arial or Helvetica,
        # 5 to 7 points, at most 170 mm high, for the caption to fit underneath.
        "nature-column": Venue("Nature: column", 89.0, SANS, 7.0, highest=170.0),
        "nature-page": Venue("Nature: page", 183.0, SANS, 7.0, spans=True, highest=170.0),
        # PNAS, "Digital Art Guidelines": 3.42, 4.5 and 7 inches, 6 to 8 points. Its page for authors rounds that to 9,
        # 11 and 18 cm.
        "pnas-column": Venue("PNAS: column", 87.0, SANS, 8.0),
        "pnas-middle": Venue("PNAS: 1½ columns", 114.0, SANS, 8.0, spans=True),
        "pnas-page": Venue("PNAS: page", 178.0, SANS, 8.0, spans=True),
        # elsevier.com, "Artwork and media instructions", "Artwork sizing": 90, 140 and 190 mm, 7 points for normal text
        # (as captions and numbers here have), never below 6.
        "elsevier-column": Venue("Elsevier: column", 90.0, SANS, 8.0),
        "elsevier-middle": Venue("Elsevier: 1½ columns", 140.0, SANS, 8.0, spans=True),
        "elsevier-page": Venue("Elsevier: page", 190.0, SANS, 8.0, spans=True),
    }
)
"""By the name that stands in a spec. Where a venue has two columns, both widths are there."""
