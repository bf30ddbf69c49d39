"""Run the tutorials in docs/tutorials anew, each in a kernel of its own, and keep what they show.

    python -m scripts.tutorials             # all of them
    python -m scripts.tutorials channels    # one

Needs nbclient and ipykernel, which `make setup` installs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import nbformat
import typer
from nbclient import NotebookClient

_ROOT: Final = Path(__file__).parents[1]
TUTORIALS: Final = _ROOT / "docs" / "tutorials"
_SECONDS: Final = 300  # that a cell takes at most


def execute(path: Path) -> nbformat.NotebookNode:
    """The notebook with what its cells show when it is run.

    Raises:
        CellExecutionError: a cell ended in an error.
    """
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=_SECONDS, resources={"metadata": {"path": _ROOT}}).execute()
    for cell in notebook.cells:  # the time of day is no result, and bars are gone in the end
        cell.metadata.pop("execution", None)
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    return notebook


def main(names: Annotated[list[str] | None, typer.Argument(help="of tutorials, without .ipynb")] = None) -> None:
    """Run tutorials and write their results into them."""
    for path in sorted(TUTORIALS.glob("*.ipynb")):
        if not names or path.stem in names:
            nbformat.write(execute(path), path)
            typer.echo(path.name)


if __name__ == "__main__":
    typer.run(main)
