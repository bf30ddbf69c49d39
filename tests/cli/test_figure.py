"""`figure`: the same bytes as from Python, refusals before the work, and what is written beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cam_core.figures import Column, FigureSpec, Look, Network, Shown, explain_grid, grid_file
from cam_core.figures.grid.explained import image_opener
from tests.cli.calls import Call
from tests.tiny import tiny_classifier

pytestmark = pytest.mark.usefixtures("tiny_network")

SPEC = FigureSpec(
    (Shown("photo.png", 1), Shown("dog")),
    (Column("grad-cam"), Column("lift-cam"), Column("score-cam", model=Network("residual"))),
    Network("plain"),
    look=Look(dpi=60, letters="a"),
)


@pytest.fixture
def spec(photo: Path) -> Path:
    """A spec beside the photo that it names."""
    path = photo.parent / "spec.json"
    path.write_text(SPEC.to_json(), encoding="utf-8")
    return path


@pytest.mark.parametrize("form", ["pdf", "svg", "png"])
def test_gives_the_bytes_that_python_gives(succeed: Call, spec: Path, form: str) -> None:
    path = spec.parent / f"figure.{form}"
    succeed("figure", spec, "--out", path)
    grid = explain_grid(
        FigureSpec.read(spec),
        open_image=image_opener(spec.parent),
        open_network=lambda network: tiny_classifier(network.name),
    )
    assert path.read_bytes() == grid_file(grid, form)


def test_says_what_is_in_it_and_writes_the_snippet_and_the_entries(succeed: Call, spec: Path) -> None:
    pdf, tex, bib = (spec.parent / name for name in ("cams.pdf", "cams.tex", "refs.bib"))
    result = succeed("figure", spec, "--out", pdf, "--tex", tex, "--bib", bib)
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert lines[0] == ["image", "method", "class", "probability", "layer"]
    assert [line[:2] for line in lines[1:]] == [
        [image, method] for image in ("photo", "Dog") for method in ("Grad-CAM", "LIFT-CAM", "Score-CAM")
    ]
    assert {line[2] for line in lines[1:4]} == {"class 1"}
    assert "photo has" in result.stderr and "it is enlarged" in result.stderr
    assert (
        "{cams.pdf}" in tex.read_text() and bib.read_text().count("\n}") == 3 and "Cogswell, Michael" in bib.read_text()
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": ["nothing.png"]}, "nothing.png cannot be opened: No such file or directory"),
        ({"columns": ["grad-kam"]}, "unknown method 'grad-kam'"),
        ({"look": {"width": 30.0}}, "4 panels side by side do not fit into 30 mm"),
        ({"images": [{"image": "dog", "target": 77}]}, "target 77 is out of range"),
    ],
    ids=str,
)
def test_what_is_wrong_is_one_line(
    refuse: Callable[..., str], spec: Path, change: dict[str, object], words: str
) -> None:
    spec.write_text(json.dumps(SPEC.to_dict() | change))
    assert words in refuse("figure", spec, "--out", spec.parent / "figure.pdf")
    assert not (spec.parent / "figure.pdf").exists()


def test_outputs_are_refused_before_the_work(refuse: Callable[..., str], spec: Path) -> None:
    assert "names no figure format" in refuse("figure", spec, "--out", spec.parent / "figure.gif")
    assert "there is no folder" in refuse("figure", spec, "--out", spec.parent / "none" / "figure.pdf")
    assert "cannot be read" in refuse("figure", spec.parent / "none.json")
