"""The worker: holds networks, with their halves and caches, and carries out tasks; the same one wherever it lives."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from cam_core.engine.fingerprints import Fingerprint
from cam_core.engine.tasks import Event, Failed, Introduced, Network, Task
from cam_core.models.batching import is_out_of_memory
from cam_core.models.brought.named import named_function, what_was_raised
from cam_core.models.classifier import Classifier
from cam_core.models.load import load_model
from cam_core.models.origin import Origin
from cam_core.types import CamError, DeviceError, ModelError, Progress

_HELD = 3  # networks: checkpoints that are evaluated side by side take turns


class Worker:
    """Args:
    device: where networks compute: "auto", "cpu", "cuda", "cuda:1", "mps".
    """

    def __init__(self, device: str = "auto") -> None:
        self._device = device
        self._networks: OrderedDict[Network, Classifier] = OrderedDict()

    def lend(self, network: Network, clf: Classifier) -> None:
        """Give it a network, so that it need not load it."""
        self._networks[network] = clf

    def classifier(self, network: Network) -> Classifier:
        """The network, loaded when first asked for."""
        if network not in self._networks:
            self._networks[network] = open_network(network.origin, self._device).refitted(network.fit)
        self._networks.move_to_end(network)
        while len(self._networks) > _HELD:
            self._networks.popitem(last=False)
        return self._networks[network]

    def answers(self, task: Task, tell: Progress | None = None) -> Iterator[Event]:
        """The events of a task, the last of them `Done` or `Failed`; who it is comes before the first task."""
        try:
            if task.network not in self._networks:
                yield Introduced(Fingerprint.of(self.classifier(task.network)))
            yield from task.run(self, tell)
        except Exception as error:
            yield Failed(_in_words(error), _short_of_memory(error))


def _short_of_memory(error: Exception) -> bool:
    return is_out_of_memory(error) or (isinstance(error, DeviceError) and "out of memory" in str(error))


def _in_words(error: Exception) -> str:
    return str(error) if isinstance(error, CamError) else what_was_raised(error)


def open_network(origin: Origin, device: str = "auto") -> Classifier:
    """A network from where it is had.

    Raises:
        ModelError: there is none, or the function returns something else.
        CamError: as of `load_model`.
    """
    if not origin.function:
        return load_model(origin.name, origin.weights, origin.seed, device, labels=origin.labels)
    clf = _built(origin.function, named_function(origin.function, ModelError, example="build"), device)
    clf.origin = origin
    return clf


def _built(reference: str, function: Callable[[], Any], device: str) -> Classifier:
    try:
        built = function()
    except Exception as error:  # a foreign function may raise anything
        raise ModelError(f"{reference} raised {what_was_raised(error)}") from error
    if isinstance(built, nn.Module):
        return Classifier(built, name=reference, device=device)
    if not isinstance(built, Classifier):
        raise ModelError(f"{reference} returned a {type(built).__name__}: neither a Classifier nor a module of torch")
    return built
