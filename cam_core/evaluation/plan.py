"""The work of a folder evaluation, and how one unit of it is done."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cam_core.evaluation.parts import Unit
from cam_core.evaluation.results import Row
from cam_core.explain import explain
from cam_core.images import EXTENSIONS, load_image
from cam_core.metrics.base import METRICS
from cam_core.metrics.evaluating import measure, missing_needs
from cam_core.metrics.ground_truth import framed, own_and_other, read_ground_truth
from cam_core.metrics.samples import Samples, gather
from cam_core.models.classifier import Classifier
from cam_core.options import Options
from cam_core.types import CamError, Cancelled, DeviceError, Explanation, MetricError
from cam_core.version import versions


@dataclass(frozen=True)
class Plan:
    """The work to be done, and how one unit of it is done."""

    clf: Classifier
    folder: Path
    methods: Mapping[str, Mapping[str, Any]]
    metrics: Mapping[str, Mapping[str, Any]]
    layer: str | None
    ground_truth: Path | None
    options: Options

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
            "seed": self.options.seed,
            "precision": self.options.precision,
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

    def work(self, unit: Unit, options: Options) -> list[Row]:
        """The rows of one unit, one per metric."""
        name, digest, method = unit
        # The explanation, each metric, and at last what whoever called does with the rows: only then is the unit done.
        parts = [options.part(place, len(self.metrics) + 2) for place in range(len(self.metrics) + 1)]
        try:
            batch, explanation = self._explained(name, method, parts[0])
        except (Cancelled, DeviceError):
            raise
        except CamError as error:
            return [Row(name, digest, method, metric, note=str(error)) for metric in self.metrics]
        return [
            self._row(unit, metric, batch, explanation, part)
            for metric, part in zip(self.metrics, parts[1:], strict=True)
        ]

    def _explained(self, name: str, method: str, options: Options) -> tuple[Samples, Explanation]:
        path = self.folder / name
        image = load_image(path)
        explanation = explain(self.clf, image, method=method, layer=self.layer, **vars(options), **self.methods[method])
        photo = self.photos.get(path.name)
        regions = [] if photo is None else framed(photo, self.clf.preprocessing)
        own, other = own_and_other(regions, explanation.label)
        batch = gather(
            self.clf, [image], [explanation], regions=[own], other_regions=[other], precision=options.precision
        )
        return batch, explanation

    def _row(self, unit: Unit, key: str, batch: Samples, explanation: Explanation, options: Options) -> Row:
        name, digest, method = unit
        metric = METRICS[key]
        assert isinstance(explanation.target, int), "a folder is asked about classes"
        explained = (explanation.target, explanation.label, explanation.probability)
        if missing_needs(metric, batch):
            note = f"no ground truth for {explanation.label!r} on this photo"
            return Row(name, digest, method, key, *explained, note=note)
        result = measure(batch, metric, dict(self.metrics[key]), options)[0]
        details = tuple(result.extras[metric.details].ravel().tolist()) if metric.details else ()
        note = " ".join(dict.fromkeys((*explanation.warnings, *result.warnings)))
        return Row(name, digest, method, key, *explained, result.value, details, note)


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
