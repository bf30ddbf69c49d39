"""The one place where the page meets `evaluate_folder`: how its jobs evaluate a folder, and with which weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cam_core import Classifier
from cam_core.engine.choosing import ENGINES, chosen, open_engine
from cam_core.evaluation.folder import Step, evaluate_folder
from cam_core.evaluation.sources import open_source
from cam_core.models.origin import weights_digest
from cam_core.types import Progress
from pages.benchmark.form import Benchmark


def evaluated(clf: Classifier, benchmark: Benchmark, out: Path, progress: Progress | None) -> Iterator[Step]:
    """Step by step; what an earlier call had finished comes first, and is not computed again."""
    boxes = benchmark.boxes
    source = open_source(benchmark.photos.source, clf.labels, None if boxes is None else boxes.annotations)
    with open_engine(device=str(clf.device)) as engine:
        yield from evaluate_folder(
            clf,
            source,
            methods=[request.method for request in benchmark.requests],
            metrics=benchmark.metrics,
            out=out,
            ground_truth=None if boxes is None else boxes.ground_truth,
            method_params=benchmark.params,
            seed=benchmark.seed,
            precision=benchmark.precision,
            progress=progress,
            engine=engine,
        )


def elsewhere() -> bool:
    """Whether other processes than the app's compute, so that none of its devices is taken."""
    return chosen() != ENGINES[0]


def has_weights(clf: Classifier, digest: object) -> bool:
    """Whether it is the network that a table was made of, by the digest that the table has; True where it has none."""
    return digest is None or digest == weights_digest(clf.module)
