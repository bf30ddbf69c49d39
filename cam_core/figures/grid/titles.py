"""The words in a figure: over columns, beside rows, under panels, and letters in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from string import ascii_lowercase

from cam_core.figures.grid.explained import ExplainedGrid, ExplainedRow
from cam_core.figures.grid.spec import Chart, Letters, Shown
from cam_core.figures.layout import probability
from cam_core.figures.text import UNTRAINED
from cam_core.images import SAMPLES
from cam_core.methods import METHODS
from cam_core.models.load import CATALOG
from cam_core.models.trainable.checkpoints import SUFFIX
from cam_core.types import Explanation


def row_title(shown: Shown) -> str:
    """Its own, or what the image is called."""
    samples = {photo.key: photo.title for photo in SAMPLES}
    return shown.title or samples.get(shown.image) or Path(shown.image).stem


def column_titles(grid: ExplainedGrid) -> list[str]:
    """Their own; or in what they differ: method, layer, class, network; of columns that are all alike the method."""
    columns = list(zip(*(row.explanations for row in grid.rows), strict=True))
    kinds = [[_method(made), _layer(made), _label(made), network_title(made[0].model)] for made in columns]
    telling = [kind for kind in range(4) if len({words[kind] for words in kinds}) > 1] or [0]
    made_of = [", ".join(words[kind] for kind in telling if words[kind]) for words in kinds]
    return [column.title or words for column, words in zip(grid.spec.columns, made_of, strict=True)]


def chart_title(chart: Chart) -> str:
    """Its own, or its kind."""
    return chart.title or chart.kind.capitalize()


def _method(made: Sequence[Explanation]) -> str:
    return METHODS[made[0].method].title


def _layer(made: Sequence[Explanation]) -> str:
    return made[0].layer


def _label(made: Sequence[Explanation]) -> str:
    """The class of a column; nothing where each row has its own."""
    labels = {explanation.label for explanation in made}
    return labels.pop() if len(labels) == 1 else ""


def network_title(name: str) -> str:
    """What people call a network; of one in a file the file's name."""
    bare, dot, rest = name.partition(" (")
    title = CATALOG[bare].title if bare in CATALOG else Path(bare).name.removesuffix(SUFFIX)
    return f"{title}{dot}{rest}"


def class_lines(explanation: Explanation) -> list[str]:
    """Class and probability."""
    return [explanation.label, probability(explanation)]


def row_facts(row: ExplainedRow, captions: str) -> list[str]:
    """Beside a row: what all its maps explain."""
    return class_lines(row.common) if captions == "beside" and row.common else []


def input_caption(row: ExplainedRow, captions: str) -> list[str]:
    """Under the image alone: what all its maps explain."""
    return class_lines(row.common) if captions == "once" and row.common else []


def map_caption(row: ExplainedRow, column: int, captions: str, *, first: bool, empty: bool) -> list[str]:
    """Under a map: its class where that is not said elsewhere, and what must be known of it.

    Args:
        first: whether it is the first panel of its row, where there is no image alone.
        empty: whether there is nothing to see.
    """
    explanation = row.explanations[column]
    alone = row.common is None or (captions == "once" and first)
    said = captions == "each" or (captions != "none" and alone)
    facts = class_lines(explanation) if said else []
    facts += ["(empty map)"] if empty else []
    return facts + ([] if explanation.trained else [UNTRAINED])


def letter(number: int, letters: Letters) -> str:
    """Of a panel: a to z, then aa, ab and so on."""
    if not letters:
        return ""
    first, last = divmod(number, len(ascii_lowercase))
    written = (ascii_lowercase[first - 1] if first else "") + ascii_lowercase[last]
    return letters.replace("a", written).replace("A", written.upper())
