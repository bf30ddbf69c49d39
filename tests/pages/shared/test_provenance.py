"""Files that leave the app say where they come from: every one of every page, and the table stays a table."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pandas
import pytest
from PIL import Image

from cam_core import SAMPLES
from cam_core.images import image_digest
from cam_core.version import versions
from pages.shared import pictures, provenance
from tests.pages.app_runs import BUNDLED, Open

FACTS = {"network": "a, b", "photo": "“dog”\nin a line", "parameters": '{"x": 1}'}


def test_a_table_stays_one_and_each_fact_is_a_column_more() -> None:
    table = pandas.read_csv(io.BytesIO(provenance.columns(b'method,value\n"grad, cam",0.25\nrandom,\n', FACTS)))
    assert list(table.columns) == ["method", "value", "network", "photo", "parameters"]
    assert table["method"].tolist() == ["grad, cam", "random"]
    assert table["value"][0] == 0.25 and pandas.isna(table["value"][1])
    for name, fact in FACTS.items():
        assert table[name].tolist() == [fact, fact]


def test_a_fact_that_the_table_has_already_is_not_there_twice() -> None:
    assert provenance.columns(b"network,x\nits own,1\n", {"network": "other", "seed": "0"}).decode() == (
        "network,x,seed\nits own,1,0\n"
    )


def test_a_picture_carries_its_description() -> None:
    content = pictures.described_png(Image.new("RGB", (8, 8), "red"), provenance.description(FACTS))
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.getpixel((3, 3)) == (255, 0, 0)
        assert json.loads(picture.text["Description"]) == FACTS


@pytest.fixture
def files(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, bytes]]:
    """Every file that a page offers, by its name."""

    def of_page(page: str, **link: Any) -> dict[str, bytes]:
        buttons: dict[str, Callable[[], bytes]] = {}

        def button(*_: Any, file_name: str, data: Callable[[], bytes], **__: Any) -> None:
            buttons[file_name] = data

        monkeypatch.setattr("streamlit.download_button", button)
        open_app(page=page, **link)
        return {name: data() for name, data in buttons.items()}

    return of_page


def described(name: str, content: bytes) -> dict[str, str]:
    """The facts that a file states."""
    if name.endswith(".csv"):
        table = pandas.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
        assert len(table.iloc[:, -15:].drop_duplicates()) == 1, "the same in each row"
        return {str(column): fact for column, fact in table.iloc[0, -15:].items()}
    if name.endswith(".png"):
        with Image.open(io.BytesIO(content)) as picture:
            found: dict[str, str] = json.loads(picture.text["Description"])
            return found
    if name.endswith(".svg"):
        (text,) = re.findall(r"<dc:description>(.*?)</dc:description>", content.decode(), flags=re.DOTALL)
        return json.loads(unescape(text))  # type: ignore[no-any-return]
    (text,) = re.findall(r"/Subject \((.*?)(?<!\\)\)", content.decode("latin-1"), flags=re.DOTALL)
    plain = re.sub(r"\\([\\()])", r"\1", text)
    if plain.startswith("þÿ"):  # the mark of UTF-16, in which a PDF has what Latin-1 lacks
        plain = plain.encode("latin-1").decode("utf-16")
    return json.loads(plain)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("page", "count"),
    [
        ("pages/compare/page.py", 2),
        ("pages/classes/page.py", 4),
        ("pages/channels/page.py", 4),
        ("pages/deletion/page.py", 5),
    ],
)
@pytest.mark.parametrize("weights", ["default", "random"])
def test_every_file_of_a_page_says_where_it_is_from(
    files: Callable[..., dict[str, bytes]], page: str, count: int, weights: str
) -> None:
    offered = files(page, weights=weights, seed="3", sample=SAMPLES[0].key)
    assert len(offered) == count
    photo = SAMPLES[0].open()
    for name, content in offered.items():
        facts = described(name, content)
        assert facts["network"] == BUNDLED
        assert facts["photo"] == SAMPLES[0].title and facts["photo_sha256"] == image_digest(photo), name
        assert facts["resize"] == "crop" and facts["seed"] == "3" and facts["layer"] and facts["class"], name
        assert ("untrained" in facts["weights"]) == (weights == "random"), name
        assert f"torch {versions()['torch']}" in facts["made_with"], name
        assert json.loads(facts["parameters"]), name
