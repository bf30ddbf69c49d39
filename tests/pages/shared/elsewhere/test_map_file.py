"""A map from a file beside ours: drawn, scored, taken along; refused in words; and what a link says of it."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pandas
import pytest
from streamlit.testing.v1 import AppTest

from cam_core.analysis.curves import curves_csv
from cam_core.files import npy
from cam_core.metrics.curves.points import curve_points
from pages.shared.sharing import settings
from pages.shared.sharing.section import PAGES
from tests.pages.app_runs import BUNDLED, Open, heatmaps, html, load_tiny, settle
from tests.pages.taken import array, executed, opened

DELETION = "pages/deletion/page.py"
LINK = {"methods": ["Grad-CAM"], "class": "2"}
VALUES = np.outer(np.linspace(-1, 2, 5), np.arange(1, 8)).astype(np.float64)


def give(at: AppTest, values: Any = VALUES, name: str = "mine.npy") -> AppTest:
    """Upload a map, or whatever bytes."""
    content = values if isinstance(values, bytes) else npy(values)
    at.file_uploader(key="map-file").upload(name, content).run()
    return settle(at)


def test_it_stands_beside_ours_and_says_where_it_is_from(open_app: Open) -> None:
    at = give(open_app(**LINK))
    assert heatmaps(at) == ["Grad-CAM", "mine"]
    assert "from mine.npy: 5 × 7 values" in html(at)
    assert html(at).count('<th scope="row">mine</th>') == 1, "in the table of agreement"
    assert at.query_params["map"] == "mine.npy"
    at.text_input(key="map-name").set_value("zennit LRP").run()
    assert heatmaps(settle(at)) == ["Grad-CAM", "zennit LRP"]
    at.file_uploader(key="map-file").clear().upload("other.npy", npy(VALUES)).run()
    assert heatmaps(settle(at)) == ["Grad-CAM", "other"], "the name was the other file's"


def test_it_needs_no_method_beside_it_and_goes_when_it_is_taken_away(open_app: Open) -> None:
    at = give(open_app(**LINK))
    at.multiselect(key="methods").set_value([]).run()
    assert heatmaps(settle(at)) == ["mine"]
    at.button(key="map-away").click().run()
    assert not heatmaps(settle(at)) and "map" not in at.query_params


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no array", "numpy.save"),
        (npy(VALUES)[:-4], "cut off"),
        (np.arange(3.0), "real numbers"),
        (np.array([[1.0, np.nan]]), "not finite"),
        (np.ones((3, 3)), "it marks nothing"),
    ],
)
def test_what_is_no_map_is_refused_in_words(open_app: Open, content: Any, said: str) -> None:
    at = give(open_app(**LINK), content)
    assert "This map cannot be used." in at.error[0].value and said in at.error[0].value
    assert heatmaps(at) == ["Grad-CAM"]


@pytest.mark.parametrize("name", ["grad-cam", "LIFT-CAM", "<b>mine</b>"])
def test_a_name_that_misleads_or_marks_up_is_refused(open_app: Open, name: str) -> None:
    at = give(open_app(**LINK))
    at.text_input(key="map-name").set_value(name).run()
    assert "This map cannot be used." in settle(at).error[0].value and heatmaps(at) == ["Grad-CAM"]


def test_compare_takes_it_along(open_app: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    at = give(open_app(**LINK))
    at.segmented_control(key="map-sign").set_value("Count as much").run()
    given = opened(settle(at), "compare", monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.npy").write_bytes(given.bundle["mine.npy"])
    ours, theirs = executed(given.script, monkeypatch)["explanations"]
    assert (ours.method, theirs.method, theirs.target) == ("grad-cam", "mine", 2)
    np.testing.assert_array_equal(theirs.map, np.abs(VALUES).astype(np.float32))
    np.testing.assert_array_equal(array(given.bundle["maps/mine.npy"]), theirs.map)
    np.testing.assert_array_equal(array(given.bundle["saliency/mine.npy"]), theirs.saliency)
    assert "--method grad-cam" in given.command and "not in it" in html(given.at)
    facts = json.loads(given.bundle["facts.json"])
    assert json.loads(facts["parameters"])["mine"]["file"] == "mine.npy"
    assert settings.read(given.settings, PAGES).choices["map"] == ("mine.npy",)


def test_deletion_scores_it_and_takes_it_along(open_app: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    at = give(open_app(page=DELETION, steps="14", baseline="Mean", **LINK))
    given = opened(at, "deletion", monkeypatch)
    text = html(at)
    assert text.count(">mine<") >= 2, "in the legend and in the tables"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.npy").write_bytes(npy(VALUES))
    names = executed(given.script, monkeypatch)
    keys = ["method", "kind", "fraction"]
    shown, made = (
        pandas.read_csv(io.BytesIO(content)).sort_values(keys, ignore_index=True)
        for content in (given.bundle["curves.csv"], curves_csv(names["report"]))
    )
    assert "mine" in set(shown["method"])
    pandas.testing.assert_frame_equal(shown, made, rtol=1e-4, atol=1e-6)
    clf = load_tiny(BUNDLED)
    plain = [
        point.value
        for point in curve_points(
            clf, names["photo"], {"mine": names["maps"]["mine"].saliency}, target=2, order="sequential", steps=14,
            baseline="mean",
        )
    ]  # fmt: skip
    drawn = shown[(shown["method"] == "mine") & (shown["kind"] == "deletion")]["value"].tolist()
    assert sorted(drawn) == pytest.approx(sorted(plain), abs=1e-5)


def test_it_stays_when_another_page_is_looked_at(open_app: Open) -> None:
    at = give(open_app(**LINK))
    at.switch_page(DELETION).run()
    assert ">mine<" in html(settle(at))


def test_a_link_says_that_the_map_stays_with_its_visitor(open_app: Open) -> None:
    at = open_app(map="mine.npy", **LINK)
    assert any("map from a file, which stays with its visitor: mine.npy" in info.value for info in at.info)
    assert heatmaps(at) == ["Grad-CAM"] and "map" not in at.query_params
