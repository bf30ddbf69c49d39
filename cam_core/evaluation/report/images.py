"""Images of a table of results: those on which a method does best and worst, and those without a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow.compute as pc

from cam_core.evaluation.report.opening import Results
from cam_core.evaluation.scores import scores_of


@dataclass(frozen=True)
class ImageScore:
    """One image by one method and metric.

    Attributes:
        image: path within the folder; `sha256` of the file's bytes.
        value: what the image adds to the mean.
        target, label, probability: the explained class and what the network gives it.
    """

    image: str
    sha256: str
    value: float
    target: int | None
    label: str | None
    probability: float | None


@dataclass(frozen=True)
class Missing:
    """Values that are not there for one reason.

    Attributes:
        count: how many values.
        images, methods: which they are, each once.
    """

    reason: str
    count: int
    images: tuple[str, ...]
    methods: tuple[str, ...]


def extremes(
    results: Results, method: str, metric: str, count: int = 3
) -> tuple[tuple[ImageScore, ...], tuple[ImageScore, ...]]:
    """The images with the best values and those with the worst, each from its end on; no image is in both."""
    table = results.table
    own = table.filter(pc.and_(pc.equal(table.column("method"), method), pc.equal(table.column("metric"), metric)))
    own = own.filter(pc.is_valid(own.column("value")))
    if not own.num_rows:
        return (), ()
    scores = scores_of(own)[metric]
    values = dict(zip(scores.images, scores.values[:, 0].tolist(), strict=True))
    columns = ("image", "image_sha256", "target", "label", "probability")
    rows = own.select(columns).to_pylist()
    made = [ImageScore(image, sha, values[image, sha], *rest) for image, sha, *rest in (row.values() for row in rows)]
    ordered = sorted(made, key=lambda score: score.value, reverse=scores.direction == "higher")
    best = min(count, (len(ordered) + 1) // 2)
    return tuple(ordered[:best]), tuple(ordered[best:][::-1][:count])


def missing(results: Sequence[Results]) -> tuple[Missing, ...]:
    """What has no value, by the reason, the most frequent first."""
    reasons: dict[str, list[tuple[str, str]]] = {}
    for result in results:
        empty = result.table.filter(pc.is_null(result.table.column("value")))
        for row in empty.select(("note", "image", "method")).to_pylist():
            reasons.setdefault(row["note"] or "no reason is given", []).append((row["image"], row["method"]))
    made = [
        Missing(reason, len(places), *(tuple(dict.fromkeys(names)) for names in zip(*places, strict=True)))
        for reason, places in reasons.items()
    ]
    return tuple(sorted(made, key=lambda each: -each.count))
