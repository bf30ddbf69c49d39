"""The tutorials run as they are written, and what they show was shown by this code."""

from __future__ import annotations

import ast
import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

TUTORIALS = sorted((Path(__file__).parents[1] / "docs" / "tutorials").glob("*.ipynb"))


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def run(source: str, names: dict[str, Any]) -> object:
    """Run a cell; the value of its last line, as a notebook shows it."""
    *statements, last = ast.parse(source).body
    exec(compile(ast.Module(statements, []), "cell", "exec"), names)
    if not isinstance(last, ast.Expr):
        exec(compile(ast.Module([last], []), "cell", "exec"), names)
        return None
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names)


def test_there_are_three() -> None:
    assert [path.stem for path in TUTORIALS] == ["channels", "explain", "faithfulness"]


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_every_cell_was_run_and_shows_a_picture_somewhere(path: Path) -> None:
    code = cells(path, "code")
    assert all(cell["execution_count"] for cell in code)
    outputs = [output for cell in code for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert any("<img" in "".join(output.get("data", {}).get("text/html", "")) for output in outputs)


@pytest.mark.parametrize(
    "path",
    [path if path.stem == "channels" else pytest.param(path, marks=pytest.mark.slow) for path in TUTORIALS],
    ids=lambda path: path.stem,
)
def test_runs_in_order_and_draws_what_the_notebook_shows(path: Path) -> None:
    names: dict[str, Any] = {}
    for cell in cells(path, "code"):
        with contextlib.redirect_stdout(io.StringIO()):
            result = run("".join(cell["source"]), names)
        drawn = any("text/html" in output.get("data", {}) for output in cell["outputs"])
        assert drawn == (getattr(result, "_repr_html_", lambda: None)() is not None)


@pytest.mark.slow
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_runs_in_a_kernel(path: Path) -> None:
    from scripts.tutorials import execute

    kept = [cell["outputs"] for cell in cells(path, "code")]
    made = [cell["outputs"] for cell in execute(path)["cells"] if cell["cell_type"] == "code"]
    # What is printed comes in one piece or in several.
    assert [{output["output_type"] for output in outputs} for outputs in made] == [
        {output["output_type"] for output in outputs} for outputs in kept
    ]
