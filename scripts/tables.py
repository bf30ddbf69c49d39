"""Write the tables of docs/methods.md and docs/metrics.md, which are what the registries say.

python -m scripts.tables
"""

from __future__ import annotations

from pathlib import Path

from cam_core import METRICS
from cam_core.cli.methods import methods_markdown
from cam_core.cli.tables import markdown_table
from cam_core.metrics import Metric

DOCS = Path(__file__).parents[1] / "docs"
MARKS = ("<!-- table -->", "<!-- /table -->")

_NEEDS = {
    "region": "ground truth",
    "other_region": "ground truth of another class",
    "explain_again": "maps of changed images",
    "explain_with": "maps by changed networks",
}
_COLUMNS = (
    "key",
    "title",
    "in plain words",
    "better",
    "range",
    "formula",
    "source",
    "cost",
    "needs beside the map",
    "edge cases",
)


def metrics_markdown() -> str:
    """The table of metrics in Markdown, without a newline at its end."""
    return markdown_table(_COLUMNS, [_facts(metric) for metric in METRICS.values()], code=("key", "formula"))


def _facts(metric: Metric) -> tuple[str, ...]:
    name = (metric.key, metric.title, metric.plain)
    own = (*name, metric.direction, metric.between, metric.formula)
    needs = ", ".join(_NEEDS[need] for need in metric.needs) or "–"
    return *own, metric.source, metric.cost, needs, metric.edge_cases


TABLES = {"methods.md": methods_markdown, "metrics.md": metrics_markdown}


def divided(text: str) -> tuple[str, str, str]:
    """A page's text before its table, the table, and the text after it; the marks belong to the text."""
    before, _, rest = text.partition(MARKS[0])
    table, _, after = rest.partition(MARKS[1])
    return before + MARKS[0], table.strip(), MARKS[1] + after


def main() -> None:
    """Replace the table of each page, and leave its text."""
    for name, table in TABLES.items():
        page = DOCS / name
        before, _, after = divided(page.read_text(encoding="utf-8"))
        page.write_text(f"{before}\n\n{table()}\n\n{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
