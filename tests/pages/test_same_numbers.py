"""What a page shows, the command line prints: the same report of the same photo and network, formatted twice."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from cam_core import SAMPLES
from cam_core.analysis import channels, comparison, curves
from cam_core.cli import channels as channels_command
from cam_core.cli import classes as classes_command
from cam_core.cli import curve as curve_command
from cam_core.cli import explain as explain_command
from cam_core.cli import inputs
from pages.classes import channels as class_channels
from pages.classes import maps as class_maps
from pages.deletion import board
from tests.cli.calls import run
from tests.pages.app_runs import Open, html, load_tiny, similarity

Reports = list[Any]
PHOTO = SAMPLES[0].key
SPEED = {"seconds"}  # the one thing that differs between two computations of the same


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The command line on the network of the app."""
    monkeypatch.setattr(inputs, "load_model", load_tiny)

    def command(*arguments: object) -> Any:
        result = run(*arguments)
        assert result.exit_code == 0, result.stderr
        return result

    return command


def spied(monkeypatch: pytest.MonkeyPatch, place: Any, name: str) -> Reports:
    """Every report that is built there from now on. A page's own file imports anew at every run."""
    built: Reports = []
    original = getattr(place, name)

    def build(*arguments: Any, **options: Any) -> Any:
        built.append(original(*arguments, **options))
        return built[-1]

    monkeypatch.setattr(place, name, build)
    return built


def assert_same(one: Any, other: Any, place: str = "report") -> None:
    """Field by field; numbers as close as two orders of the same batches leave them."""
    if is_dataclass(one):
        assert type(one) is type(other), place
        for field in fields(one):
            if field.name not in SPEED:
                assert_same(getattr(one, field.name), getattr(other, field.name), f"{place}.{field.name}")
    elif isinstance(one, Mapping):
        assert list(one) == list(other), place
        for key in one:
            assert_same(one[key], other[key], f"{place}[{key!r}]")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), place
        for number, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f"{place}[{number}]")
    elif isinstance(one, float | np.ndarray):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6, err_msg=place)
    else:
        assert one == other, place


def table_rows(markup: str, first: str) -> dict[str, list[str]]:
    """A table by the head of its first column: cells without markup by the row's name."""
    tables = re.findall(r"<table class=\"cam-table\">.*?</table>", markup, flags=re.DOTALL)
    (table,) = [table for table in tables if f'col">{first}</th>' in table]
    lines = re.findall(r"<tr><th scope=\"row\">(.*?)</th>(.*?)</tr>", table, flags=re.DOTALL)
    return {plain(name): [plain(cell) for cell in re.findall(r"<td.*?</td>", cells)] for name, cells in lines}


def plain(markup: str) -> str:
    return re.sub(r"<.*?>", "", markup, flags=re.DOTALL).strip()


def visit(open_app: Open, page: str, **link: Any) -> AppTest:
    return open_app(page=f"pages/{page}/page.py", **link)


def read(at: AppTest) -> str:
    return html(at).replace("−", "-")


def opened(open_app: Open, page: str, **link: Any) -> str:
    return read(visit(open_app, page, **link))


def test_curves(open_app: Open, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    shown, printed = (spied(monkeypatch, place, "curve_report") for place in (board, curve_command))
    cells = table_rows(opened(open_app, "deletion", steps="14"), "Area under the curve")
    output = command(
        *("curve", PHOTO, "-M", "grad-cam", "-M", "lift-cam", "-k", "deletion", "-k", "insertion", "--steps", 14),
        *("--baseline", "zero"),  # the page's own choice, where the command has what was published
    ).stdout
    assert_same(shown[-1], printed[-1])
    assert isinstance(shown[-1], curves.CurveReport)
    lines = [line.split("\t") for line in output.splitlines()[1:]]
    areas = {(name, kind): (float(area), beside) for name, kind, area, _, beside in lines}
    for column, kind in enumerate(("deletion", "insertion")):
        for key, title in (("grad-cam", "Grad-CAM"), ("lift-cam", "LIFT-CAM")):
            area, verdict = areas[key, kind]
            text, words = cells[title][column].split(" ", 1)
            assert float(text) == pytest.approx(area, abs=0.00056), "three digits of four"
            assert words == board._VERDICTS[verdict]
        mean, ends = areas["5 random maps", kind]
        text, *_ = cells["Random, 5 maps"][column].split()
        low, high = re.findall(r"-?[\d.]+", cells["Random, 5 maps"][column])[1:]
        assert float(text) == pytest.approx(mean, abs=0.00056)
        assert [float(low), float(high)] == pytest.approx([float(end) for end in ends.split(" to ")], abs=0.00056)


def test_channels(open_app: Open, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    shown, printed = (spied(monkeypatch, place, "channel_report") for place in (channels, channels_command))
    for reading, words in (("α", "cosine to SHAP"), ("α · mean A", "times mean activation")):
        at = visit(open_app, "channels", reading=reading, budget="64")
        text = read(at)
        result = command("channels", PHOTO, "-M", "lift-cam", "-M", "grad-cam", "--budget", 64, "--top", 8)
        report = shown[-1]
        ours, theirs = (vars(one) | {"convergence": one.convergence[-1]} for one in (report, printed[-1]))
        assert_same(ours, theirs)
        cosines = dict(re.findall(rf"^(.+?): .*?{words} (-?[\d.]+)", result.stderr, flags=re.MULTILINE))
        cells = similarity(at)
        for title in ("LIFT-CAM", "Grad-CAM"):
            assert plain(cells[title][0]).replace("−", "-") == cosines[title]
    facts = re.search(r"logit (\S+), without any channel (\S+), sum of phi (\S+), unexplained (\S+)", result.stderr)
    assert facts is not None
    shown_facts = dict(re.findall(r"<dt>(.*?)</dt><dd>(-?[\d.]+)", text))
    names = ("score (logit)", "score of nothing, v(∅)", "explained, Σ φ", "unexplained (efficiency gap)")
    for name, value in zip(names, facts.groups(), strict=True):
        assert float(shown_facts[name]) == pytest.approx(float(value), abs=0.0051), "two digits of four"
    rows = (line.split("\t") for line in result.stdout.splitlines()[1:])
    first = next(row for row in rows if float(row[2]) > 0)
    assert f"<b>φ = {float(first[2]):+.3f}" in text, "the channel with the largest φ"


def test_comparison(
    open_app: Open, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shown, printed = (spied(monkeypatch, place, "comparison_report") for place in (comparison, explain_command))
    methods = {"grad-cam": "Grad-CAM", "lift-cam": "LIFT-CAM", "score-cam": "Score-CAM"}
    text = opened(open_app, "compare", methods=list(methods.values()))
    record = tmp_path / "record.json"
    result = command(*("explain", PHOTO, "--json", record), *(part for key in methods for part in ("-M", key)))
    assert_same(shown[-1], printed[-1])
    numbers = re.findall(r"%, transparent\)\">(.*?)</td>", text)
    pairs = re.findall(r"^(.+) and (.+): rank correlation (\S+)$", result.stderr, flags=re.MULTILINE)
    assert [float(number) for _, _, number in pairs] == [float(numbers[place]) for place in (1, 2, 5)]
    assert [pair[:2] for pair in pairs] == [
        ("Grad-CAM", "LIFT-CAM"),
        ("Grad-CAM", "Score-CAM"),
        ("LIFT-CAM", "Score-CAM"),
    ]
    rows = [line.split("\t") for line in result.stdout.splitlines()[1:]]
    assert re.findall(r"(\d+) pass(?:es)? up to the layer, (\d+) behind", text) == [(row[-2], row[-1]) for row in rows]
    top = json.loads(record.read_text())["top_classes"]
    shares = re.findall(r'class="cam-share[^"]*"><i style="width: ([\d.]+)%"', text)
    assert [f"{100 * one['probability']:.2f}" for one in top] == shares and len(shares) == 5


def test_classes(open_app: Open, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    maps = [spied(monkeypatch, place, "class_contrast") for place in (class_maps, classes_command)]
    told = [spied(monkeypatch, place, "channel_contrast") for place in (class_channels, classes_command)]
    at = visit(open_app, "classes", sample="pair_dog_panda", **{"class-a": "4", "class-b": "2"})
    arguments = ("--target", 4, "--versus", 2, "--budget", 320, "--channels", 3)
    result = command("classes", "pair_dog_panda", "-M", "grad-cam", "-M", "lift-cam", *arguments)
    shown, printed = ({report.method: report for report in built} for built in maps)
    assert list(shown) == list(printed) == ["grad-cam", "lift-cam"]
    assert_same(list(shown.values()), list(printed.values()))
    assert_same(told[0][-1], told[1][-1])
    text = read(at)
    assert re.findall(r"Rank correlation of the two maps: (-?[\d.]+)\.", text) == re.findall(
        r"rank correlation of the two maps (-?[\d.]+)", result.stderr
    )
    cells = table_rows(
        text.replace("eel rather than cat", "A").replace("cat rather than eel", "B"), "Positive part of the map"
    )
    rows = [line.split("\t") for line in result.stdout.splitlines()[1:]]
    assert len(rows) == len(cells) == 8
    for row, shares in zip(rows, cells.values(), strict=True):
        for printed_share, share in zip(row[3:], shares, strict=True):
            if "–" in (printed_share, share):
                assert printed_share == share, "the map is nowhere positive"
            else:
                assert float(share.strip("&lt; %")) == pytest.approx(100 * float(printed_share), abs=0.11)
    for channel, phi in re.findall(r"^  (\d+): phi ([+-][\d.]+)", result.stderr.replace("−", "-"), flags=re.MULTILINE):
        assert f"<b>Channel {channel}</b>: {float(phi):+.3f}"[:-1] in text
