"""BibTeX entries of methods, from what the registry says of their papers and what is known of these."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from cam_core.figures.grid.escaping import escaped
from cam_core.figures.grid.papers import PAPERS, Paper
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
    def surname(self) -> str:
        """Of the first author."""
        return re.split(r" & | et al", self.authors)[0]

    @property
    def paper(self) -> Paper | None:
        """All that is known of it; None of one that only the registry knows."""
        return PAPERS.get(self.arxiv or self.doi or f"{self.surname} {self.year}")

    @property
    def key(self) -> str:
        """Of its entry: "jung2021towards"."""
        title = self.fields["title"]
        word = next((word for word in re.findall(r"\w[\w+-]*", title) if len(word) > 3), "")
        return f"{_letters(self.surname)}{self.year}{_letters(word)}"

    @property
    def entry(self) -> str:
        """The entry, as BibTeX reads it."""
        kind = self.paper.kind if self.paper else "misc"
        lines = [f"  {name} = {{{value}}}" for name, value in self._written.items() if value]
        return f"@{kind}{{" + ",\n".join([self.key, *lines]) + "\n}\n"

    @property
    def fields(self) -> dict[str, str]:
        """The fields of the entry by name, as plain text; the empty ones as well."""
        known = {} if self.paper is None else dict(self.paper.fields)
        said = {"howpublished": self.venue} if self.paper is None else {}
        identified = {"eprint": self.arxiv, "archiveprefix": "arXiv" if self.arxiv else "", "doi": self.doi}
        title = known.pop("title", self.title)
        return {"author": self._all_authors, "title": title} | said | {"year": self.year} | identified | known

    @property
    def _all_authors(self) -> str:
        if self.paper:
            return " and ".join(self.paper.authors)
        names = re.sub(" et al\\.?", " & others", self.authors).split(" & ")
        return " and ".join(name for name in names if name)

    @property
    def _written(self) -> dict[str, str]:
        """The fields as they stand in the file: LaTeX, and the capitals of the title kept."""
        as_latex = {name: escaped(value) for name, value in self.fields.items()}
        return as_latex | {"title": f"{{{as_latex['title']}}}" if as_latex["title"] else ""} | self._identifiers

    @property
    def _identifiers(self) -> dict[str, str]:
        """Not for reading, so not LaTeX."""
        return {name: self.fields[name] for name in ("eprint", "doi")}


def works_of(method: str) -> list[Work]:
    """The papers that a method comes from; none of a control."""
    return [_complete(work) for work in _named(METHODS[method].paper)]


def bibliography(methods: Iterable[str]) -> str:
    """The entries of all papers of these methods, each once."""
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
