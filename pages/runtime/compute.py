"""Computing for many visitors at once: shared models, shared results, one queue per device, jobs of one's own.

    for outcome in explanations(scene.question, scene.photo.image, requests):
        outcome is an `Explanation`, or the `Job` that computes it (or has failed, or was cancelled)

Results are kept in one store for all visitors, under a key that holds everything a result depends on but rounding, so
nobody is ever shown another's. Whoever computes holds the device and gives way between batches: `devices.computing`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import streamlit as st
from PIL import Image

from cam_core import METHODS, Classifier, Explanation, explain, load_model
from cam_core.images import Fit
from cam_core.models.classifier import Prediction
from cam_core.models.resuming import Record
from cam_core.models.trainable.checkpoints import SUFFIX
from cam_core.options import Options
from cam_core.targets import TargetScore
from cam_core.types import Progress
from pages.runtime import presence, served
from pages.runtime.devices import computing, held, known, paces
from pages.runtime.jobs import Job, Jobs
from pages.runtime.keeper import keep
from pages.runtime.limits import limits
from pages.runtime.store import Store
from pages.runtime.visits import Visits

PATIENCE = 1.2
"""Seconds that a page waits for quick work before it draws what there is and lets the rest fill in."""

_GLANCE = 0.15  # seconds: slow methods have cases in which they are not slow
_KEPT_RECORDS = 64
_KEPT_PREPARATIONS = 2  # some ten megabytes each, and their models stay as long
T = TypeVar("T")
Work = Callable[[Job], T]


@dataclass(frozen=True)
class ModelSpec:
    """The identity of a loaded model: arguments of `load_model`, or the name of the network that is served.

    Attributes:
        fit: how photos are fitted to its input; its own way where None.
    """

    name: str
    weights: str = "default"
    weights_seed: int = 0
    device: str = "auto"
    labels: tuple[str, ...] = ()
    fit: Fit | None = None

    def lies_in(self, folder: Path) -> bool:
        """Whether it is read from a file in there."""
        return any(Path(part).is_relative_to(folder) for part in (self.name, self.weights))


@dataclass(frozen=True)
class Question:
    """A question: everything that decides a result except the method."""

    photo: str
    """SHA-256 of the photo."""
    model: ModelSpec
    layer: str
    target: int | TargetScore
    """A class by index, or what else is explained, which names classes by index."""
    precision: str = "float32"
    seed: int = 0
    compiled: bool = False
    """Whether methods that take long compile the network first."""

    def options(self, progress: Progress | None = None, *, slow: bool = False) -> Options:
        """As the core takes them, for work that is slow or not."""
        return Options(self.seed, self.precision, self.compiled and slow, progress)

    def compiles_for(self, request: Request) -> bool:
        """Whether the network is compiled for a method."""
        return self.compiled and METHODS[request.method].expensive


@dataclass(frozen=True)
class Request:
    """One method with its parameters, as pairs."""

    method: str
    params: tuple[tuple[str, Any], ...] = ()

    @property
    def title(self) -> str:
        """The method's name as people write it."""
        return METHODS[self.method].title


@st.cache_resource(show_spinner=False)
def results() -> Store:
    """The one store of all visitors."""
    return Store()


@st.cache_resource(show_spinner=False)
def preparations() -> Store:
    """The parts that many results have in common, kept while somebody asks for one after the other."""
    return Store(_KEPT_PREPARATIONS)


@st.cache_resource(show_spinner=False)
def records() -> Store:
    """The parts of slow work that was stopped, for whoever goes on with it."""
    return Store(_KEPT_RECORDS)


@st.cache_resource(show_spinner=False)
def loaded() -> set[ModelSpec]:
    """Every model that `classifier` was asked for, in memory or not any more."""
    return set()


@st.cache_resource(max_entries=2, show_spinner=False)
def classifier(spec: ModelSpec, _progress: Progress | None = None) -> Classifier:
    """The model, shared by all visitors; at most two stay in memory."""
    loaded().add(spec)
    if spec.fit is not None:
        return classifier(replace(spec, fit=None), _progress=_progress).refitted(spec.fit)
    if own := served.network(spec.name):
        return own
    options: dict[str, Any] = {"labels": spec.labels} if spec.labels else {}
    return load_model(
        spec.name,
        weights=spec.weights,
        seed=spec.weights_seed,
        device=spec.device,
        progress=_progress,
        **options,
    )


@st.cache_resource(show_spinner=False)
def visits() -> Visits:
    """Everybody who is here; looked after from now on."""

    def browser_ended(browser: str, folder: Path | None) -> None:
        results().disown(browser)
        preparations().disown(browser)
        records().disown(browser)
        for spec in list(loaded()):
            if folder is not None and spec.lies_in(folder):  # trained or uploaded in this visit
                classifier.clear(spec)
                loaded().discard(spec)

    everybody = Visits(presence.is_here, presence.end, browser_ended)
    keep(everybody, known(), paces(), results())
    return everybody


def visitor_jobs() -> Jobs:
    """The jobs of the visitor's tab; they end with the visit."""
    browser, tab = presence.who()
    return visits().tab(browser, tab, limits().jobs)


def visitor_folder() -> Path:
    """A folder of the visitor's; it goes with the visit."""
    browser, tab = presence.who()
    visits().tab(browser, tab, limits().jobs)
    return visits().folder(browser)


def owner() -> str:
    """Whose results they are that a page asks for now."""
    return visitor_jobs().owner


def digest(*parts: object) -> str:
    """A key of anything whose `repr` says it all: strings, numbers, tuples and frozen dataclasses of them."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def predictions(spec: ModelSpec, photo: str, image: Image.Image) -> tuple[Prediction, ...] | Job:
    """All classes, most probable first; or the job that loads the model and asks it."""

    def work(job: Job) -> tuple[Prediction, ...]:
        clf = classifier(spec, _progress=job.progress)
        with computing(str(clf.device), job):
            return tuple(clf.predict(image, top=None))

    # Of a network in a file the name alone: others read it too, who wait behind it.
    task = Task(digest("predict", photo, spec), work, Path(spec.name).name.removesuffix(SUFFIX))
    outcome: tuple[Prediction, ...] | Job = outcomes("predict", [task], patience=4 * PATIENCE)[0]
    return outcome


def explanations(question: Question, image: Image.Image, requests: Sequence[Request]) -> list[Explanation | Job]:
    """One outcome per request, in the same order."""
    return all_explanations(image, [(question, request) for request in requests])


def all_explanations(
    image: Image.Image,
    asked: Sequence[tuple[Question, Request]],
    group: str = "explain",
    patience: float = PATIENCE,
) -> list[Explanation | Job]:
    """One outcome for each question with its request, in the same order: for a method with several seeds, say."""
    tasks = [
        Task(
            digest("explain", question, request),
            _explaining(question, image, request),
            request.title,
            slow=METHODS[request.method].expensive,
        )
        for question, request in asked
    ]
    return outcomes(group, tasks, patience)


def at_once(key: str, device: str, work: Callable[[], T], *, alone: bool = False) -> T:
    """A result that the page itself waits for: from the store, or else computed while the device is held.

    For a few passes at most: others wait too. With nobody beside it, if `alone`: for what measures time.
    """
    kept: T | None = results().get(key, owner(), limits().results)
    if kept is None:
        with held(device, "a picture", alone=alone):
            kept = work()
        results().put(key, kept, owner(), limits().results)
    return kept


def explanation_at_once(question: Question, image: Image.Image, request: Request) -> Explanation:
    """The map of a method that takes no more than a pass or two."""
    clf = classifier(question.model)
    key = digest("explain", question, request)
    return at_once(key, str(clf.device), lambda: explained(clf, question, image, request))


def _explaining(question: Question, image: Image.Image, request: Request) -> Work[Explanation]:
    def work(job: Job) -> Explanation:
        compiled = question.compiles_for(request)
        if compiled:
            job.beginning = "compiling the network, up to a minute"
        clf = classifier(question.model)
        # It is compiled for a number of processors, and anew for any other.
        with computing(str(clf.device), job, alone=compiled) as progress:
            return explained(clf, question, image, request, progress)

    return work


def explained(
    clf: Classifier,
    question: Question,
    image: Image.Image,
    request: Request,
    progress: Progress | None = None,
) -> Explanation:
    """A method's map; by whoever holds the device."""
    layer = None if METHODS[request.method].multi_layer else question.layer
    clf.split(layer, question.precision)  # the first method at a layer shall not be charged for the cut
    return explain(
        clf,
        image,
        method=request.method,
        layer=layer,
        target=question.target,
        **vars(question.options(progress, slow=METHODS[request.method].expensive)),
        **dict(request.params),
    )


@dataclass(frozen=True)
class Task:
    """Work whose result is worth keeping.

    A page does not wait for `slow` work. Where that was stopped and is begun again, it goes on from its last batch.
    """

    key: str
    work: Work[Any]
    title: str
    slow: bool = False


def outcomes(group: str, tasks: Sequence[Task], patience: float = PATIENCE) -> list[Any]:
    """Results from the store, or else jobs: those begun before, or new ones, waited for a moment if quick.

    The visitor's other jobs of the same `group` are cancelled: what they were for is not on the page any more.
    """
    jobs = visitor_jobs()
    jobs.keep_only([group + task.key for task in tasks], prefix=group)
    pending = [_result_or_job(group, task, jobs) for task in tasks]
    for slow, seconds in ((False, patience), (True, _GLANCE)):
        alike = [job for job, task in zip(pending, tasks, strict=True) if isinstance(job, Job) and task.slow == slow]
        Jobs.wait(alike, seconds)
    return [job.result if isinstance(job, Job) and job.state == "done" else job for job in pending]


def forget(job: Job) -> None:
    """Drop a failed or cancelled job, so that the next `outcomes` begins it anew."""
    visitor_jobs().forget(job.key)


def _result_or_job(group: str, task: Task, jobs: Jobs) -> Any:
    most = limits().results  # of whoever looks at the page: a worker's thread cannot tell
    kept = results().get(task.key, jobs.owner, most)
    if kept is not None:
        return kept

    record = records().share(task.key, Record(), jobs.owner, most) if task.slow else Record(most=0)

    def work(job: Job) -> Any:
        with record.used(job.check) as job.record:
            result = task.work(job)
        job.check()  # whose visit is over leaves nothing
        results().put(task.key, result, jobs.owner, most)
        return result

    return jobs.start(group + task.key, work, title=task.title)
