"""The plan of a folder evaluation: all images, all that values depend on, and the shards that the work falls into."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cam_core.declarations.lazy import lazy
from cam_core.engine.tasks import Network
from cam_core.evaluation.photos import Photo
from cam_core.evaluation.shards import Shard, Unit, Work, asked
from cam_core.evaluation.sources import Source
from cam_core.explain import images_at_once
from cam_core.methods import METHODS
from cam_core.metrics.base import METRICS
from cam_core.metrics.ground_truth import by_path, read_ground_truth
from cam_core.models.classifier import Classifier
from cam_core.models.origin import weights_digest
from cam_core.types import MetricError
from cam_core.version import versions

# Passes in about ten seconds, and in a cheap and an expensive method or metric: rough, and the same on every machine,
# so that shards are.
_PASSES_PER_SHARD: Final = {"cpu": 500}
_PASSES_PER_GPU_SHARD: Final = 10_000
_PASSES: Final = {False: 2, True: 200}
_MOST_IMAGES: Final = 256


@dataclass(frozen=True)
class Share:
    """One of several equal parts of an evaluation: `number` of `count`, the first being 1.

    Raises:
        MetricError: there is no such part.
    """

    number: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise MetricError(f"there is no shard {self.number} of {self.count}: they are numbered from 1")

    @property
    def whole(self) -> bool:
        """Whether it is all of the evaluation."""
        return self.count == 1


@dataclass(frozen=True)
class Plan:
    """All that is to be done."""

    clf: Classifier
    source: Source
    methods: Mapping[str, Mapping[str, Any]]
    metrics: Mapping[str, Mapping[str, Any]]
    layer: str | None
    ground_truth: Path | None
    by_label: bool
    seed: int
    precision: str
    share: Share

    @lazy
    def settings(self) -> dict[str, Any]:
        """All that the values depend on, apart from the images."""
        return {
            "model": self.clf.name,
            "weights": weights_digest(self.clf.module),
            "layer": self.layer or self.clf.default_layer,
            "methods": {key: dict(params) for key, params in self.methods.items()},
            "metrics": {key: dict(params) for key, params in self.metrics.items()},
            "ground_truth": self._truth_digest,
            "seed": self.seed,
            "precision": self.precision,
            "versions": versions(),
            **({"labels": self.source.digest} if self.source.labelled else {}),
            **({"explained": "label"} if self.by_label else {}),
        }

    @property
    def _truth_digest(self) -> str | None:
        if self.ground_truth is None:
            return None
        return hashlib.sha256(_read(self.ground_truth)).hexdigest()

    @lazy
    def photos(self) -> list[Photo]:
        """The images, in the order of the evaluation."""
        return [Photo.of(entry) for entry in self.source.entries]

    @property
    def places(self) -> list[int]:
        """The images that are this share's, by their place among all."""
        return [place for part in self._parts() for place in part]

    def shards(self, network: Network, missing: Collection[int]) -> Iterator[Shard]:
        """The shards of this share, as far as they have images in `missing`, which are places among all images.

        Raises:
            MetricError: labels are to be explained, and no image has one.
        """
        entries, truths = self.source.entries, self._truths()
        if self.by_label and all(entry.label is None for entry in entries):
            raise MetricError(f"no image has a label to be explained: {entries[0].problem}")
        work = Work(
            self.source.reader,
            asked(self.methods),
            asked(self.metrics),
            self.layer,
            self.seed,
            self.precision,
            self.by_label,
        )
        for part in self._parts():
            units = tuple(self._unit(place, truths) for place in part if place in missing)
            if units:
                yield Shard(network, work, units, self.together)

    def _unit(self, place: int, truths: Mapping[str, Mapping[str, Any]]) -> Unit:
        photo, entry = self.photos[place], self.source.entries[place]
        truth = truths.get(photo.name)
        return Unit(place, photo, "" if truth is None else json.dumps(truth), entry.label, entry.problem)

    def _parts(self) -> list[range]:
        """Places of images that belong together, by nothing but their order: whoever resumes finds the same."""
        count, size = len(self.photos), self._images_per_shard
        parts = [range(start, min(start + size, count)) for start in range(0, count, size)]
        return parts[self.share.number - 1 :: self.share.count]

    @property
    def together(self) -> int:
        """Images that are explained together at most."""
        expensive = [METHODS[key] for key in self.methods if METHODS[key].expensive]
        return max((images_at_once(method, self.clf.device) for method in expensive), default=1)

    @property
    def _images_per_shard(self) -> int:
        of_metrics = sum(_PASSES[METRICS[key].expensive] for key in self.metrics)
        passes = sum(_PASSES[METHODS[key].expensive] + of_metrics for key in self.methods)
        most = _PASSES_PER_SHARD.get(self.clf.device.type, _PASSES_PER_GPU_SHARD) // max(1, passes)
        return max(1, min(most, _MOST_IMAGES) // self.together) * self.together

    def _truths(self) -> Mapping[str, Mapping[str, Any]]:
        """Ground truth by the image's path within the source: the file's, or else the source's own."""
        own = {entry.name: entry.truth for entry in self.source.entries if entry.truth is not None}
        if self.ground_truth is None:
            return own
        return own | by_path(read_ground_truth(self.ground_truth), [photo.name for photo in self.photos])


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MetricError(f"cannot read {path}: {error.strerror}") from None
