"""Where a file comes from that leaves the app: network, photo, settings, versions, written into the file itself.

facts = provenance.facts(seen, {"grad-cam": {}})
provenance.columns(csv, facts)              # a table: each fact is a column more, for tables to be joined and filtered
encode_figure(figure, "pdf", provenance.description(facts))   # a picture: one text, which is JSON
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cam_core import Explanation
from cam_core.models.trainable.checkpoints import SUFFIX
from cam_core.version import versions
from pages.shared.scene import Scene
from pages.shared.targets.words import title, written

Facts = Mapping[str, str]


def facts(seen: Scene, parameters: Mapping[str, Any]) -> Facts:
    """Everything needed to compute it again, by name.

    Args:
        parameters: of what was computed, by what takes them: "lime-cam", "curves". Values as JSON has them.
    """
    question, model = seen.question, seen.question.model
    return {
        # Of a network in a file the name alone: its folder is the visitor's.
        "network": Path(model.name).name.removesuffix(SUFFIX),
        "weights": _weights(seen),
        "layer": question.layer,
        "class": title(question.target, seen.classifier.labels),
        "class_index": str(question.target) if isinstance(question.target, int) else "",
        "target": written(question.target),
        "photo": seen.photo.title,
        "photo_sha256": seen.whole_photo.digest,
        "resize": seen.classifier.preprocessing.fit,
        "frame": ", ".join(f"{edge:.1f}" for edge in seen.box_in_whole),
        "seed": str(question.seed),
        "precision": question.precision,
        "device": str(seen.classifier.device),
        "parameters": json.dumps(parameters, ensure_ascii=False),
        "made_with": ", ".join(f"{name} {number}" for name, number in versions().items()),
    }


def _weights(seen: Scene) -> str:
    model = seen.question.model
    if seen.classifier.trained:
        return "trained" if model.weights == "default" else f"trained: {Path(model.weights).name}"
    return f"random (seed {model.weights_seed}): untrained, it has learnt nothing"


def of_maps(explanations: Iterable[Explanation]) -> dict[str, Any]:
    """The parameters of the maps' methods, by the method's name."""
    return {explanation.method: dict(explanation.params) for explanation in explanations}


def columns(table: bytes, facts: Facts) -> bytes:
    """A table of comma-separated values in UTF-8 with every fact in a column of its own, the same in each row.

    Columns, not comments: whatever reads the table reads them too, and tables of several photos can be joined.
    """
    header, *rows = csv.reader(io.StringIO(table.decode()))
    more = {name: fact for name, fact in facts.items() if name not in header}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*header, *more])
    writer.writerows([*row, *more.values()] for row in rows)
    return text.getvalue().encode()


def description(facts: Facts) -> str:
    """The facts as one line of JSON: what pictures carry under "Description"."""
    return json.dumps(facts, ensure_ascii=False)
