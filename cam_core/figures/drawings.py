"""Results as a notebook shows them: a picture, and the facts below it."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from functools import singledispatch
from html import escape
from typing import Final

from matplotlib.figure import Figure
from PIL import Image

from cam_core.analysis.channels import ChannelReport
from cam_core.analysis.curves import CurveLine, CurvePanel, CurveReport
from cam_core.figures.channels import channel_figure
from cam_core.figures.curves import curve_figure
from cam_core.figures.design import Design
from cam_core.figures.layout import probability
from cam_core.figures.output import encode_figure
from cam_core.figures.text import UNTRAINED
from cam_core.methods import is_signed, title_of
from cam_core.metrics.curves.points import Curve
from cam_core.overlay import DIVERGING, SEQUENTIAL, colourise, display_values, limits
from cam_core.types import Explanation

_SIDE: Final = 224  # pixels of a heatmap without a photo
_SCREEN: Final = Design(width=150, dpi=144)


@singledispatch
def html_of(result: object) -> str:
    """A result as HTML.

    Raises:
        TypeError: nothing is known of how it looks.
    """
    raise TypeError(f"a {type(result).__name__} has no picture")


@html_of.register
def _(explanation: Explanation) -> str:
    signed = is_signed(explanation)
    left, top, right, bottom = explanation.picture or (0, 0, *reversed(explanation.saliency.shape))
    height, width = bottom - top, right - left
    scale = _SIDE / max(height, width)
    size = round(height * scale), round(width * scale)
    values = display_values(explanation.map, size, signed=signed, part=explanation.part)
    colours = (DIVERGING if signed else SEQUENTIAL)[0]
    picture = Image.fromarray(colourise(values, colours, limits([values], signed=signed)))
    place = f"{explanation.layer} of {explanation.model}" if explanation.layer else explanation.model
    network = "" if explanation.trained else f", {UNTRAINED}"
    facts = [
        f"{title_of(explanation.method)}: {explanation.label} ({probability(explanation)})",
        f"{place}{network}; {explanation.passes.tail} passes, {explanation.seconds:.2f} s",
        *explanation.warnings,
    ]
    return _picture(_png(picture), f"Heatmap of {facts[0]}", facts)


@html_of.register
def _(report: ChannelReport) -> str:
    facts = [
        f"SHAP values of {report.channels} channels of {report.layer} for {report.label}, "
        f"{report.passes} passes{'' if report.converged or report.exact else ': not converged'}"
    ]
    return drawn_html(channel_figure(report, min(20, report.channels), _SCREEN), facts)


@html_of.register
def _(report: CurveReport) -> str:
    warnings = [warning for panel in report.panels for warning in panel.warnings]
    return drawn_html(curve_figure(report, _SCREEN), [*report.warnings, *warnings])


@html_of.register
def _(curve: Curve) -> str:
    line = CurveLine(curve.name, title_of(curve.name), curve.fractions, curve.values, curve.complete, curve.auc)
    so_far = "" if curve.complete else f", {len(curve.points)} of {curve.total} points so far"
    facts = [f"{curve.kind.capitalize()}, area under the curve {curve.auc:.3f}{so_far}"]
    return drawn_html(curve_figure(CurveReport("value", (CurvePanel(curve.kind, (line,)),)), _SCREEN), facts)


def drawn_html(figure: Figure, facts: Iterable[str]) -> str:
    """A figure and the facts below it."""
    return _picture(encode_figure(figure, "png"), "", facts)


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _picture(png: bytes, alt: str, facts: Iterable[str]) -> str:
    """On white, for figures have black letters, and a notebook may be dark."""
    address = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    lines = "".join(f"<div>{escape(fact)}</div>" for fact in facts)
    image = f'<img src="{address}" alt="{escape(alt, quote=True)}" style="background: white; max-width: 100%">'
    return f"<div>{image}{lines}</div>"
