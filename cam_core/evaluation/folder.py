"""Evaluate a folder of images: every method by every metric, one Parquet row each, resumed wherever it was interrupted.

    for step in evaluate_folder(clf, "photos", ["grad-cam", "lift-cam"], ["average-drop"], "results.parquet"):
        print(step.done, "of", step.total)
    summarise(read_rows(Path("results.parquet")))

A unit of work is one image explained by one method; its rows are written to a file of their own, at once or not at all.
Whatever stops the work, the next call takes up the units that are missing, and the table comes out the same.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cam_core.evaluation.results import Row, read_rows, read_settings, write_rows
from cam_core.explain import explain
from cam_core.images import EXTENSIONS, load_image
from cam_core.methods import METHODS
from cam_core.metrics.base import METRICS
from cam_core.metrics.evaluating import judge, missing_needs
from cam_core.metrics.ground_truth import framed, own_and_other, read_ground_truth
from cam_core.metrics.samples import Subjects, gather
from cam_core.models.classifier import Classifier
from cam_core.types import CamError, Cancelled, DeviceError, Explanation, MetricError, Progress
from cam_core.version import versions

Unit = tuple[str, str, str]  # the image's path within the folder, the SHA-256 of its bytes, the method


@dataclass(frozen=True)
class Step:
    """One unit is done: `done` of `total`, with the rows it gave."""

    done: int
    total: int
    rows: tuple[Row, ...]


def evaluate_folder(
    clf: Classifier,
    folder: Path | str,
    methods: Sequence[str],
    metrics: Sequence[str],
    out: Path | str,
    *,
    layer: str | None = None,
    ground_truth: Path | str | None = None,
    method_params: Mapping[str, Mapping[str, Any]] | None = None,
    metric_params: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int = 0,
    precision: str = "float32",
    progress: Progress | None = None,
) -> Iterator[Step]:
    """Explain each image's most probable class by each method and judge the map by each metric.

    The table appears at `out` when all is done; until then the finished units lie beside it, in a folder of the same
    name with the ending .parts. What fails on one image leaves rows without a value that say why, and the work goes on.

    Args:
        folder: searched with its subfolders, in the order of the paths.
        ground_truth: a file of boxes in the form of assets/samples/boxes.json, by file name.
        method_params, metric_params: own parameters by key.
        progress: called as `progress(done, total)`, also between the batches of a unit; may raise `Cancelled`.
    Yields:
        a step for every unit, first those that an earlier call had finished.
    Raises:
        MethodError, MetricError: unknown keys or parameters, no images, or `out` belongs to another evaluation.
    """
    plan = _Plan(
        clf=clf,
        folder=Path(folder),
        methods={key: METHODS[key].validate((method_params or {}).get(key, {})) for key in methods},
        metrics={key: METRICS[key].validate((metric_params or {}).get(key, {})) for key in metrics},
        layer=layer,
        ground_truth=None if ground_truth is None else Path(ground_truth),
        seed=seed,
        precision=precision,
    )
    store = _Store(Path(out), plan.settings)
    units = plan.units()
    finished: list[Row] = []
    for done, unit in enumerate(units):
        rows = store.find(unit)
        if rows is None:
            rows = plan.work(unit, progress and _heartbeat(progress, done, len(units)))
            store.keep(unit, rows)
        finished += rows
        if progress is not None:
            progress(done + 1, len(units))
        yield Step(done + 1, len(units), tuple(rows))
    store.complete(finished)


def _heartbeat(progress: Progress, done: int, total: int) -> Progress:
    return lambda _done, _total: progress(done, total)


@dataclass(frozen=True)
class _Plan:
    """What is to be done, and how one unit of it is done."""

    clf: Classifier
    folder: Path
    methods: Mapping[str, Mapping[str, Any]]
    metrics: Mapping[str, Mapping[str, Any]]
    layer: str | None
    ground_truth: Path | None
    seed: int
    precision: str

    @cached_property
    def settings(self) -> dict[str, Any]:
        """All that the values depend on, apart from the images."""
        truth = None if self.ground_truth is None else _digest(self.ground_truth)
        return {
            "model": self.clf.name,
            "weights": weights_digest(self.clf),
            "layer": self.layer or self.clf.default_layer,
            "methods": {key: dict(params) for key, params in self.methods.items()},
            "metrics": {key: dict(params) for key, params in self.metrics.items()},
            "ground_truth": truth,
            "seed": self.seed,
            "precision": self.precision,
            "versions": versions(),
        }

    @cached_property
    def photos(self) -> Mapping[str, Mapping[str, Any]]:
        """Ground truth by file name."""
        return {} if self.ground_truth is None else read_ground_truth(self.ground_truth)

    def units(self) -> list[Unit]:
        """Every image with every method, image by image.

        Raises:
            MetricError: there is no such folder, or no image in it.
        """
        if not self.folder.is_dir():
            raise MetricError(f"{self.folder} is not a folder")
        endings = {ending.lower().lstrip(".") for ending in EXTENSIONS}
        paths = sorted(p for p in self.folder.rglob("*") if p.suffix.lower().lstrip(".") in endings and p.is_file())
        if not paths:
            raise MetricError(f"there is no image in {self.folder}: looked for {', '.join(sorted(endings))}")
        named = [(path.relative_to(self.folder).as_posix(), _digest(path)) for path in paths]
        return [(name, digest, method) for name, digest in named for method in self.methods]

    def work(self, unit: Unit, progress: Progress | None) -> list[Row]:
        """The rows of one unit, one a metric."""
        name, digest, method = unit
        try:
            subjects, explanation = self._explained(name, method, progress)
        except (Cancelled, DeviceError):
            raise
        except CamError as error:
            return [Row(name, digest, method, metric, note=str(error)) for metric in self.metrics]
        return [self._row(unit, metric, subjects, explanation, progress) for metric in self.metrics]

    def _explained(self, name: str, method: str, progress: Progress | None) -> tuple[Subjects, Explanation]:
        path = self.folder / name
        image = load_image(path)
        explanation = explain(
            self.clf,
            image,
            method,
            layer=self.layer,
            seed=self.seed,
            progress=progress,
            precision=self.precision,
            **self.methods[method],
        )
        photo = self.photos.get(path.name)
        regions = [] if photo is None else framed(photo, self.clf.preprocessing)
        own, other = own_and_other(regions, explanation.label)
        net = self.clf.split(None, self.precision)
        return gather(self.clf, net, [image], [explanation], [None], [own], [other], [None], [None]), explanation

    def _row(
        self, unit: Unit, key: str, subjects: Subjects, explanation: Explanation, progress: Progress | None
    ) -> Row:
        name, digest, method = unit
        metric = METRICS[key]
        explained = (explanation.target, explanation.label, explanation.probability)
        if missing_needs(metric, subjects):
            note = f"no ground truth for {explanation.label!r} on this photo"
            return Row(name, digest, method, key, *explained, note=note)
        net = self.clf.split(None, self.precision)
        result = judge(net, subjects, metric, dict(self.metrics[key]), seed=self.seed, progress=progress)[0]
        details = tuple(result.extras[metric.details].ravel().tolist()) if metric.details else ()
        note = " ".join(dict.fromkeys((*explanation.warnings, *result.warnings)))
        return Row(name, digest, method, key, *explained, result.value, details, note)


class _Store:
    """Finished units: those of a finished table, and those beside it that wait for the others.

    Raises:
        MetricError: what is there was made with other settings.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any]) -> None:
        self._out, self._settings = out, settings
        self._parts = out.with_name(f"{out.name}.parts")
        self._known: dict[Unit, list[Row]] = {}
        if out.exists():
            self._check(out)
            for row in read_rows(out):
                self._known.setdefault((row.image, row.image_sha256, row.method), []).append(row)
        self._parts.mkdir(parents=True, exist_ok=True)
        for part in self._parts.glob("*.parquet"):
            self._check(part)
            break  # one part stands for all: each run checks before it adds its own

    def _check(self, path: Path) -> None:
        found = read_settings(path)
        if found != self._settings:
            different = [key for key, value in self._settings.items() if found.get(key) != value]
            raise MetricError(
                f"{path} was made with other settings ({', '.join(different)}): name another file for the results, "
                "or remove this one"
            )

    def _part(self, unit: Unit) -> Path:
        return self._parts / f"{hashlib.sha256(repr(unit).encode()).hexdigest()[:32]}.parquet"

    def find(self, unit: Unit) -> list[Row] | None:
        """The rows of a unit, or None where it is not finished."""
        if unit in self._known:
            return self._known[unit]
        part = self._part(unit)
        return read_rows(part) if part.exists() else None

    def keep(self, unit: Unit, rows: Sequence[Row]) -> None:
        """Put a finished unit by, in a file that is either whole or not there."""
        write_rows(rows, self._settings, self._part(unit))

    def complete(self, rows: Sequence[Row]) -> None:
        """All is done: write the table, and clear the parts away."""
        write_rows(rows, self._settings, self._out)
        shutil.rmtree(self._parts)


def weights_digest(clf: Classifier) -> str:
    """SHA-256 over names, shapes and values of the network's weights."""
    digest = hashlib.sha256()
    for name, value in sorted(clf.module.state_dict().items()):
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        digest.update(value.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise MetricError(f"cannot read {path}: {error.strerror}") from None
