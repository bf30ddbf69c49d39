"""What a figure shows and how, as plain data: equal specs give equal files, whoever asks.

spec = FigureSpec((Shown("dog"), Shown("photo.jpg")), (Column("grad-cam"), Column("lift-cam")))
FigureSpec.from_json(spec.to_json()) == spec
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from cam_core.figures.design import Design, FigureError
from cam_core.figures.grid.reading import plain, read_record
from cam_core.figures.grid.venues import VENUES, Venue
from cam_core.figures.text import font_families
from cam_core.methods import METHODS
from cam_core.metrics.curves.perturbation import KINDS, Kind
from cam_core.metrics.curves.points import curve_settings
from cam_core.types import CamError

Params: TypeAlias = tuple[tuple[str, Any], ...]
"""Name and value by turns, so that a spec can be compared and hashed."""

Letters: TypeAlias = Literal["", "a", "A", "(a)"]
Captions: TypeAlias = Literal["none", "once", "each", "beside"]
Style: TypeAlias = Literal["overlay", "contours", "mask"]
ChartKind: TypeAlias = Literal["deletion", "insertion", "coefficients"]

MOST_ROWS: Final = 20
MOST_COLUMNS: Final = 20
MOST_CHARTS: Final = 4
MOST_CHANNELS: Final = 40
_ZOOMS: Final = (0.1, 0.4)  # of the frame's side


@dataclass(frozen=True)
class Network:
    """A network, as `load_model` takes it.

    Attributes:
        weights: "default", "random", or a file.
        seed: of random weights.
    """

    name: str = "efficientnet_lite0"
    weights: str = "default"
    seed: int = 0


@dataclass(frozen=True)
class Shown:
    """An image, which is a row of the figure.

    Attributes:
        image: the name of a sample photo, or a path.
        target: the explained class by index or label, or another target as it is written; where omitted, the most
            probable class.
        title: beside the row; the image's own name where empty.
        zoom: (left, top, side) of a part to be shown enlarged in a corner of each panel, as shares of the frame.
        sha256: of the pixels, by `image_digest`; where it is given, an image with others is refused.
    Raises:
        FigureError: no image is named, or the zoom leaves the frame.
    """

    image: str
    target: int | str | None = None
    title: str = ""
    zoom: tuple[float, float, float] | None = None
    sha256: str = ""

    def __post_init__(self) -> None:
        if not self.image:
            raise FigureError("a row of the figure names no image: a sample photo or a path")
        if self.zoom is not None:
            left, top, side = self.zoom
            low, high = _ZOOMS
            if not (low <= side <= high and 0 <= left <= 1 - side and 0 <= top <= 1 - side):
                raise FigureError(
                    f"the zoom {left:g}, {top:g}, {side:g} of {self.image} leaves the frame, or its side is not "
                    f"{low:g} to {high:g} of the frame's"
                )


@dataclass(frozen=True)
class Column:
    """A method with its parameters, which is a column of the figure; what is omitted is the row's or the figure's.

    Attributes:
        layer: a module's name; for a method over several layers their names, with " + " between them.
        target: as of a row, which it overrules.
        title: over the column; where empty, in what it differs from the others.
    Raises:
        MethodError: there is no such method, or a parameter is wrong.
    """

    method: str
    params: Params = ()
    layer: str = ""
    target: int | str | None = None
    model: Network | None = None
    title: str = ""

    def __post_init__(self) -> None:
        METHODS[self.method].validate(dict(self.params))


@dataclass(frozen=True)
class Chart:
    """A chart at the end of each row, with a curve, or bars, for every column of the figure.

    Attributes:
        kind: deletion or insertion curves; or the coefficients of the channels.
        steps, baseline, score: of curves, as of `curve_points`; the baseline is the kind's own where empty.
        channels: of coefficients: how many, those first that the first column weights most.
        title: over the chart; its kind where empty.
    Raises:
        FigureError: no channel, or too many.
        MetricError: as `curve_settings`.
    """

    kind: ChartKind
    steps: int = 28
    baseline: str = ""
    score: str = "probability"
    channels: int = 8
    title: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.channels <= MOST_CHANNELS:
            raise FigureError(f"a chart shows 1 to {MOST_CHANNELS} channels, not {self.channels}")
        if self.curve:
            curve_settings(self.curve, **self.params)

    @property
    def curve(self) -> Kind | None:
        """The kind of its curves; None where it shows coefficients."""
        return next((kind for kind in KINDS if kind == self.kind), None)

    @property
    def params(self) -> dict[str, Any]:
        """Of its curves."""
        own = {"baseline": self.baseline} if self.baseline else {}
        return {"steps": self.steps, "score": self.score, **own}


@dataclass(frozen=True)
class Look:
    """How the grid is drawn.

    Attributes:
        venue: a key of `VENUES`, which says width, font and size where these are omitted.
        width: of the whole figure, millimetres.
        font: "sans", "serif", or the name of an installed font.
        font_size: of titles, points; captions and numbers are an eighth smaller.
        input: begin each row with the image alone.
        letters: of the panels: none, or "a", "A", "(a)" and so on.
        captions: class and probability under each panel; once a row where they are the same, under its first panel or
            beside it; or not at all.
        style: the map in colours over the photo, as lines at ¼, ½ and ¾ of the scale, or as a mask that darkens what
            is below `threshold`.
        opacity: of the colours, or of the mask's darkness, 0 to 1.
        threshold: share of the scale's end.
        signed, shared, colour_map, dpi: as of `Design`.
        colour_bar: one for the whole figure; a mask needs none.
    Raises:
        FigureError: a value is out of range, or the venue or font is unknown.
        ColourMapError: the colour map is unknown, or of the wrong kind.
    """

    venue: str = "cvpr-page"
    width: float | None = None
    font: str = ""
    font_size: float | None = None
    input: bool = True
    letters: Letters = ""
    row_titles: bool = True
    column_titles: bool = True
    captions: Captions = "once"
    style: Style = "overlay"
    opacity: float = 0.5
    threshold: float = 0.5
    signed: bool = False
    shared: bool = False
    colour_map: str = ""
    colour_bar: bool = True
    dpi: int = 300

    def __post_init__(self) -> None:
        if self.venue not in VENUES:
            raise FigureError(f"unknown venue {self.venue!r}; there are: {', '.join(VENUES)}")
        if not 0 < self.threshold < 1:
            raise FigureError(f"threshold={self.threshold} is out of range (between 0 and 1)")
        font_families(self.typeface)
        _ = self.design

    @property
    def of_venue(self) -> Venue:
        """What the venue asks for."""
        return VENUES[self.venue]

    @property
    def typeface(self) -> str:
        """The font in force, as of `font_families`."""
        return self.font or self.of_venue.font

    @property
    def design(self) -> Design:
        """The part of it that all figures have, with the venue's numbers where none are given."""
        return Design(
            self.of_venue.width if self.width is None else self.width,
            self.of_venue.font_size if self.font_size is None else self.font_size,
            self.opacity,
            self.signed,
            self.shared,
            self.colour_map,
            self.dpi,
        )

    @property
    def has_bar(self) -> bool:
        """Whether there is a colour bar."""
        return self.colour_bar and self.style != "mask"


@dataclass(frozen=True)
class Cell:
    """One map of the figure, with all that decides its values but the device: of the image with that digest."""

    sha256: str
    column: Column
    seed: int
    precision: str

    @property
    def network(self) -> Network:
        """The one that is asked."""
        assert self.column.model is not None, "a cell names its network"
        return self.column.model


@dataclass(frozen=True)
class CurveCell:
    """One curve of the figure, with all that decides its values but the device: that of a cell's map in a chart."""

    cell: Cell
    chart: Chart


@dataclass(frozen=True)
class FigureSpec:
    """A grid of images × methods, layers, classes or networks.

    Attributes:
        images: from top to bottom.
        columns: from left to right.
        model, layer: of all columns that name none; the network's default layer where empty.
        seed: of everything random in the methods.
        charts: at the end of each row, from left to right.
    Raises:
        FigureError: no image or no column, more than fit, or a seed below 0.
    """

    images: tuple[Shown, ...]
    columns: tuple[Column, ...]
    model: Network = field(default_factory=Network)
    layer: str = ""
    seed: int = 0
    precision: str = "float32"
    look: Look = field(default_factory=Look)
    charts: tuple[Chart, ...] = ()

    def __post_init__(self) -> None:
        if len(self.charts) > MOST_CHARTS:
            raise FigureError(f"a figure has at most {MOST_CHARTS} charts in a row, not {len(self.charts)}")
        for what, several, most in (("image", self.images, MOST_ROWS), ("column", self.columns, MOST_COLUMNS)):
            if not 1 <= len(several) <= most:
                raise FigureError(f"a figure has 1 to {most} {what}s, not {len(several)}")
        if self.seed < 0:
            raise FigureError(f"seed={self.seed} must be at least 0")

    def network(self, column: Column) -> Network:
        """The network of a column."""
        return column.model or self.model

    def cell(self, shown: Shown, column: Column, sha256: str) -> Cell:
        """What is computed for an image and a column."""
        layer = column.layer or ("" if METHODS[column.method].multi_layer else self.layer)
        target = shown.target if column.target is None else column.target
        whole = tuple(METHODS[column.method].validate(dict(column.params)).items())
        asked = replace(column, params=whole, layer=layer, target=target, model=self.network(column), title="")
        return Cell(sha256, asked, self.seed, self.precision)

    def curve_cells(self, cell: Cell) -> list[CurveCell]:
        """The curves of a cell's map, one per chart that shows curves."""
        charts = (replace(chart, channels=1, title="") for chart in self.charts if chart.curve)
        return [CurveCell(cell, chart) for chart in charts]

    def to_dict(self) -> dict[str, Any]:
        """Plain Python values only: ready for `json.dump`."""
        record: dict[str, Any] = plain(self)
        return record

    def to_json(self) -> str:
        """A text that `from_json` reads."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> FigureSpec:
        """The inverse of `to_dict`; what is omitted has its default, and a text stands for an image or a method alone.

        Raises:
            CamError: a field is unknown or missing, or its value is wrong; the message names it.
        """
        return read_record(record, cls, "figure")

    @classmethod
    def from_json(cls, text: str) -> FigureSpec:
        """The same from a text.

        Raises:
            CamError: it is no JSON, or as `from_dict`.
        """
        try:
            record = json.loads(text)
        except ValueError as error:
            raise FigureError(f"the figure's spec is no JSON: {error}") from None
        return read_record(record, cls, "figure")

    @classmethod
    def read(cls, path: Path) -> FigureSpec:
        """The spec in a file.

        Raises:
            CamError: the file cannot be read, or as `from_json`.
        """
        try:
            return cls.from_json(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise FigureError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
        except CamError as error:
            raise type(error)(f"{path}: {error}") from None
