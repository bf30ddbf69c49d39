"""The one place where the page meets `evaluate_folder`: how its jobs evaluate a folder, and with which weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cam_core import Classifier
from cam_core.evaluation.folder import Step, evaluate_folder
from cam_core.evaluation.plan import weights_digest
from cam_core.types import Progress
from pages.benchmark.form import Benchmark


def evaluated(clf: Classifier, benchmark: Benchmark, out: Path, progress: Progress | None) -> Iterator[Step]:
    """Step by step; what an earlier call had finished comes first, and is not computed again."""
    return evaluate_folder(
        clf,
        benchmark.photos.folder,
        methods=[request.method for request in benchmark.requests],
        metrics=benchmark.metrics,
        out=out,
        method_params=benchmark.params,
        seed=benchmark.seed,
        precision=benchmark.precision,
        progress=progress,
    )


def has_weights(clf: Classifier, digest: object) -> bool:
    """Whether it is the network that a table was made of, by the digest that the table has; True where it has none."""
    return digest is None or digest == weights_digest(clf)
