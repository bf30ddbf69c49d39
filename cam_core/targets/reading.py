"""Targets as people write them: "A - B", "-A", "A | B", "p(A)", "value"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from cam_core.targets.scores import Difference, Negative, Probability, Sum, TargetScore, Value
from cam_core.types import TargetError

_FORMS = '"A - B", "-A", "A | B" or "p(A)", A and B being labels or class indices'
_MINUS = "-−"


def read_target(text: str, labels: Sequence[str]) -> int | TargetScore:
    """What is meant by `text`.

    A label means its class, whatever signs are in it. Otherwise each sign is tried as an operator, and that reading
    counts in which all parts are classes. In quotation marks stands a label, also one that looks like an index.

    Args:
        labels: one per class.
    Returns:
        A class index, or a score that names classes by their indices, which may be out of range.
    Raises:
        TargetError: it can be read in no way, or in several.
    """
    reader = _Reader(labels)
    whole = reader.named(text)
    if whole is not None:
        return whole
    readings = list(dict.fromkeys(reader.readings(text.strip())))
    if not readings:
        raise TargetError(f"cannot read the target {text!r}: write {_FORMS}{reader.hint(text)}")
    if len(readings) > 1:
        ways = ", or ".join(f'"{reading.text}"' for reading in readings)
        raise TargetError(
            f"the target {text!r} can be read as {ways}, by class indices: put the labels in quotation marks"
        )
    return readings[0]


class _Reader:
    def __init__(self, labels: Sequence[str]) -> None:
        self._exact: dict[str, int] = {}
        self._lowered: dict[str, int] = {}
        for index, label in enumerate(labels):
            self._exact.setdefault(label, index)
            self._lowered.setdefault(label.lower(), index)

    def named(self, label: str) -> int | None:
        """The class with that label, in whatever case if there is none in this."""
        return self._exact.get(label, self._lowered.get(label.lower()))

    def one(self, text: str) -> int | None:
        """The class meant by an index, a label, or a label in quotation marks."""
        text = text.strip()
        if len(text) > 2 and text[0] == text[-1] == '"':
            return self.named(text[1:-1])
        return int(text) if re.fullmatch("[0-9]+", text) else self.named(text)

    def readings(self, text: str) -> Iterator[TargetScore]:
        """All ways to read a text that is no class."""
        if text.lower() in ("value", *(f"{minus}value" for minus in _MINUS)):
            yield Value(negative=text[0] in _MINUS)
        if text[:2] == "p(" and text[-1:] == ")" and (index := self.one(text[2:-1])) is not None:
            yield Probability(index)
        if text[:1] and text[0] in _MINUS and (index := self.one(text[1:])) is not None:
            yield Negative(index)
        for place in (place for place, sign in enumerate(text) if sign in _MINUS):
            a, b = self.one(text[:place]), self.one(text[place + 1 :])
            if a is not None and b is not None:
                yield Difference(a, b)
        yield from (Sum(*classes) for classes in self._sets(text) if len(classes) > 1)

    def _sets(self, text: str) -> Iterator[tuple[int, ...]]:
        """All ways to cut a text at "|" into classes."""
        whole = self.one(text)
        if whole is not None:
            yield (whole,)
        for place in (place for place, sign in enumerate(text) if sign == "|"):
            first = self.one(text[:place])
            if first is not None:
                yield from ((first, *rest) for rest in self._sets(text[place + 1 :]))

    def hint(self, text: str) -> str:
        """Which part of it is no class."""
        parts = re.split(rf"\s[{_MINUS}|]\s|^[{_MINUS}]", text.strip())
        unknown = [part.strip() for part in parts if part.strip() and self.one(part) is None]
        return "".join(f"; no class is called {part!r}{self._near(part)}" for part in unknown[:1])

    def _near(self, part: str) -> str:
        import difflib

        near = difflib.get_close_matches(part.lower(), list(self._lowered), n=3, cutoff=0.5)
        return f" (near: {', '.join(near)})" if near else ""
