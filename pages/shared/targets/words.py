"""What is explained, in words: as a noun, and as what a position of the photo does for it or against it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cam_core.targets import Custom, Difference, Negative, Probability, Similarity, Sum, TargetScore, Value

_SIGNS: Final = {" - ": "-minus-", "-": "minus-", " | ": "-or-", "(": "-", " ": "-", ":": "-"}


@dataclass(frozen=True)
class Words:
    """What is explained.

    Attributes:
        name: "tabby", "the probability of tabby", "the lead of tabby over lynx".
        pro: what counts for it, verb and object: "speaks for", "tabby and not lynx".
        contra: what counts against it.
    """

    name: str
    pro: tuple[str, str]
    contra: tuple[str, str]


def words(target: int | TargetScore, labels: Sequence[str]) -> Words:
    """Of a target that the picker offers, with its classes by index."""
    match target:
        case Probability(of=index):
            name = f"the probability of {labels[int(index)]}"
            return Words(name, ("raises", name), ("lowers", name))
        case Difference(a=a, b=b):
            one, other = labels[int(a)], labels[int(b)]
            pro, contra = (("speaks for", f"{x} and not {y}") for x, y in ((one, other), (other, one)))
            return Words(f"the lead of {one} over {other}", pro, contra)
        case Negative(of=index):
            label = labels[int(index)]
            return Words(f"the case against {label}", ("speaks against", label), ("speaks for", label))
        case Value(negative=negative):
            ways = [("raises", "the value"), ("lowers", "the value")]
            pro, contra = reversed(ways) if negative else ways
            return Words("a low value" if negative else "a high value", pro, contra)
        case Similarity(name=other):
            name = f"the similarity to {other}"
            return Words(name, ("raises", name), ("lowers", name))
        case Custom():
            name = title(target, labels)
            return Words(name, ("raises", name), ("lowers", name))
        case Sum(of=classes):
            name = " or ".join(labels[int(index)] for index in classes)
        case _:
            name = title(target, labels)
    return Words(name, ("speaks for", name), ("speaks against", name))


def title(target: int | TargetScore, labels: Sequence[str]) -> str:
    """As explanations call it: "tabby", "tabby − lynx"."""
    return target.title(labels) if isinstance(target, TargetScore) else labels[target]


def leading_class(target: int | TargetScore) -> int | None:
    """The class that the picker of classes shows: the first that the target names; None where it names none."""
    match target:
        case int():
            return target
        case Similarity() | Custom():
            return None
        case Difference(a=index) | Negative(of=index) | Probability(of=index) | Sum(of=(index, *_)):
            return int(index)
    return int(target == Value())


def names_classes_alone(target: int | TargetScore) -> bool:
    """Whether what is `written` says it all, so that it can be read again anywhere."""
    return not isinstance(target, Similarity | Custom)


def written(target: int | TargetScore) -> str:
    """As the command line takes it: "281", "281 - 287"."""
    return target.text if isinstance(target, TargetScore) else str(target)


def in_a_file_name(target: int | str) -> str:
    """A target as an explanation has it, in letters, digits and hyphens: "281-minus-287"."""
    return re.sub(r" - | \| |\W", lambda sign: _SIGNS.get(sign[0], ""), str(target))
