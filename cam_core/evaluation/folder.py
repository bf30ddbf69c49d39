"""Evaluate a source of images: every method by every metric, one Parquet row each, resumed wherever it was interrupted.

    for step in evaluate_folder(
        clf, "photos", methods=["grad-cam", "lift-cam"], metrics=["average-drop"], out="results.parquet"
    ):
        print(step.done, "of", step.total)
    summarise(read_rows(Path("results.parquet")))

A unit of work is one image by all methods and all metrics; a shard is some units, about ten seconds of them, whose rows
are written to a file of their own, at once or not at all. Workers do them: in the calling thread, in processes, on a
cluster. Whatever stops the work, the next call takes up the units that are missing, and the table comes out the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from cam_core.deprecated import formerly_positional
from cam_core.engine.base import Engine
from cam_core.engine.fingerprints import Fingerprint
from cam_core.engine.inline import Inline
from cam_core.engine.tasks import Advanced, Done, Event, Failed, Introduced, Item, Network, Task, Warned
from cam_core.evaluation.parts import KeptRows, Parts, merge_parts
from cam_core.evaluation.plan import Plan, Share
from cam_core.evaluation.results import Row
from cam_core.evaluation.shards import Finished, Shard
from cam_core.evaluation.sources import Source, open_source
from cam_core.methods import METHODS
from cam_core.metrics.base import METRICS
from cam_core.models.classifier import Classifier
from cam_core.types import DeviceError, Progress

__all__ = ["Step", "evaluate_folder", "merge_parts"]

_MANY = 1 << 16  # rows
_LETHAL = "nothing was computed: each worker that took up this image ended over it"


@dataclass(frozen=True)
class Step:
    """More is done and kept: `done` of `total`, which count images × methods.

    Attributes:
        rows: what came to be kept. Of what earlier calls had finished, where that is more than some ten thousand rows,
            they are read when somebody asks, as long as the files are there.
        warnings: what happened on the way, such as the end of a worker, one sentence each.
    """

    done: int
    total: int
    rows: Sequence[Row]
    warnings: tuple[str, ...] = ()


@formerly_positional("methods", "metrics", "out")
def evaluate_folder(
    clf: Classifier,
    folder: Path | str | Source,
    *,
    methods: Sequence[str],
    metrics: Sequence[str],
    out: Path | str,
    layer: str | None = None,
    ground_truth: Path | str | None = None,
    by_label: bool = False,
    method_params: Mapping[str, Mapping[str, Any]] | None = None,
    metric_params: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int = 0,
    precision: str = "float32",
    progress: Progress | None = None,
    engine: Engine | None = None,
    shard: tuple[int, int] | None = None,
) -> Iterator[Step]:
    """Explain each image's most probable class by each method and measure the map by each metric.

    The table appears at `out` when all is done; until then the finished shards lie beside it, in a folder of the same
    name with the ending .parts. What fails on one image, for whatever reason, leaves rows without a value that say why,
    and the work goes on.

    Args:
        folder: searched with its subfolders, in the order of the paths; or a zip, a table, or a source that is open
            already: see `open_source`.
        ground_truth: a file of boxes in the form of assets/samples/boxes.json, by path within the folder, or by file
            name where one image alone has it.
        by_label: explain the class that an image is labelled with in place of the most probable one.
        method_params, metric_params: own parameters by key.
        progress: called as `progress(done, total)`, in this process alone also between the batches of a unit; may raise
            `Cancelled`. What is whole by then is kept.
        engine: where the work is done: see `cam_core.engine.choosing`; in this thread where omitted. It stays open.
        shard: (3, 16) for the third of sixteen parts of the work, each to be done by a process of its own, which share
            the folder of parts. The table is then made by `merge_parts`.
    Yields:
        a step for all that earlier calls had finished, if they had, then one per shard.
    Raises:
        MethodError, MetricError: unknown keys or parameters, no image or label, or `out` belongs to another evaluation.
        ModelError: workers elsewhere cannot load the network.
        DeviceError: workers differ, or none can be had.
    """
    plan = Plan(
        clf=clf,
        source=folder if isinstance(folder, Source) else open_source(folder, clf.labels),
        methods={key: METHODS[key].validate((method_params or {}).get(key, {})) for key in methods},
        metrics={key: METRICS[key].validate((metric_params or {}).get(key, {})) for key in metrics},
        layer=layer,
        ground_truth=None if ground_truth is None else Path(ground_truth),
        by_label=by_label,
        seed=seed,
        precision=precision,
        share=Share(*(shard or (1, 1))),
    )
    engine = Inline() if engine is None else engine
    network = _network(engine, clf)
    store = Parts(Path(out), plan.settings, plan.photos, plan.share)
    yield from _Run(plan, store, engine, network, progress).steps()
    if plan.share.whole:
        store.complete()


def _network(engine: Engine, clf: Classifier) -> Network:
    """What the engine's workers are told of the network; the one in this thread is lent it."""
    if not isinstance(engine, Inline):
        return Network.of(clf)
    network = Network.held(clf)
    engine.worker.lend(network, clf)
    return network


class _Run:
    """One call: what is missing is handed out, what comes back is kept.

    Attributes:
        done, total: images × methods; those of unfinished shards are told, but do not count as done.
    """

    def __init__(self, plan: Plan, store: Parts, engine: Engine, network: Network, progress: Progress | None) -> None:
        self._plan, self._store, self._engine, self._network, self._progress = plan, store, engine, network, progress
        self._methods = len(plan.methods)
        self.done, self.total = 0, self._methods * len(plan.places)
        self._furthest = self._within = 0
        self._advanced: dict[int, int] = {}  # of shards by their first image: to hash one whole takes longer
        self._finished: dict[int, Finished] = {}
        self._warnings: list[str] = []

    def steps(self) -> Iterator[Step]:
        """A step for what is known, and one for each shard that is done."""
        places = self._plan.places
        known = self._store.known(self._plan.source.reader, places)
        if known:
            yield self._known(known)
        missing = set(places) - set(known)
        if isinstance(self._engine, Inline):
            self._engine.tell = None if self._progress is None else self._tell_within
        try:
            for shard in self._plan.shards(self._network, missing):
                self._engine.submit(shard)
            for task, event in self._engine.events():
                yield from self._heard(task, event)
        except BaseException:
            self._engine.cancel()
            self._keep_groups(missing)
            raise

    def _known(self, places: Sequence[int]) -> Step:
        names = [self._plan.photos[place].name for place in places]
        self.done = self._methods * len(places)
        self._tell()
        rows = KeptRows(self._store, names, self.done * len(self._plan.metrics))
        return Step(self.done, self.total, rows if len(rows) > _MANY else tuple(rows))

    def _heard(self, task: Task | None, event: Event) -> Iterator[Step]:
        if isinstance(event, Warned):
            self._warnings.append(event.text)
        elif isinstance(event, Introduced):
            self._check(event.fingerprint)
        elif isinstance(task, Shard):
            if isinstance(event, Advanced):
                self._advance(task, event.done)
            elif isinstance(event, Item):
                self._finished[event.value.unit.index] = event.value
                self._advance(task, self._methods * sum(unit.index in self._finished for unit in task.units))
            elif isinstance(event, Done):
                yield self._kept(task, [self._finished.pop(unit.index) for unit in task.units])
            elif isinstance(event, Failed):
                if not event.given_up:
                    raise DeviceError(f"a worker cannot do its work: {event.reason}")
                yield self._kept(task, task.given_up(_LETHAL))
        self._tell()

    def _check(self, fingerprint: Fingerprint) -> None:
        """The table says which weights and versions gave its values: these, and not others."""
        settings = self._plan.settings
        if (fingerprint.weights, dict(fingerprint.versions)) != (settings["weights"], settings["versions"]):
            raise DeviceError(
                "a worker has other weights or other versions than this process, which will say in the table that its "
                f"own were used: {dict(fingerprint.versions)} there, {settings['versions']} here"
            )

    def _advance(self, shard: Shard, done: int) -> None:
        first = shard.units[0].index
        self._within += done - self._advanced.get(first, 0)
        self._advanced[first] = done

    def _kept(self, shard: Shard, finished: Sequence[Finished]) -> Step:
        self._store.keep(finished)
        self._within -= self._advanced.pop(shard.units[0].index, 0)
        self.done += self._methods * len(finished)
        warnings, self._warnings = tuple(self._warnings), []
        return Step(self.done, self.total, tuple(row for done in finished for row in done.rows), warnings)

    def _keep_groups(self, missing: set[int]) -> None:
        """What of an unfinished shard is done, as far as it is done of all that is explained together."""
        together = self._plan.together
        whole: list[Finished] = []
        for _, places in groupby(sorted(missing), key=lambda place: place // together):
            wanted = list(places)
            if all(place in self._finished for place in wanted):
                whole += [self._finished[place] for place in wanted]
        if whole:
            self._store.keep(whole)

    def _tell_within(self, done: int, total: int) -> None:
        """Of the only worker, which is in this thread."""
        self._tell(done)

    def _tell(self, within: int = 0) -> None:
        self._furthest = max(self._furthest, self.done + max(within, self._within))
        if self._progress is not None:
            self._progress(self._furthest, self.total)
