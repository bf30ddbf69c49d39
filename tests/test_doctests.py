"""Every public name has an example that runs, and so has every guide."""

from __future__ import annotations

import ast
import doctest
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import cam_core

# Examples show how to call, so none shows what is going to disappear.
pytestmark = pytest.mark.filterwarnings("error::DeprecationWarning")

ROOT = Path(__file__).parents[1]
GUIDES = sorted((ROOT / "docs").rglob("*.md"))
DESCRIBED = [name for name in cam_core.__all__ if callable(getattr(cam_core, name))]
LISTS = [name for name in cam_core.__all__ if name not in DESCRIBED]  # they have no docstring: the package's names them


def run(text: str, name: str) -> int:
    """How many examples the text has; fails at the first that does not give what it says."""
    test = doctest.DocTestParser().get_doctest(text, {}, name, name, 0)
    runner = doctest.DebugRunner(optionflags=doctest.ELLIPSIS)
    try:
        runner.run(test)
    except doctest.DocTestFailure as failure:
        pytest.fail(f"{failure.example.source}gives\n{failure.got}instead of\n{failure.example.want}", pytrace=False)
    except doctest.UnexpectedException as failure:
        raise failure.exc_info[1] from None
    return len(test.examples)


@pytest.mark.parametrize("name", DESCRIBED)
def test_public_name_has_an_example_that_uses_it(name: str) -> None:
    docstring = inspect.getdoc(getattr(cam_core, name)) or ""
    assert run(docstring, name), f"{name} has no example"
    assert name in "".join(example.source + example.want for example in doctest.DocTestParser().get_examples(docstring))


def test_package_has_an_example_that_uses_every_list() -> None:
    docstring = inspect.getdoc(cam_core) or ""
    assert run(docstring, "cam_core")
    used = "".join(example.source for example in doctest.DocTestParser().get_examples(docstring))
    assert LISTS
    assert [name for name in LISTS if name not in used] == []


def documented(path: Path) -> Iterator[tuple[str, str]]:
    """Name and docstring of everything in a file that has one; a module goes by its path."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            name = str(path.relative_to(ROOT)) if isinstance(node, ast.Module) else node.name
            yield name, ast.get_docstring(node) or ""


def test_no_other_example_is_left_unrun() -> None:
    """An example that nobody runs is sooner or later untrue."""
    files = [path for folder in ("cam_core", "pages") for path in (ROOT / folder).rglob("*.py")]
    with_examples = {name for path in files for name, docstring in documented(path) if ">>>" in docstring}
    assert with_examples == {*DESCRIBED, "cam_core/__init__.py"}


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.stem)
def test_examples_of_a_page_are_true(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    count = run("\n".join(line for line in text.splitlines() if not line.startswith("```")), path.name)
    assert count or path.parent.name != "guides", "a guide shows how"
