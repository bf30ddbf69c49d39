"""Names of classes, as folders and tables have them, and the network's classes that they mean."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from cam_core.models.zoo.labels import imagenet_labels, imagenet_wnids
from cam_core.types import MetricError

_MOST: Final = 1 << 16  # classes: more than any network has


class Classes:
    """A network's classes by their labels and, where these are ImageNet's, by WordNet numbers ("wnids").

    Case does not matter where it tells no two classes apart, and underscores count as spaces.
    """

    def __init__(self, labels: Sequence[str], synsets: Mapping[str, str] | None = None) -> None:
        """Of a network with these labels.

        Args:
            synsets: wnid → names of the class, separated by commas, as `read_synsets` gives them: for networks whose
                classes are some of them. ImageNet's own are known.
        """
        self.labels = tuple(labels)
        self._synsets = synsets or {}
        self._exact, self._plain = _places(self.labels), _places([_plain(label) for label in self.labels])
        own = self.labels == imagenet_labels()
        self._wnids = dict(zip(imagenet_wnids(), range(len(self.labels)), strict=True)) if own else {}

    def index(self, name: str) -> int:
        """The class that is meant.

        Raises:
            MetricError: the network has no such class, or several.
        """
        places = [self._wnids[name]] if name in self._wnids else self._named(name) or self._by_synset(name)
        if len(places) == 1:
            return places[0]
        if places:
            raise MetricError(f"{name!r} is the name of {len(places)} classes of the network ({_listed(places)})")
        raise MetricError(f"{name!r} is no class of the network{_numbered(name)}")

    def _named(self, name: str) -> list[int]:
        return self._exact.get(name) or self._plain.get(_plain(name), [])

    def _by_synset(self, wnid: str) -> list[int]:
        """By any of the names that the user's list has for a wnid, as long as they mean the same class."""
        names = (name.strip() for name in self._synsets.get(wnid, "").split(","))
        return sorted({place for name in names if name for place in self._named(name)})


class AnyClass(Classes):
    """Takes every name and every index, all for the same class: for whoever asks what is there, and not of what."""

    def __init__(self) -> None:
        super().__init__(("",) * _MOST)

    def index(self, name: str) -> int:
        """The class that is meant, which is any."""
        return 0


def is_wnid(name: str) -> bool:
    """Whether it is a number of WordNet, such as n01440764."""
    return bool(re.fullmatch(r"n\d{8}", name))


def _plain(name: str) -> str:
    return name.replace("_", " ").strip().casefold()


def _places(names: Sequence[str]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(name, []).append(place)
    return places


def _listed(places: Sequence[int]) -> str:
    return ", ".join(map(str, places))


def _numbered(name: str) -> str:
    """Why a number is not taken for an index: a table may count in any order."""
    return ": a number alone does not say in which order the classes are" if name.isdecimal() else ""
