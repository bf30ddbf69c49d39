"""The numbers that may be explained in place of a class's logit: differences, sums, negatives, probabilities and more.

A score is plain data: frozen, hashable, picklable. Classes are named by index or by label until `resolved`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from cam_core.models.batching import is_out_of_memory
from cam_core.models.brought.answers import Choose
from cam_core.models.brought.named import named_function, what_was_raised
from cam_core.models.classifier import Classifier
from cam_core.types import CamError, Logits, TargetError

Class: TypeAlias = int | str
"""A class by index or by label."""
Find: TypeAlias = Callable[[Class], int]
"""A class → its index; raises TargetError where there is none."""


class TargetScore(ABC):
    """One number per image, made of the network's output.

    Attributes:
        is_probability: whether it lies in [0, 1] and is a probability. No other one has a probability.
        quantity: its name, as "logit" is that of a class's score.
        unit: what shares of it are counted in.
    """

    is_probability: ClassVar[bool] = False
    quantity: ClassVar[str] = "value"
    unit: ClassVar[str] = "units of the value"

    @property
    def choose(self) -> Choose | None:
        """What the network returns → the logits that it is made of, for a score that needs others: see `Classifier`."""
        return None

    def resolved(self, find: Find) -> TargetScore:
        """The same with every class by its index.

        Raises:
            TargetError: there is no such class, or the score makes no sense of these.
        """
        return self

    @property
    @abstractmethod
    def text(self) -> str:
        """How it is written down once it is resolved; `read_target` reads it again, if it names classes alone."""

    @abstractmethod
    def title(self, labels: Sequence[str]) -> str:
        """The same in words, for people; resolved before."""

    @abstractmethod
    def head(self, classes: int) -> nn.Module:
        """What makes it of the logits: (B, classes) → (B, 1); resolved before.

        Raises:
            TargetError: it is no score of so many classes.
        """


class LinearScore(TargetScore):
    """A weighted sum of logits. Its head is a linear layer, which every method knows, closed forms included."""

    unit = "logits"

    @abstractmethod
    def weights(self) -> Mapping[int, float]:
        """Class index → weight."""

    def head(self, classes: int) -> nn.Module:
        layer = nn.Linear(classes, 1, bias=False)
        del layer.weight
        weight = torch.zeros(1, classes)
        for index, value in self.weights().items():
            weight[0, index] = value
        layer.register_buffer("weight", weight)  # no parameter: nothing of it was learnt
        return layer.eval()


@dataclass(frozen=True)
class Difference(LinearScore):
    """y_a − y_b: why `a`, and not `b`?

    Their bias and whatever both logits share cancel: what is left tells the two apart. It is the log-odds of `a` where
    `a` and `b` alone are possible.
    """

    quantity = "difference"
    a: Class
    b: Class

    def resolved(self, find: Find) -> Difference:
        a, b = find(self.a), find(self.b)
        if a == b:
            raise TargetError(f"the difference of {self.a!r} and {self.b!r} is 0: they are the same class")
        return Difference(a, b)

    @property
    def text(self) -> str:
        return f"{self.a} - {self.b}"

    def title(self, labels: Sequence[str]) -> str:
        return f"{labels[int(self.a)]} − {labels[int(self.b)]}"

    def weights(self) -> Mapping[int, float]:
        return {int(self.a): 1.0, int(self.b): -1.0}


@dataclass(frozen=True)
class Negative(LinearScore):
    """−y_c: what speaks against the class? Where the map is bright, the class loses."""

    quantity = "negative logit"
    of: Class

    def resolved(self, find: Find) -> Negative:
        return Negative(find(self.of))

    @property
    def text(self) -> str:
        return f"-{self.of}"

    def title(self, labels: Sequence[str]) -> str:
        return f"not {labels[int(self.of)]}"

    def weights(self) -> Mapping[int, float]:
        return {int(self.of): -1.0}


@dataclass(frozen=True, init=False)
class Sum(LinearScore):
    """y_a + y_b + …, the sum of the logits of a set of classes: why any of these?

    The sum, and not the log-sum-exp, which the largest of them decides alone: so shares of the sum are sums of shares.
    """

    quantity = "sum of the logits"
    of: tuple[Class, ...]

    def __init__(self, *of: Class) -> None:
        object.__setattr__(self, "of", of)

    def resolved(self, find: Find) -> Sum:
        indices = tuple(find(each) for each in self.of)
        if not indices or len(set(indices)) < len(indices):
            raise TargetError(f"a set of classes names each of them once, and one at least, not {list(self.of)}")
        return Sum(*indices)

    @property
    def text(self) -> str:
        return " | ".join(map(str, self.of))

    def title(self, labels: Sequence[str]) -> str:
        return " + ".join(labels[int(each)] for each in self.of)

    def weights(self) -> Mapping[int, float]:
        return {int(each): 1.0 for each in self.of}


@dataclass(frozen=True)
class Value(LinearScore):
    """z, what a network with one output gives: a regression value, or the log-odds of its positive side.

    Such a network has the logits (−z/2, z/2): see `Classifier`. So z is the second less the first.

    Attributes:
        negative: −z: what makes the value smaller?
    """

    unit = "units of the value"
    negative: bool = False

    @property
    def text(self) -> str:
        return "-value" if self.negative else "value"

    def title(self, labels: Sequence[str]) -> str:
        return "−value" if self.negative else "value"

    def weights(self) -> Mapping[int, float]:
        return {0: 1.0, 1: -1.0} if self.negative else {0: -1.0, 1: 1.0}

    def head(self, classes: int) -> nn.Module:
        if classes != 2:
            raise TargetError(f"the value of a network is that of its only output, but this one has {classes} classes")
        return super().head(classes)


@dataclass(frozen=True)
class Probability(TargetScore):
    """p_c, the softmax probability of a class: what speaks for it and against all others."""

    quantity = "probability"
    unit = "units of probability"
    of: Class
    is_probability = True

    def resolved(self, find: Find) -> Probability:
        return Probability(find(self.of))

    @property
    def text(self) -> str:
        return f"p({self.of})"

    def title(self, labels: Sequence[str]) -> str:
        return f"probability of {labels[int(self.of)]}"

    def head(self, classes: int) -> nn.Module:
        return _Softmax(int(self.of))


@dataclass(frozen=True)
class Similarity(TargetScore):
    """Cosine of what the network gives for the image and for another one: what makes the two alike?

    That is an embedding where the network was brought as one, `Classifier(…, logits=…)`; logits otherwise.

    Attributes:
        embedding: (D,) of the other image: see `to`.
        name: what the other image is called.
    """

    quantity = "similarity"
    unit = "units of similarity"
    PREFIX: ClassVar[str] = "similarity to "
    embedding: tuple[float, ...]
    name: str = "the other image"

    @classmethod
    def to(cls, clf: Classifier, image: Image.Image | Tensor, name: str = "the other image") -> Similarity:
        """Similarity to `image`, a PIL image or a normalised tensor (n, H, W), as `clf` sees it."""
        return cls(tuple(clf.logits(clf.as_batch(image))[0].tolist()), name)

    @property
    def text(self) -> str:
        return f"{self.PREFIX}{self.name}"

    def title(self, labels: Sequence[str]) -> str:
        return self.text

    def head(self, classes: int) -> nn.Module:
        if len(self.embedding) != classes:
            raise TargetError(f"the other image has {len(self.embedding)} numbers, but the network gives {classes}")
        return _Cosine(torch.tensor(self.embedding))


@dataclass(frozen=True)
class Custom(TargetScore):
    """A function of your own: logits (B, C) → one number per image (B,), differentiable for methods with gradients."""

    function: Callable[[Logits], Tensor]

    @classmethod
    def named(cls, path: str) -> Custom:
        """The one at `path`, "module:function". It is imported, and so run: never of a path from somebody else.

        Raises:
            TargetError: there is no such function.
        """
        return cls(named_function(path, TargetError, example="my_score"))

    def check(self, classes: int) -> None:
        """Try it on logits of so many classes.

        Raises:
            TargetError: it fails, or gives something else than one number per image.
        """
        with torch.no_grad():
            self.head(classes)(torch.arange(2 * classes, dtype=torch.float32).view(2, classes))

    @property
    def text(self) -> str:
        name = getattr(self.function, "__qualname__", type(self.function).__qualname__)
        return f"{getattr(self.function, '__module__', '')}:{name}"

    def title(self, labels: Sequence[str]) -> str:
        return self.text.partition(":")[2]

    def head(self, classes: int) -> nn.Module:
        return _Applied(self)


class _Softmax(nn.Module):
    def __init__(self, index: int) -> None:
        super().__init__()
        self._index = index

    def forward(self, logits: Logits) -> Tensor:
        return logits.softmax(1)[:, self._index, None]


class _Cosine(nn.Module):
    def __init__(self, embedding: Tensor) -> None:
        super().__init__()
        self.register_buffer("unit", functional.normalize(embedding.double(), dim=0).float()[None])

    def forward(self, logits: Logits) -> Tensor:
        return functional.linear(functional.normalize(logits, dim=1), self.get_buffer("unit"))


class _Applied(nn.Module):
    def __init__(self, score: Custom) -> None:
        super().__init__()
        self._score = score

    def forward(self, logits: Logits) -> Tensor:
        values = self._called(logits)
        if not isinstance(values, Tensor) or values.shape not in {(len(logits),), (len(logits), 1)}:
            shape = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise TargetError(
                f"the target {self._score.text} gives {shape} for {len(logits)} images, not one number each"
            )
        if logits.requires_grad and torch.is_grad_enabled() and not values.requires_grad:
            raise TargetError(
                f"the target {self._score.text} does not follow from the logits by operations of torch alone: no "
                "gradient passes through it, so only methods without gradients can explain it"
            )
        return values.reshape(-1, 1)

    def _called(self, logits: Logits) -> Any:
        try:
            return self._score.function(logits)
        except CamError:  # of a rule, say, that an operation in the function lacks
            raise
        except Exception as error:  # a foreign function may raise anything
            if is_out_of_memory(error):
                raise
            raise TargetError(f"the target {self._score.text} raised {what_was_raised(error)}") from error
