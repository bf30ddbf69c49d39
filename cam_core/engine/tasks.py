"""Tasks, the networks they are about, and the events that a worker answers with: all of it plain data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from cam_core.engine.fingerprints import Fingerprint
from cam_core.images import Fit
from cam_core.models.classifier import Classifier
from cam_core.models.origin import Origin
from cam_core.types import ModelError, Progress


@dataclass(frozen=True)
class Network:
    """A network that a worker can load: where it is from, and how photos are fitted to its input."""

    origin: Origin
    fit: Fit

    @classmethod
    def of(cls, clf: Classifier) -> Network:
        """The network of a classifier.

        Raises:
            ModelError: nobody else can load it.
        """
        if clf.origin is None:
            raise ModelError(
                f"{clf.name} is known to this process alone, and a worker elsewhere has to load its network: have it "
                "from load_model, or from open_network(Origin(function='my_module:build')); or evaluate in this process"
            )
        return cls(clf.origin, clf.preprocessing.fit)

    @classmethod
    def held(cls, clf: Classifier) -> Network:
        """The network of a classifier that the worker is going to be lent, wherever it is from."""
        return cls(clf.origin or Origin(name=f"{clf.name}, at {id(clf)}"), clf.preprocessing.fit)


class Holder(Protocol):
    """Whoever holds networks for tasks: see `cam_core.engine.worker`."""

    def classifier(self, network: Network) -> Classifier:
        """The network, loaded when first asked for."""


@dataclass(frozen=True)
class Task(ABC):
    """Work for one worker: frozen and hashable, of plain data alone; a function is named, as "module:function"."""

    network: Network

    @abstractmethod
    def run(self, worker: Holder, tell: Progress | None) -> Iterator[Event]:
        """Do it, an `Item` for each piece that is done.

        Args:
            tell: called as `tell(done, total)` as often as there is something to tell; may raise to stop.
        Raises:
            Exception: what concerns all of the task and no single piece of it, such as a device without memory.
        """

    @abstractmethod
    def halves(self) -> Sequence[Task]:
        """The task in two; empty where it cannot be taken apart any further."""


@dataclass(frozen=True)
class Introduced:
    """A worker says who it is, before its first task with a network."""

    fingerprint: Fingerprint


@dataclass(frozen=True)
class Advanced:
    """`done` of `total` of a task, in its own unit."""

    done: int
    total: int


@dataclass(frozen=True)
class Item:
    """A piece of a task is done."""

    value: Any


@dataclass(frozen=True)
class Done:
    """The task is done: all its items were told."""


@dataclass(frozen=True)
class Failed:
    """The task cannot be done; `given_up` where that is because workers died over it, and not what one of them says."""

    reason: str
    short_of_memory: bool = False
    given_up: bool = False


@dataclass(frozen=True)
class Warned:
    """Something that whoever waits should know."""

    text: str


@dataclass(frozen=True)
class Waiting:
    """Nothing new for a while: whoever waits may look around, and stop the work."""


Event: TypeAlias = Introduced | Advanced | Item | Done | Failed | Warned | Waiting
