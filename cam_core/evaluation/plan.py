"""The work of a folder evaluation, and how one unit of it is done."""

from __future__ import annotations

import hashlib
import io
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image

from cam_core.declarations.lazy import lazy
from cam_core.evaluation.results import Row
from cam_core.evaluation.sources import Entry, Reader, Source
from cam_core.evaluation.sources.entries import with_size
from cam_core.explain import explain, explain_batch, images_at_once
from cam_core.images import load_image
from cam_core.methods import METHODS
from cam_core.metrics.base import METRICS
from cam_core.metrics.evaluating import measure, missing_needs, wanting
from cam_core.metrics.ground_truth import by_path, framed, own_and_other, read_ground_truth
from cam_core.metrics.samples import Samples, gather
from cam_core.models.batching import is_out_of_memory
from cam_core.models.classifier import Classifier
from cam_core.options import Options
from cam_core.types import CamError, Cancelled, DeviceError, Explanation, MetricError, Progress
from cam_core.version import versions


@dataclass(frozen=True)
class Plan:
    """The work to be done, and how one unit of it is done."""

    clf: Classifier
    source: Source
    methods: Mapping[str, Mapping[str, Any]]
    metrics: Mapping[str, Mapping[str, Any]]
    layer: str | None
    ground_truth: Path | None
    by_label: bool
    options: Options
    _ahead: dict[tuple[str, str], Explanation] = field(default_factory=dict, init=False)

    @lazy
    def settings(self) -> dict[str, Any]:
        """All that the values depend on, apart from the images."""
        truth = None if self.ground_truth is None else hashlib.sha256(_read(self.ground_truth)).hexdigest()
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
            **({"labels": self.source.digest} if self.source.labelled else {}),
            **({"explained": "label"} if self.by_label else {}),
        }

    @property
    def images(self) -> list[str]:
        """The images' paths within the source, with forward slashes."""
        return [entry.name for entry in self.source.entries]

    @lazy
    def photos(self) -> Mapping[str, Mapping[str, Any]]:
        """Ground truth by the image's path within the source: the file's, or else the source's own."""
        own = {entry.name: entry.truth for entry in self.source.entries if entry.truth is not None}
        return own if self.ground_truth is None else own | by_path(read_ground_truth(self.ground_truth), self.images)

    def work(self) -> Iterator[Work]:
        """Every image with every method, image by image; each file is read when its turn comes, and once.

        Raises:
            MetricError: labels are to be explained, and no image has one.
        """
        photos, entries, reader = self.photos, self.source.entries, self.source.reader
        if self.by_label and all(entry.label is None for entry in entries):
            raise MetricError(f"no image has a label to be explained: {entries[0].problem}")
        files = deque(ImageFile(reader, entry, photos.get(entry.name), self.by_label) for entry in entries)
        while files:
            file = files.popleft()
            for method in self.methods:
                yield Work(file, method, list(islice(files, self._beside(method))))

    def _beside(self, method: str) -> int:
        """How many further images a method takes with one. Cheap ones gain nothing that would be worth the memory."""
        entry = METHODS[method]
        return images_at_once(entry, self.clf.device) - 1 if entry.expensive else 0

    def rows(self, work: Work, waits: Callable[[ImageFile, str], bool], options: Options) -> list[Row]:
        """One image by one method: a row per metric.

        Args:
            waits: whether an image still needs to be explained by a method.
        """
        file, method = work.file, work.method
        # The explanation, each metric, and at last what whoever called does with the rows: only then is the unit done.
        parts = [options.part(place, len(self.metrics) + 2) for place in range(len(self.metrics) + 1)]
        blank = Row(file.name, file.sha256, method, metric="")
        try:
            explanation = self._explanation(work, waits, parts[0])
            batch = self._samples(file, explanation)
        except Exception as error:
            return [replace(blank, metric=key, note=self._reason(error)) for key in self.metrics]
        explained = replace(
            blank, target=int(batch.target), label=explanation.label, probability=explanation.probability
        )
        return [
            self._row(replace(explained, metric=key), batch, explanation, part)
            for key, part in zip(self.metrics, parts[1:], strict=True)
        ]

    def _explanation(self, work: Work, waits: Callable[[ImageFile, str], bool], options: Options) -> Explanation:
        """A method that is faster on several images explains those that come next with this one."""
        file, method = work.file, work.method
        if (file.name, method) in self._ahead:
            return self._ahead.pop((file.name, method))
        how = {"method": method, "layer": self.layer, **vars(options), **self.methods[method]}
        new = [other for other in work.beside if (other.name, method) not in self._ahead]
        others = [other for other in new if other.fit and waits(other, method)]
        try:
            together = [file, *others]
            targets = [each.target for each in together]
            found, *ahead = explain_batch(self.clf, [each.image for each in together], targets=targets, **how)
        except Exception as error:
            self._reason(error)
            if not others:
                raise
            # It may be another image's.
            return explain(self.clf, file.image, target=file.target, **how)
        self._ahead.update({(other.name, method): made for other, made in zip(others, ahead, strict=True)})
        return found

    def _samples(self, file: ImageFile, explanation: Explanation) -> Samples:
        regions = [] if file.truth is None else framed(file.truth, self.clf.preprocessing)
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


@dataclass(frozen=True)
class Work:
    """One image to be explained by one method; `beside`: images that come next, which the method takes with it."""

    file: ImageFile
    method: str
    beside: Sequence[ImageFile]


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


class ImageFile:
    """One file of a source, read once: what is hashed is what is decoded.

    Attributes:
        name: its path within the source, with forward slashes.
    """

    def __init__(self, reader: Reader, entry: Entry, truth: Mapping[str, Any] | None, by_label: bool) -> None:
        self.name = entry.name
        self._reader, self._entry, self._truth, self._by_label = reader, entry, truth, by_label

    @lazy
    def _bytes(self) -> bytes:
        return self._reader.read(self.name)

    @property
    def truth(self) -> Mapping[str, Any] | None:
        """What is known to be where on it, an entry of `read_ground_truth`."""
        return None if self._truth is None else with_size(self._truth, self._bytes)

    @property
    def target(self) -> int | None:
        """The class to be explained; None for the most probable one.

        Raises:
            MetricError: its label is to be explained, and is not known.
        """
        if self._by_label and self._entry.label is None:
            raise MetricError(f"no label to be explained: {self._entry.problem}")
        return self._entry.label if self._by_label else None

    @lazy
    def sha256(self) -> str:
        """Of the file's bytes, in hexadecimal; empty where they cannot be read."""
        try:
            return hashlib.sha256(self._bytes).hexdigest()
        except MetricError:
            return ""

    @lazy
    def image(self) -> Image.Image:
        """The image, decoded when first asked for.

        Raises:
            CamError: the file cannot be read, or is no image.
        """
        return load_image(_Named(self._bytes, self.name))

    @property
    def fit(self) -> bool:
        """Whether there is an image in it, and what is to be explained is known."""
        try:
            _ = self.image, self.target
        except CamError:
            return False
        return True


class _Named(io.BytesIO):
    """Bytes that say in messages where they are from."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name


def weights_digest(clf: Classifier) -> str:
    """SHA-256 over names, shapes and values of the network's weights."""
    digest = hashlib.sha256()
    for name, value in sorted(clf.module.state_dict().items()):
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        digest.update(value.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MetricError(f"cannot read {path}: {error.strerror}") from None
