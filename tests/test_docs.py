"""The documentation is what the code is: generated tables, links that lead somewhere, a page for every public name."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cam_core
from scripts.tables import DOCS, TABLES, divided

ROOT = Path(__file__).parents[1]
WRITTEN = ("README.md", "CONTRIBUTING.md", *(str(path.relative_to(ROOT)) for path in sorted(DOCS.rglob("*.md"))))
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)")
SOURCES = ("docs", "cam_core", "scripts")


@pytest.mark.parametrize("name", TABLES)
def test_table_is_the_registrys(name: str) -> None:
    _, table, _ = divided((DOCS / name).read_text(encoding="utf-8"))
    assert table == TABLES[name](), "bring it up to date: python -m scripts.tables"


@pytest.mark.parametrize("name", WRITTEN)
def test_links_and_pictures_are_there(name: str) -> None:
    page = ROOT / name
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_links_are_looked_at() -> None:
    assert LINK.findall("![a](b.png) [c](d/e.md#f) [g](https://h)") == ["b.png", "d/e.md"]


def test_readme_is_short_and_its_code_runs() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 250
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    seen: dict[str, object] = {}
    exec(code, seen)
    assert seen["explanation"].label == "German shepherd"  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", [name for name in cam_core.__all__ if callable(getattr(cam_core, name))])
def test_public_name_has_its_entry(name: str) -> None:
    public = getattr(cam_core, name)
    entries = (DOCS / "api" / "index.md").read_text(encoding="utf-8").splitlines()
    assert f"::: {public.__module__}.{name}" in entries


def test_site_is_built_without_a_warning(tmp_path: Path) -> None:
    for name in SOURCES:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("mkdocs.yml", "CONTRIBUTING.md"):
        shutil.copy(ROOT / name, tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "griffe:" not in done.stdout + done.stderr
    page = (tmp_path / "site" / "api" / "index.html").read_text(encoding="utf-8")
    assert 'id="cam_core.explain.explain"' in page
    assert "fonts.googleapis" not in page
