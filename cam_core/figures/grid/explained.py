"""The maps and curves of a spec, computed: one function for whoever asks, the command line, a notebook or a page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

from PIL import Image

from cam_core.explain import explain
from cam_core.figures.design import FigureError, Row
from cam_core.figures.grid.spec import Cell, CurveCell, FigureSpec, Network, Shown
from cam_core.images import SAMPLES, Preprocessing, image_digest, load_image, sample
from cam_core.methods import METHODS
from cam_core.metrics.curves.points import Curve, Curves, add_point, curve_points
from cam_core.models.classifier import Classifier
from cam_core.models.load import load_model
from cam_core.options import Options
from cam_core.overlay import close_up
from cam_core.types import Explanation, Progress
from cam_core.version import versions

OpenImage: TypeAlias = Callable[[str], Image.Image]
OpenNetwork: TypeAlias = Callable[[Network], Classifier]

T = TypeVar("T", Explanation, Curve)


class Keep(Protocol):
    """Whoever keeps results."""

    def __call__(self, asked: Cell | CurveCell, compute: Callable[[], T], /) -> T:
        """The map or the curve that is asked for: what was kept of it, or what the function computes."""


@dataclass(frozen=True)
class ExplainedRow:
    """One image with its maps.

    Attributes:
        sha256: of the image's pixels.
        frames: what the network of each column saw of it, in the image's own resolution.
        explanations: one per column.
        curves: for each chart of the figure that shows curves one per column.
    """

    shown: Shown
    sha256: str
    frames: tuple[Image.Image, ...]
    explanations: tuple[Explanation, ...]
    curves: tuple[tuple[Curve, ...], ...] = ()

    @property
    def common(self) -> Explanation | None:
        """One of the explanations, to be quoted for all, where network and class are those of all."""
        alike = len({(made.model, made.target) for made in self.explanations}) == 1
        return self.explanations[0] if alike else None


@dataclass(frozen=True)
class ExplainedGrid:
    """All that `grid_figure` draws."""

    spec: FigureSpec
    rows: tuple[ExplainedRow, ...]

    @property
    def explanations(self) -> list[Explanation]:
        """All of them, row by row."""
        return [explanation for row in self.rows for explanation in row.explanations]

    @property
    def drawn(self) -> list[Row]:
        """The rows as a scale takes them."""
        return [Row(row.frames[0], row.explanations) for row in self.rows]

    @property
    def description(self) -> str:
        """One line of JSON that files carry unseen: what was asked, what was explained, and by which versions.

        Of files the name alone: folders are their owner's, who may have to stay anonymous.
        """
        record = _without_folders(self.spec.to_dict())
        record["images"] = [
            shown | {"image": Path(shown["image"]).name, "sha256": row.sha256}
            for shown, row in zip(record["images"], self.rows, strict=True)
        ]
        maps = [[_facts(explanation) for explanation in row.explanations] for row in self.rows]
        made_with = ", ".join(f"{name} {number}" for name, number in versions().items())
        return json.dumps({"figure": record, "maps": maps, "made_with": made_with}, ensure_ascii=False)


def explain_grid(
    spec: FigureSpec,
    *,
    device: str = "auto",
    progress: Progress | None = None,
    open_image: OpenImage | None = None,
    open_network: OpenNetwork | None = None,
    keep: Keep | None = None,
) -> ExplainedGrid:
    """Compute the maps of a spec, cheap methods first, so that what is wrong with one shows soon, then its curves.

    Args:
        device: of networks that are loaded here.
        progress: called as `progress(done, total)`; may raise `Cancelled`.
        open_image: name in the spec → image; sample photos, and paths as they are, where omitted.
        open_network: loads with `load_model` where omitted; called once per network.
        keep: for whoever keeps results; each is computed where omitted.
    Raises:
        CamError: an image, network, layer, class or method that there is not; a digest that is another.
    """
    open_image = open_image or image_opener(Path())
    images = [open_image(shown.image) for shown in spec.images]
    digests = [image_digest(image) for image in images]
    for shown, digest in zip(spec.images, digests, strict=True):
        if shown.sha256 not in ("", digest):
            raise FigureError(f"{shown.image} is another image than the spec was made with: its pixels differ")
    networks = _networks(spec, open_network or (lambda network: _load(network, device)))
    asked = {
        spec.cell(shown, column, digest): image
        for shown, digest, image in zip(spec.images, digests, images, strict=True)
        for column in spec.columns
    }
    cells = sorted(asked, key=lambda cell: METHODS[cell.column.method].expensive)
    curve_cells = [curve for cell in cells for curve in spec.curve_cells(cell)]
    options, count = Options(spec.seed, spec.precision, progress=progress), len(cells) + len(curve_cells)
    made: dict[Cell, Explanation] = {}
    for number, cell in enumerate(cells):
        explaining = _Explaining(networks, cell, asked[cell], options.part(number, count))
        made[cell] = explaining() if keep is None else keep(cell, explaining)
    curves: dict[CurveCell, Curve] = {}
    for number, curve in enumerate(curve_cells, len(cells)):
        image = asked[curve.cell]
        following = _Following(networks, curve, image, made[curve.cell], options.part(number, count))
        curves[curve] = following() if keep is None else keep(curve, following)
    return assembled_grid(spec, images, {network: clf.preprocessing for network, clf in networks.items()}, made, curves)


def assembled_grid(
    spec: FigureSpec,
    images: Sequence[Image.Image],
    framing: Mapping[Network, Preprocessing],
    maps: Mapping[Cell, Explanation],
    curves: Mapping[CurveCell, Curve],
) -> ExplainedGrid:
    """The grid of maps and curves that are there already.

    Args:
        images: one per row.
        framing: how each network of the spec sees an image.
        maps: of every cell.
        curves: of every cell, as many as there are charts that show some.
    """
    rows = []
    for shown, image in zip(spec.images, images, strict=True):
        digest = image_digest(image)
        frames = {network: native_frame(framing[network], image) for network in map(spec.network, spec.columns)}
        seen = tuple(frames[spec.network(column)] for column in spec.columns)
        cells = [spec.cell(shown, column, digest) for column in spec.columns]
        made = tuple(maps[cell] for cell in cells)
        lines = zip(*([curves[curve] for curve in spec.curve_cells(cell)] for cell in cells), strict=True)
        rows.append(ExplainedRow(shown, digest, seen, made, tuple(lines)))
    return ExplainedGrid(spec, tuple(rows))


@dataclass(frozen=True)
class _Explaining:
    """The map of one cell, to be computed."""

    networks: Mapping[Network, Classifier]
    cell: Cell
    image: Image.Image
    options: Options

    def __call__(self) -> Explanation:
        asked = self.cell.column
        return explain(
            self.networks[self.cell.network],
            self.image,
            method=asked.method,
            layer=asked.layer.split(" + ") if asked.layer else None,
            target=asked.target,
            **vars(self.options),
            **dict(asked.params),
        )


@dataclass(frozen=True)
class _Following:
    """One curve, to be computed."""

    networks: Mapping[Network, Classifier]
    asked: CurveCell
    image: Image.Image
    explanation: Explanation
    options: Options

    def __call__(self) -> Curve:
        chart, clf = self.asked.chart, self.networks[self.asked.cell.network]
        assert chart.curve is not None, "coefficients have no curves"
        maps, followed = {self.explanation.method: self.explanation}, vars(self.options) | chart.params
        curves: Curves = {}
        for point in curve_points(clf, self.image, maps, kinds=[chart.curve], order="sequential", **followed):
            add_point(curves, point)
        return curves[self.explanation.method, chart.curve]


def image_opener(folder: Path) -> OpenImage:
    """Names of sample photos, and paths as seen from `folder`: a file goes before a sample of that name."""

    def open_image(name: str) -> Image.Image:
        path = folder / Path(name).expanduser()
        if not path.exists() and name in {photo.key for photo in SAMPLES}:
            return sample(name).open()
        return load_image(path)

    return open_image


def native_frame(preprocessing: Preprocessing, image: Image.Image) -> Image.Image:
    """The part of the image that the network sees, in the image's own resolution."""
    left, top, right, bottom = box = preprocessing.shown(image.size)
    return close_up(image, box, max(1, round(max(right - left, bottom - top))))


def _networks(spec: FigureSpec, open_network: OpenNetwork) -> dict[Network, Classifier]:
    return {network: open_network(network) for network in dict.fromkeys(map(spec.network, spec.columns))}


def _load(network: Network, device: str) -> Classifier:
    return load_model(network.name, weights=network.weights, seed=network.seed, device=device)


def _facts(explanation: Explanation) -> dict[str, Any]:
    """What a map explains, where the spec leaves that to the network."""
    return {
        "method": explanation.method,
        "parameters": dict(explanation.params),
        "network": Path(explanation.model).name,
        "trained": explanation.trained,
        "layer": explanation.layer,
        "class": explanation.label,
        "target": explanation.target,
    }


def _without_folders(record: dict[str, Any]) -> dict[str, Any]:
    def bare(model: dict[str, Any] | None) -> dict[str, Any] | None:
        return model and model | {name: Path(model[name]).name for name in ("name", "weights")}

    columns = [column | {"model": bare(column["model"])} for column in record["columns"]]
    return record | {"model": bare(record["model"]), "columns": columns}
