"""What the core and the pages hold, the product uses: nothing is there for tests alone."""

from __future__ import annotations

import ast
from pathlib import Path

import cam_core
from cam_core import targets

ROOT = Path(__file__).parents[1]
HOLDERS = ("cam_core", "pages")
USERS = (*HOLDERS, "benchmarks", "scripts")

# Called by name from elsewhere: modules and autograd functions by torch, columns by rich, pictures by notebooks, and
# what reads a record back.
BY_OTHERS = {"forward", "backward", "render", "from_dict", "persistent_id", "persistent_load", "reducer_override",
             "_repr_html_"}  # fmt: skip
# A decorator hands these to whoever calls them.
REGISTERED = ("method", "metric", "app", "atexit", "register", "html_of")

# Whoever writes Python takes these: each has its entry in the documentation.
PUBLIC = {*cam_core.__all__, *targets.__all__}

Definition = ast.FunctionDef | ast.ClassDef


def sources(folders: tuple[str, ...]) -> dict[Path, ast.Module]:
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in [*paths, *ROOT.glob("app.py")]}


def mentions(tree: ast.AST) -> set[str]:
    """Names that are used, as such or as an attribute."""
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return found | {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def imports(tree: ast.AST) -> set[str]:
    return {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}


def attributes(tree: ast.AST) -> set[str]:
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def definitions(tree: ast.Module) -> list[tuple[Definition, ast.Module | ast.ClassDef]]:
    """Functions, classes and their methods, each with what it stands in."""
    top = [node for node in tree.body if isinstance(node, Definition)]
    inner = [(part, node) for node in top if isinstance(node, ast.ClassDef) for part in node.body]
    return [(node, tree) for node in top] + [(part, node) for part, node in inner if isinstance(part, ast.FunctionDef)]


def registered(node: Definition) -> bool:
    return any(ast.unparse(decorator).split("(")[0].split(".")[0] in REGISTERED for decorator in node.decorator_list)


def deprecated(node: Definition) -> bool:
    """A former name, kept for a while for those who still use it."""
    return "DeprecationWarning" in ast.unparse(node)


def unused(trees: dict[Path, ast.Module], holders: list[Path]) -> set[str]:
    """Names that are defined in `holders` and used in none of `trees` outside of their own definition."""
    packages = [tree for path, tree in trees.items() if path.name == "__init__.py"]
    importing = [tree for tree in trees.values() if tree not in packages]  # an import by a package only passes names on
    anywhere = set().union(*map(attributes, trees.values()), *map(imports, importing), *map(mentions, packages))
    found = set()
    for path in holders:
        for node, inside in definitions(trees[path]):
            here = set().union(*(mentions(other) for other in trees[path].body if other is not node))
            known = anywhere | (here if isinstance(inside, ast.Module) else set())
            special = node.name.startswith("__") or node.name in BY_OTHERS | PUBLIC
            special = special or deprecated(node) or registered(node)
            if node.name not in known and not special:
                found.add(f"{path.name}:{node.name}")
    return found


def test_nothing_is_there_for_tests_alone() -> None:
    trees = sources(USERS)
    assert unused(trees, [path for path in trees if path.relative_to(ROOT).parts[0] in HOLDERS]) == set()


def test_the_search_finds_what_nobody_uses() -> None:
    text = "def a():\n    a()\ndef b():\n    pass\nclass C:\n    def d(self): pass\n    def e(self): self.d()\nb(C)\n"
    assert unused({Path("x.py"): ast.parse(text)}, [Path("x.py")]) == {"x.py:a", "x.py:e"}
