"""A classifier asked about something else than its classes: the same network with the target's head behind it.

The network is cut as it always is, and the halves are shared with the classifier as it was: only the tail gets longer.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

import torch
from torch import Tensor, fx, nn

from cam_core.models.classifier import Classifier
from cam_core.models.devices import double, home_of
from cam_core.models.precision import dtype_of
from cam_core.models.split.compiled import CompiledHalves
from cam_core.models.split.halves import Context, Halves
from cam_core.targets.reading import read_target
from cam_core.targets.scores import Custom, Negative, Similarity, TargetScore
from cam_core.types import Activations, Images, LayerInfo, Logits, MetricError, TargetError

ClassTarget: TypeAlias = int | str | None
"""A class by index or by label, or None for the most probable one."""
Target: TypeAlias = ClassTarget | TargetScore | Callable[[Logits], Tensor]
"""A class, a score, a string that `read_target` reads, or a function of the logits: see `Custom`."""


def ask(clf: Classifier, target: Target) -> tuple[Classifier, ClassTarget]:
    """The classifier whose output answers, and which class of it does: `clf` and the class itself, or one of a score.

    Raises:
        TargetError: the target cannot be read, or names a class that does not exist.
    """
    meant = resolve(clf, target)
    return (Asked(clf, meant), 0) if isinstance(meant, TargetScore) else (clf, meant)


def resolve(clf: Classifier, target: Target) -> ClassTarget | TargetScore:
    """What is meant by a target: a class as it was given, or a score that names classes by index."""
    if isinstance(target, str):
        target = _read(clf, target)
    elif callable(target):
        target = Custom(target)
    if not isinstance(target, TargetScore):
        return target
    like = torch.empty(clf.classes)
    return target.resolved(lambda asked_class: clf.resolve_target(asked_class, like))


def _read(clf: Classifier, text: str) -> ClassTarget | TargetScore:
    """A string that is no more than a word is a label, whether there is such a one or not."""
    if text not in clf.labels and (":" in text or text.startswith(Similarity.PREFIX)):
        raise TargetError(
            f"no class is called {text!r}, and no function, image, mask or box is found by its name: give the target "
            "itself"
        )
    return read_target(text, clf.labels) if set(text) & set("-−|(") or text == "value" else text


class Asked(Classifier):
    """A classifier with one output, the value of a score, called as the score is. It has no probabilities.

    `base` is the classifier whose logits the score is made of.
    """

    def __init__(self, clf: Classifier, score: TargetScore) -> None:
        base = clf if score.choose is None else clf.answering(score.choose)
        vars(self).update(vars(base))
        self.base = base
        self.score = score
        self._labels = [score.title(clf.labels)]
        self._head = score.head(self.base.classes)
        self._classes = 1
        self._splits = OrderedDict()

    @property
    def network(self) -> nn.Module:
        return self.base.network

    @property
    def layers(self) -> list[LayerInfo]:
        return self.base.layers

    def values(self, logits: Logits) -> Tensor:
        """(B,) of the logits (B, C) of `base`, which are left as they are."""
        values: Tensor = copy.deepcopy(self._head).to(logits)(logits)
        return values[:, 0]

    def _build(self, layer: str, precision: str, compiled: bool, force_hooks: bool) -> Halves:
        head = copy.deepcopy(self._head).to(self.device).to(dtype_of(precision))
        halves = AskedHalves(self.base._halves(layer, precision, False, force_hooks), head)
        return CompiledHalves(halves) if compiled else halves


class AskedHalves:
    """Halves whose tail goes on with a score's head: (B, C) → (B, 1)."""

    def __init__(self, halves: Halves, head: nn.Module) -> None:
        self._halves, self._head = halves, head
        self.traced = halves.traced
        self.head_graph = halves.head_graph
        self.tail_graph = None if halves.tail_graph is None else _longer(halves.tail_graph, head)

    def head(self, images: Images) -> tuple[Activations, Context]:
        return self._halves.head(images)

    def tail(self, acts: Activations, context: Context) -> Logits:
        return self._values(self._halves.tail(acts, context))

    def whole(self, images: Images) -> Logits:
        return self._values(self._halves.whole(images))

    def tail_in(self, dtype: torch.dtype) -> Halves:
        head = copy.deepcopy(self._head)
        values = next(head.buffers(), None)
        if values is not None:
            head.to(home_of(dtype, values.device)).to(dtype)
        return AskedHalves(self._halves.tail_in(dtype), head)

    def _values(self, logits: Logits) -> Logits:
        values: Tensor = self._head(logits)
        return values


def _longer(tail: fx.GraphModule, head: nn.Module) -> fx.GraphModule:
    """The graph of a tail with the head behind it; modules are shared."""
    longer = fx.GraphModule(tail, copy.deepcopy(tail.graph))
    longer.add_module("asked_about", head)
    output = next(node for node in longer.graph.nodes if node.op == "output")
    with longer.graph.inserting_before(output):
        output.args = (longer.graph.call_module("asked_about", (output.args[0],)),)
    longer.recompile()
    # A graph that knows its module keeps the weights alive until garbage is collected.
    longer.graph.owning_module = None
    return longer


class Measure(NamedTuple):
    """A quantity's name, and what shares of it are counted in."""

    quantity: str
    unit: str


LOGIT: Final = Measure("logit", "logits")
"""That of a class."""


class Answer(NamedTuple):
    """What is explained of one image.

    Attributes:
        target: the class index, or a score as it is written.
        label: the class's label, or the score in words.
        score: the logit, or the score's value.
        probability: of the class; None of a score that is none.
    """

    target: int | str
    label: str
    score: float
    probability: float | None


def answer(clf: Classifier, index: int, logits: Tensor) -> Answer:
    """The answer in the logits (C,) of one image, for the class `index` of a classifier as `ask` gives it."""
    value = float(logits[index])
    if isinstance(clf, Asked):
        return Answer(clf.score.text, clf.labels[index], value, value if clf.score.is_probability else None)
    return Answer(index, clf.labels[index], value, float(double(logits).softmax(0)[index]))


def measure_of(clf: Classifier) -> Measure:
    """The measure of what a classifier is asked about."""
    return Measure(clf.score.quantity, clf.score.unit) if isinstance(clf, Asked) else LOGIT


def counts_for(clf: Classifier) -> str:
    """What a position does that counts for what is explained, in words."""
    if not isinstance(clf, Asked):
        return "speaks for this class"
    return "speaks against this class" if isinstance(clf.score, Negative) else "speaks for what is explained"


def gives_probabilities(clf: Classifier) -> bool:
    """Whether what it is asked about has a probability."""
    return not isinstance(clf, Asked) or clf.score.is_probability


def check_probabilities(clf: Classifier, what: str) -> None:
    """Refuse what follows a probability where there is none.

    Raises:
        MetricError: the target has no probability.
    """
    if not gives_probabilities(clf):
        raise MetricError(
            f"{what} is about a probability, and {clf.labels[0]!r} has none: its deletion and insertion curves follow "
            "its own value"
        )


def one_question(clf: Classifier, targets: list[Target]) -> tuple[Classifier, list[ClassTarget]]:
    """`ask` for several images, which are asked about the same score, or about classes all.

    Raises:
        TargetError: they are not.
    """
    meant = [resolve(clf, target) for target in targets]
    scores = {each for each in meant if isinstance(each, TargetScore)}
    if not scores:
        return clf, [each for each in meant if not isinstance(each, TargetScore)]
    if len(scores) > 1 or not all(isinstance(each, TargetScore) for each in meant):
        raise TargetError("a metric takes images that are all asked about the same, or all about classes")
    return Asked(clf, scores.pop()), [0] * len(meant)
