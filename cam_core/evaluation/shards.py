"""A shard: some images that one worker evaluates, and how it does that. Plain data on its way, rows on the way back."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, TypeAlias

from cam_core.engine.tasks import Done, Event, Holder, Item, Task
from cam_core.evaluation.photos import Photo, PhotoFile
from cam_core.evaluation.results import Row
from cam_core.evaluation.sources import Reader
from cam_core.evaluation.sources.entries import with_size
from cam_core.explain import explain, explain_batch, images_at_once
from cam_core.methods import METHODS
from cam_core.metrics.base import METRICS
from cam_core.metrics.evaluating import measure, missing_needs, wanting
from cam_core.metrics.ground_truth import framed, own_and_other
from cam_core.metrics.samples import Samples, gather
from cam_core.models.batching import is_out_of_memory
from cam_core.models.classifier import Classifier
from cam_core.options import Options
from cam_core.types import CamError, Cancelled, DeviceError, Explanation, MetricError, Progress

Asked: TypeAlias = tuple[tuple[str, tuple[tuple[str, Any], ...]], ...]
"""Methods or metrics by key, in order, each with all its parameters."""


def asked(requests: Mapping[str, Mapping[str, Any]]) -> Asked:
    """Methods or metrics as plain data that does not change."""
    return tuple((key, tuple(params.items())) for key, params in requests.items())


@dataclass(frozen=True)
class Work:
    """What is done to every image: each method, and each metric of its map."""

    reader: Reader
    methods: Asked
    metrics: Asked
    layer: str | None
    seed: int
    precision: str
    by_label: bool = False


@dataclass(frozen=True, slots=True)
class Unit:
    """One image by all methods and all metrics.

    Attributes:
        index: its place among all images of the evaluation.
        photo: its file.
        truth: what is known to be where on it, an entry of `read_ground_truth` in JSON; empty where nothing is.
        label, problem: the index of the class that it shows; None where that is not known, for the reason given.
    """

    index: int
    photo: Photo
    truth: str = ""
    label: int | None = None
    problem: str = ""

    @property
    def name(self) -> str:
        """The path within the source, with forward slashes."""
        return self.photo.name


@dataclass(frozen=True)
class Finished:
    """A unit that is done: the checksum of its file, and a row per method and metric."""

    unit: Unit
    sha256: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Shard(Task):
    """Units that one worker does one after the other; an `Item` with a `Finished` for each."""

    work: Work
    units: tuple[Unit, ...]
    together: int = 1
    """Units whose index has the same quotient by this number may be explained together: see `halves`."""

    def run(self, worker: Holder, tell: Progress | None) -> Iterator[Event]:
        """See `Task`. What fails on one image, for whatever reason, leaves rows without a value that say why."""
        listener = None if tell is None else Listener(tell)
        options = Options(self.work.seed, self.work.precision, progress=listener)
        for finished in _Evaluation(self.work, worker.classifier(self.network), options).units(self.units):
            yield Item(finished)
        yield Done()

    def halves(self) -> Sequence[Shard]:
        """See `Task`. What is explained together stays together, as long as there is anything else to part."""
        groups: dict[int, list[Unit]] = {}
        for unit in self.units:
            groups.setdefault(unit.index // self.together, []).append(unit)
        pieces = list(groups.values()) if len(groups) > 1 else [[unit] for unit in self.units]
        if len(pieces) < 2:
            return ()
        middle = len(pieces) // 2
        return [replace(self, units=tuple(chain.from_iterable(part))) for part in (pieces[:middle], pieces[middle:])]

    def given_up(self, note: str) -> list[Finished]:
        """The units as done without a value, for the reason in `note`. The files are read, but not decoded."""
        made = []
        for unit in self.units:
            file = PhotoFile(self.work.reader, unit.name)
            blank = Row(unit.name, file.sha256, method="", metric="", note=note)
            keys = [(method, metric) for method, _ in self.work.methods for metric, _ in self.work.metrics]
            rows = tuple(replace(blank, method=method, metric=metric) for method, metric in keys)
            made.append(Finished(unit, file.sha256, rows))
        return made


Beside: TypeAlias = tuple[Unit, PhotoFile]
"""A unit that comes later, with its file."""


class Listener:
    """Progress told to whoever listens, and the error by which they stopped the work: it is not an image's."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.error: Exception | None = None

    def __call__(self, done: int, total: int) -> None:
        try:
            self._progress(done, total)
        except Exception as error:
            self.error = error
            raise


class _Evaluation:
    """How a worker evaluates images."""

    def __init__(self, work: Work, clf: Classifier, options: Options) -> None:
        self.work, self.clf, self.options = work, clf, options
        self.methods = {key: dict(params) for key, params in work.methods}
        self.metrics = {key: dict(params) for key, params in work.metrics}
        self._ahead: dict[tuple[str, str], Explanation] = {}

    def units(self, units: Sequence[Unit]) -> Iterator[Finished]:
        """One after the other; each file is read when its turn comes, and once."""
        files = deque((unit, PhotoFile(self.work.reader, unit.name)) for unit in units)
        total = len(units) * len(self.methods)
        for place in range(len(units)):
            unit, file = files.popleft()
            rows: list[Row] = []
            for number, method in enumerate(self.methods):
                at_once = self._at_once(method)
                beside = [pair for pair in files if pair[0].index // at_once == unit.index // at_once]
                part = self.options.part(place * len(self.methods) + number, total, steps=1)
                rows += self._rows(unit, file, method, beside, part)
                if part.progress is not None and number + 1 < len(self.methods):
                    part.progress(1, 1)  # the last one is told with the unit
            yield Finished(unit, file.sha256, tuple(rows))

    def _at_once(self, method: str) -> int:
        """How many images a method takes together. Cheap ones gain nothing that would be worth the memory."""
        entry = METHODS[method]
        return images_at_once(entry, self.clf.device) if entry.expensive else 1

    def _rows(self, unit: Unit, file: PhotoFile, method: str, beside: Sequence[Beside], options: Options) -> list[Row]:
        """One image by one method: a row per metric."""
        # The explanation, each metric, and at last what whoever called does with the rows: only then is the unit done.
        parts = [options.part(place, len(self.metrics) + 2) for place in range(len(self.metrics) + 1)]
        blank = Row(file.name, file.sha256, method, metric="")
        try:
            explanation = self._explanation(unit, file, method, beside, parts[0])
            batch = self._samples(unit, file, explanation)
        except Exception as error:
            return [replace(blank, metric=key, note=self._reason(error)) for key in self.metrics]
        explained = replace(
            blank, target=int(batch.target), label=explanation.label, probability=explanation.probability
        )
        return [
            self._row(replace(explained, metric=key), batch, explanation, part)
            for key, part in zip(self.metrics, parts[1:], strict=True)
        ]

    def _explanation(
        self, unit: Unit, file: PhotoFile, method: str, beside: Sequence[Beside], options: Options
    ) -> Explanation:
        """A method that is faster on several images explains those that come next with this one."""
        if (file.name, method) in self._ahead:
            return self._ahead.pop((file.name, method))
        how = {"method": method, "layer": self.work.layer, **vars(options), **self.methods[method]}
        target = self._target(unit)
        others = [pair for pair in beside if (pair[1].name, method) not in self._ahead and self._fit(*pair)]
        try:
            targets = [target, *(self._target(other) for other, _ in others)]
            images = [file.image, *(other.image for _, other in others)]
            found, *ahead = explain_batch(self.clf, images, targets=targets, **how)
        except Exception as error:
            self._reason(error)
            if not others:
                raise
            # It may be another image's.
            return explain(self.clf, file.image, target=target, **how)
        self._ahead.update({(other.name, method): made for (_, other), made in zip(others, ahead, strict=True)})
        return found

    def _target(self, unit: Unit) -> int | None:
        """The class to be explained; None for the most probable one.

        Raises:
            MetricError: its label is to be explained, and is not known.
        """
        if self.work.by_label and unit.label is None:
            raise MetricError(f"no label to be explained: {unit.problem}")
        return unit.label if self.work.by_label else None

    def _fit(self, unit: Unit, file: PhotoFile) -> bool:
        """Whether there is an image, and what is to be explained is known."""
        return file.fit and not (self.work.by_label and unit.label is None)

    def _samples(self, unit: Unit, file: PhotoFile, explanation: Explanation) -> Samples:
        regions = []
        if unit.truth:
            regions = framed(with_size(json.loads(unit.truth), file.data), self.clf.preprocessing)
        own, other = own_and_other(regions, explanation.label)
        batch = gather(
            self.clf,
            [file.image],
            [explanation],
            regions=[own],
            other_regions=[other],
            precision=self.options.precision,
        )
        return wanting(batch, [(METRICS[key], params) for key, params in self.metrics.items()])

    def _row(self, row: Row, batch: Samples, explanation: Explanation, options: Options) -> Row:
        metric = METRICS[row.metric]
        if missing_needs(metric, batch):
            return replace(row, note=f"no ground truth for {explanation.label!r} on this photo")
        try:
            result = measure(batch, metric, dict(self.metrics[metric.key]), options)[0]
        except Exception as error:
            return replace(row, note=self._reason(error))
        details = tuple(result.extras[metric.details].ravel().tolist()) if metric.details else ()
        note = " ".join(dict.fromkeys((*explanation.warnings, *result.warnings)))
        return replace(row, value=result.value, details=details, note=note)

    def _reason(self, error: Exception) -> str:
        """Why there is no value, in words; raises what is no image's: the work is stopped, or the device is full."""
        listener = self.options.progress
        told = isinstance(listener, Listener) and listener.error is error
        if told or isinstance(error, Cancelled | DeviceError) or is_out_of_memory(error):
            raise error
        return str(error) if isinstance(error, CamError) else f"{type(error).__name__}: {error}"
