"""BibTeX entries of methods, from what the registry says of their papers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from cam_core.figures.grid.escaping import escaped
from cam_core.methods import METHODS

_PAPER = re.compile(
    r"(?:^|.*?\b(?:after|of) )"  # "sampling of", "game of"
    r"(?P<authors>[A-ZÀ-Þ][\w-]+(?: & [A-ZÀ-Þ][\w-]+| et al\.)?)"  # "Jung & Oh", "Zhang et al."
    r"(?:, “(?P<title>[^”]+)”)?,? "
    r"(?P<venue>[^“”]*?),? ?(?P<year>(?:19|20)\d\d)\b"
)
_ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")
_DOI = re.compile(r"doi:([^\s,;]*\w)")


@dataclass(frozen=True)
class Work:
    """A paper as far as the registry names it."""

    authors: str
    year: str
    title: str = ""
    venue: str = ""
    arxiv: str = ""
    doi: str = ""

    @property
    def key(self) -> str:
        """Of its entry: "jung2021towards"."""
        first = re.split(r" & | et al", self.authors)[0]
        word = next((word for word in re.findall(r"\w[\w+-]*", self.title) if len(word) > 3), "")
        return f"{_letters(first)}{self.year}{_letters(word)}"

    @property
    def entry(self) -> str:
        """The entry, as BibTeX reads it."""
        names = [name for name in re.sub(" et al\\.?", " & others", self.authors).split(" & ") if name]
        fields = {
            "author": escaped(" and ".join(names)),
            "title": f"{{{escaped(self.title)}}}" if self.title else "",
            "howpublished": escaped(self.venue),
            "year": self.year,
            "eprint": self.arxiv,
            "archiveprefix": "arXiv" if self.arxiv else "",
            "doi": self.doi,
        }
        lines = [f"  {name} = {{{value}}}" for name, value in fields.items() if value]
        return "@misc{" + ",\n".join([self.key, *lines]) + "\n}\n"


def works_of(method: str) -> list[Work]:
    """The papers that a method comes from; none of a control."""
    return [_complete(work) for work in _named(METHODS[method].paper)]


def bibliography(methods: Iterable[str]) -> str:
    """The entries of all papers of these methods, each once; of authors those whom the registry names."""
    works = dict.fromkeys(work for method in methods for work in works_of(method))
    return "\n".join(work.entry for work in works)


def _named(paper: str) -> list[Work]:
    """Every work that a text of the registry names by authors and year; parts stand between semicolons."""
    return [work for part in paper.split(";") if (work := _work(part.strip()))]


def _work(part: str) -> Work | None:
    found = _PAPER.match(part)
    if found is None:
        return None
    numbers = [match.group(1) if (match := pattern.search(part)) else "" for pattern in (_ARXIV, _DOI)]
    venue = found["venue"].strip(" ,")
    return Work(found["authors"].strip(), found["year"], found["title"] or "", venue, *numbers)


def _complete(work: Work) -> Work:
    """With the title that another method's text gives."""
    if work.title:
        return work
    same = next((known for known in _titled() if _same(known, work)), None)
    return same or work


def _same(known: Work, work: Work) -> bool:
    return (known.arxiv, known.doi) == (work.arxiv, work.doi) and bool(work.arxiv or work.doi)


@cache
def _titled() -> tuple[Work, ...]:
    return tuple(work for method in METHODS.values() for work in _named(method.paper) if work.title)


def _letters(word: str) -> str:
    """Small letters without accents."""
    return re.sub("[^a-z]", "", unicodedata.normalize("NFKD", word).lower())
