"""The recipes of CONTRIBUTING.md are true: each is followed to the letter in a copy of the code, and takes effect.

A block's title is a path. Python is the text of a new file; a diff shows lines that are there and, with +, new ones.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COPIED = ("cam_core", "pages", "scripts", "tests")
BLOCK = re.compile(r'^```(python|diff) title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def recipes() -> dict[str, list[tuple[str, str, str]]]:
    """Kind, path and text of every block, by the words of the heading above them: "method", "data set to train on"."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    chapters = re.split(r"^### … an? (.+)$|^## .+$", text, flags=re.MULTILINE)
    return {name: BLOCK.findall(body) for name, body in zip(chapters[1::2], chapters[2::2], strict=True) if name}


RECIPES = recipes()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The code, to be changed at will."""
    for name in COPIED:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("app.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("assets", ".streamlit"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def follow(name: str, copy: Path) -> list[str]:
    """Do what a recipe says; the files it made or changed."""
    for kind, path, block in RECIPES[name]:
        {"python": create, "diff": insert}[kind](copy / path, block)
    return [path for _, path, _ in RECIPES[name]]


def create(path: Path, block: str) -> None:
    assert not path.exists(), f"{path.name} is to be a new file"
    path.parent.mkdir(exist_ok=True)
    path.write_text(block, encoding="utf-8")


def insert(path: Path, block: str) -> None:
    lines = block.splitlines(keepends=True)
    known, added = ("".join(line[1:] for line in lines if line[0] == mark) for mark in " +")
    text = path.read_text(encoding="utf-8")
    assert known and added and text.count(known) == 1
    path.write_text(text.replace(known, known + added), encoding="utf-8")


def python(copy: Path, *arguments: str) -> str:
    """What a process prints that knows the copy alone."""
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=copy, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def passed(copy: Path, *tests: str) -> int:
    """How many tests of the copy passed; none may fail."""
    output = python(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)
    (count,) = re.findall(r"(\d+) passed", output)
    return int(count)


def test_there_is_a_recipe_for_everything() -> None:
    assert list(RECIPES) == ["method", "metric", "model", "data set to train on", "page"]


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_is_clean(name: str, copy: Path) -> None:
    paths = follow(name, copy)
    python(copy, "-m", "ruff", "check", "--no-cache", *paths)
    python(copy, "-m", "ruff", "format", "--no-cache", "--check", *paths)


LIST_AND_TEST = """
import sys, pytest
from typer.testing import CliRunner
from cam_core.cli import app

print(CliRunner().invoke(app, ["methods"]).stdout)
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
"""


@pytest.mark.slow
def test_method_is_listed_and_right(copy: Path) -> None:
    *_, test = follow("method", copy)
    output = python(copy, "-c", LIST_AND_TEST, test)
    listed = [line.partition("\t")[0] for line in output.splitlines()]
    assert listed[listed.index("lfi-cam") + 1] == "mean-map"
    assert "1 passed" in output


def test_metric_is_listed_and_right(copy: Path) -> None:
    *_, test = follow("metric", copy)
    assert passed(copy, test) == 1


def test_model_is_in_the_catalogue_and_agrees_with_its_source(copy: Path) -> None:
    *_, test = follow("model", copy)
    assert passed(copy, test, "-k", "resnet152 or promises") >= 3


@pytest.mark.slow
def test_data_set_can_be_trained_on(copy: Path) -> None:
    *_, test = follow("data set to train on", copy)
    assert passed(copy, test) == 2


@pytest.mark.slow
def test_page_opens(copy: Path) -> None:
    *_, test = follow("page", copy)
    assert passed(copy, test) == 1
