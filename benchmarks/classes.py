"""Two animals, two classes: how much of the map of each class lies on its own animal, and how much of the other's does.

    python benchmarks/classes.py          # a minute of one CPU core

On the gallery's collages, whose animals have boxes. Beside the methods asked about a class stands the contrast: a
method asked about the difference of the two logits. What it has below 0 is its map of the other class.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
import typer

from benchmarks.common import RESULTS, machine
from cam_core import METHODS, SAMPLES, Classifier, explain, load_model
from cam_core.analysis.contrast import opposing_class, region_shares
from cam_core.images import Sample
from cam_core.metrics.ground_truth import Region, own_and_other, sample_regions
from cam_core.models.tails import nonlinear_layer
from cam_core.targets import Difference
from cam_core.types import FloatArray, TargetError

METHODS_OF_INTEREST = ("grad-cam", "lift-cam", "owen-cam", "finer-cam")
CONTRASTED = ("grad-cam", "lift-cam", "owen-cam")  # Finer-CAM sets classes apart by itself, and refuses a difference
COLLAGES = tuple(sample for sample in SAMPLES if sample.collage)


@dataclass(frozen=True)
class Row:
    """One class of one collage, by one method at one layer.

    Attributes:
        animal: the class, whose animal's box is the region.
        own: share of the positive energy of the map of this class in the region.
        other: the same of the map of the other class.
        area: the region's share of the picture.
    """

    photo: str
    animal: str
    layer: str
    method: str
    own: float
    other: float
    area: float


def rows_of(clf: Classifier, sample: Sample, layer: str) -> Iterator[Row]:
    """Both classes of one collage, by every method."""
    photo = sample.open()
    regions = sample_regions(sample.key, clf.preprocessing.box(photo.size), clf.preprocessing.input_size)
    predictions = clf.predict(photo, top=None)
    a = predictions[0].index
    pair = (a, opposing_class(predictions, a, regions))
    for method in METHODS_OF_INTEREST:
        maps = [explain(clf, photo, method=method, layer=layer, target=target).map for target in pair]
        yield from _rows(clf, sample, layer, METHODS[method].title, pair, maps, regions)
    for method in CONTRASTED:
        between = explain(clf, photo, method=method, layer=layer, target=Difference(*pair)).map
        title = f"contrast by {METHODS[method].title}"
        yield from _rows(clf, sample, layer, title, pair, [between, -between], regions)


def _rows(
    clf: Classifier,
    sample: Sample,
    layer: str,
    title: str,
    pair: tuple[int, int],
    maps: Sequence[FloatArray],
    regions: Sequence[Region],
) -> Iterator[Row]:
    for index, own, other in zip(pair, maps, maps[::-1], strict=True):
        region, _ = own_and_other(regions, clf.labels[index])
        if region is None:
            raise TargetError(f"no animal of {sample.key} is known as {clf.labels[index]}")
        shares = [region_shares(raw, [region])[0] for raw in (own, other)]
        yield Row(sample.key, clf.labels[index], layer, title, shares[0].share, shares[1].share, shares[0].area)


def table(rows: Sequence[Row]) -> list[str]:
    """Classes by methods: own share, and in brackets the other map's; bold where it is larger on its own animal."""
    methods = list(dict.fromkeys(row.method for row in rows))
    cells = {(row.photo, row.animal, row.method): row for row in rows}
    lines = ["| photo | class | area | " + " | ".join(methods) + " |", "|---" * (len(methods) + 3) + "|"]
    for photo, animal in dict.fromkeys((row.photo, row.animal) for row in rows):
        found = [cells[photo, animal, method] for method in methods]
        texts = [cell(row) for row in found]
        lines.append(f"| {photo} | {animal} | {found[0].area:.3f} | " + " | ".join(texts) + " |")
    return lines


def cell(row: Row) -> str:
    """ "**0.930** (0.210)"."""
    own = f"**{row.own:.3f}**" if row.own > row.other else f"{row.own:.3f}"
    return f"{own} ({row.other:.3f})"


def write_report(name: str, tables: Mapping[str, Sequence[Row]], facts: Mapping[str, Any]) -> None:
    """Markdown for readers and JSON for programs, both in benchmarks/results."""
    lines = ["# Two animals, two classes", "", *(f"- {key}: {value}" for key, value in facts.items()), ""]
    lines += [
        "Share of the positive energy of the map of a class in the box around its animal; in brackets the share that",
        "the map of the other class has there; bold where the first is larger. Area: the box’s share of the picture,",
        "which a map that knows nothing would have.",
        "",
    ]
    for layer, rows in tables.items():
        better = sum(row.own > row.other for row in rows)
        above = sum(row.own > row.area for row in rows)
        lines += [f"## {layer}", "", *table(rows), ""]
        lines += [f"Larger on its own animal in {better} of {len(rows)}; larger than the box’s area in {above}.", ""]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text("\n".join(lines), encoding="utf-8")
    record = {"settings": dict(facts), "rows": [asdict(row) for rows in tables.values() for row in rows]}
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def main(
    model: str = "efficientnet_lite0",
    layer: Annotated[
        list[str] | None, typer.Option(help="several times for several; the last one, and a late nonlinear one")
    ] = None,
    device: str = "cpu",
    threads: Annotated[int, typer.Option(help="of the CPU")] = 1,
    name: Annotated[str, typer.Option(help="of the files in benchmarks/results")] = "classes",
) -> None:
    """Explain, measure, and write down."""
    torch.set_num_threads(threads)
    clf = load_model(model, device=device)
    layers = layer or [clf.default_layer, nonlinear_layer(clf)]
    tables = {place: [row for sample in COLLAGES for row in rows_of(clf, sample, place)] for place in layers}
    write_report(name, tables, {"model": model} | machine(device))
    for place, rows in tables.items():
        print(place, *table(rows), sep="\n")


if __name__ == "__main__":
    typer.run(main)
