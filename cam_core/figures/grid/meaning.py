"""What the values of a figure's maps say, in words: what they speak for, and which of them know no class."""

from __future__ import annotations

from cam_core.figures.grid.explained import ExplainedGrid, ExplainedRow
from cam_core.figures.grid.titles import row_title
from cam_core.figures.layout import score_of
from cam_core.methods import METHODS
from cam_core.targets import Negative
from cam_core.types import Explanation

OF_A_CLASS = "what speaks for the class"


def meaning(grid: ExplainedGrid) -> str:
    """ "what speaks for the class, of Dog what speaks against German shepherd (not Eigen-CAM: …)"."""
    if not any(map(_knows_class, grid.explanations)):
        return "what the network attends to, the same for every class"
    return f"{_spoken_for(grid)}{_of_no_class(grid)}"


def meanings(row: ExplainedRow) -> list[str]:
    """What the maps of a row say that know what is explained: one phrase where all say the same."""
    return list(dict.fromkeys(_says(made) for made in row.explanations if _knows_class(made)))


def _spoken_for(grid: ExplainedGrid) -> str:
    told = [(row_title(row.shown), meanings(row)) for row in grid.rows]
    phrases = list(dict.fromkeys(phrase for _, row in told for phrase in row))
    if len(phrases) == 1:
        return phrases[0]
    if any(len(row) > 1 for _, row in told):  # it is the columns that differ
        return f"{', or '.join(phrases)}, as each panel names it"
    rows = {phrase: ", ".join(f"“{title}”" for title, row in told if row == [phrase]) for phrase in phrases}
    return "; ".join(f"in {titles} {phrase}" for phrase, titles in rows.items())


def _of_no_class(grid: ExplainedGrid) -> str:
    titles = dict.fromkeys(METHODS[made.method].title for made in grid.explanations if not _knows_class(made))
    if not titles:
        return ""
    return f" (not {', '.join(titles)}: the same map for every class)"


def _knows_class(explanation: Explanation) -> bool:
    return METHODS[explanation.method].class_specific


def _says(explanation: Explanation) -> str:
    """A class speaks for itself; any other target is a number, which a map raises."""
    if isinstance(explanation.target, int):
        return OF_A_CLASS
    if isinstance(score_of(explanation), Negative):
        return f"what speaks against {explanation.label.removeprefix('not ')}"
    return f"what raises “{explanation.label}”"
