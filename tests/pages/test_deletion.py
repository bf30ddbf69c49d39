"""The Deletion page: curves of what there is, what the slider shows, the tables, and what a cancel leaves."""

from __future__ import annotations

import csv
import io
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import pandas
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from cam_core import METHODS, METRICS, SAMPLES, Explanation
from cam_core.methods.registry import Method
from cam_core.metrics import MetricResult
from cam_core.metrics.curves.frames import Film, Frames
from cam_core.metrics.curves.points import CurvePoint, Curves
from cam_core.metrics.curves.spread import CONTROL, control_name, random_control
from pages.deletion import board, curves, scores
from pages.deletion.curves import Views
from pages.runtime import compute
from pages.runtime.compute import Question, Request, Work
from pages.runtime.jobs import Job, Jobs
from pages.shared import downloads, style, tables
from tests.metrics.perturbed import perturbation
from tests.pages.app_runs import PATIENCE, Open, html, settle
from tests.pages.odd_methods import broken
from tests.pretend.device import Ledger

Register = Callable[..., Method]


@pytest.fixture
def open_page(open_app: Open) -> Callable[..., AppTest]:
    """The page as a link with these parameters opens it."""
    return partial(open_app, page="pages/deletion/page.py")


def rows(at: AppTest, first: str) -> dict[str, list[str]]:
    """A table by the head of its first column: cells by the row's name, without markup."""
    tables = re.findall(r"<table class=\"cam-table\">.*?</table>", html(at), flags=re.DOTALL)
    (found,) = [table for table in tables if f'col">{first}</th>' in table]
    lines = re.findall(r"<tr><th scope=\"row\">(.*?)</th>(.*?)</tr>", found, flags=re.DOTALL)
    return {plain(name): [plain(cell) for cell in re.findall(r"<td.*?</td>", cells)] for name, cells in lines}


def plain(markup: str) -> str:
    return re.sub(r"<.*?>", "", markup, flags=re.DOTALL).strip()


def pictures(at: AppTest) -> list[str]:
    return [image.proto.imgs[0].alt for image in at.get("image")]


def charts(at: AppTest) -> int:
    return len(at.get("plotly_chart"))


def scored(at: AppTest) -> AppTest:
    """Run again until no metric is missing: the table of quick ones fills without a progress bar."""
    until = time.monotonic() + PATIENCE
    while "…" in html(settle(at)):
        assert time.monotonic() < until, "still computing"
        time.sleep(0.05)
        at.run()
    return at


@pytest.mark.parametrize(("weights", "name"), [("default", "curves"), ("random", "curves-untrained")])
def test_files_say_that_a_network_has_learnt_nothing(
    open_page: Open, monkeypatch: pytest.MonkeyPatch, weights: str, name: str
) -> None:
    names: list[str] = []
    monkeypatch.setattr("streamlit.download_button", lambda label, **button: names.append(button["file_name"]))
    open_page(weights=weights)
    metrics = name.replace("curves", "metrics")
    assert set(names) == {f"{name}.{form}" for form in ("csv", "pdf", "svg", "png")} | {f"{metrics}.csv"}


def test_first_sight_has_curves_areas_pictures_and_metrics(open_page: Open) -> None:
    at = open_page()
    assert at.title[0].value == "Deletion"
    assert not at.markdown, "Streamlit prints what stands alone in a page's file, docstrings of constants too"
    assert charts(at) == 2
    areas = rows(at, "Area under the curve")
    assert list(areas) == ["Grad-CAM", "LIFT-CAM", "Random, 5 maps"]
    for method in ("Grad-CAM", "LIFT-CAM"):
        assert all(re.fullmatch(r"\d\.\d{3} (better than|no better than|worse than) random", c) for c in areas[method])
    assert all(re.fullmatch(r"(\S+) (\S+) to (\S+)", cell) for cell in areas["Random, 5 maps"])
    assert pictures(at) == [
        f"{name}: the photo with 20 % of its pixels {done}"
        for done in ("removed", "shown")
        for name in ("Grad-CAM", "LIFT-CAM", "Random (control)")
    ]
    assert html(at).count("<small>mean probability of the class</small>") == 2, "the unit of the areas"
    assert "these metrics go on as they were published" not in html(at)
    metrics = rows(scored(at), "Metric")
    assert len(metrics) == len(scores.QUICK)
    (drops,) = [cells for name, cells in metrics.items() if "Average drop ↓" in name]
    assert all(cell.endswith(" %") for cell in drops)
    assert all(len(cells) == 3 and "…" not in cells for cells in metrics.values())
    assert at.query_params == {}, "the default view has the bare address"


def test_every_metric_on_apples_gpu(open_page: Open, apple: Ledger) -> None:
    at = open_page(methods="Grad-CAM")
    at.toggle(key="slow-metrics").set_value(True).run()
    assert list(rows(scored(at), "Area under the curve")) == ["Grad-CAM", "Random, 5 maps"]
    tables = re.findall(r"<table class=\"cam-table\">.*?</table>", html(at), flags=re.DOTALL)
    cells = [plain(cell) for table in tables for cell in re.findall(r"<td.*?</td>", table)]
    assert cells and not {"–", "…"} & set(cells), "every one has a value"
    assert not at.error
    assert apple.ops


def test_every_metric_that_needs_no_ground_truth_is_there_once() -> None:
    drawn = {"deletion-auc", "insertion-auc"}
    needing = {one.key for one in METRICS.values() if {"region", "other_region"} & set(one.needs)}
    assert sorted([*scores.QUICK, *scores.SLOW]) == sorted(set(METRICS) - drawn - needing)


def test_the_slider_changes_pictures_and_values(open_page: Open) -> None:
    at = open_page(curves="Deletion")
    before = [image.proto.imgs[0].url for image in at.get("image")]
    at.slider(key="changed").set_value(70).run()
    settle(at)
    assert pictures(at)[0] == "Grad-CAM: the photo with 70 % of its pixels removed"
    after = [image.proto.imgs[0].url for image in at.get("image")]
    assert len(after) == 3 and not set(before) & set(after)


def test_what_is_written_under_a_picture_is_what_the_network_says_of_it(
    open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[Views, float, Frames]] = []
    original = Views.at

    def at_fraction(self: Views, fraction: float) -> Frames:
        shown.append((self, fraction, original(self, fraction)))
        return shown[-1][2]

    monkeypatch.setattr(Views, "at", at_fraction)
    at = open_page(changed="33")
    at.slider(key="changed").set_value(71).run()
    settle(at)
    views, fraction, frames = shown[-1]
    assert fraction == 0.71
    clf, question = views.seen.classifier, views.seen.question
    changed = partial(perturbation, clf, views.seen.photo.image, seed=question.seed, baseline="zero")
    expected = []
    for kind in views.settings.kinds:
        for source in views.sources:
            way = changed(source.explanation, kind)
            probability = clf.module(way.picture(0.71)[None]).detach().double().softmax(1)[0, question.target]
            assert frames[source.name, kind].value == pytest.approx(float(probability), abs=1e-6)
            expected.append(style.percent(frames[source.name, kind].value).replace(" ", "&nbsp;"))
    assert re.findall(r'<div class="cam-quiet">probability (.*?)</div>', html(at)) == expected


def test_the_control_is_that_of_the_core(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each map by itself, for each is kept by itself; together what `random_control` gives at the same layer."""
    drawn: list[tuple[Question, dict[str, Explanation]]] = []
    original = curves.control_sources

    def control(*arguments: Any) -> list[curves.Source]:
        found = original(*arguments)
        drawn.append((arguments[0][0][0], {source.name: source.explanation for source in found}))
        return found

    monkeypatch.setattr(curves, "control_sources", control)
    open_page(layer="features.1")
    question, found = drawn[-1]
    assert question.layer == "features.1"
    clf = compute.classifier(question.model)
    expected = random_control(clf, scene_photo(), question.layer, question.target, seed=question.seed)
    assert list(found) == list(expected)
    for name, one in expected.items():
        assert (found[name].layer, found[name].seed, found[name].target) == (one.layer, one.seed, one.target)
        assert (found[name].map == one.map).all()


def scene_photo() -> Image.Image:
    """The one that the app opens on."""
    return SAMPLES[0].open()


def test_steps_of_the_slider_share_what_does_not_depend_on_them(
    open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Film] = []
    asked: list[float] = []

    class Counted(Film):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            made.append(self)

        def at(self, fraction: float) -> Frames:
            asked.append(fraction)
            return super().at(fraction)

    monkeypatch.setattr(curves, "Film", Counted)
    at = open_page()
    assert made
    made.clear()
    asked.clear()
    for percent in (30, 31, 30):
        settle(at.slider(key="changed").set_value(percent).run())
    assert not made
    assert asked == [0.3, 0.31], "a frame that was seen is not computed again"
    settle(at.selectbox(key="baseline|").set_value("Mean").run())
    assert len(made) == 1


def test_a_link_reopens_the_view(open_page: Open) -> None:
    at = open_page(curves="Insertion", steps="14", baseline="Noise", score="Logit", changed="45", methods="HiResCAM")
    assert charts(at) == 1
    assert list(rows(at, "Area under the curve")) == ["HiResCAM", "Random, 5 maps"]
    assert pictures(at)[0] == "HiResCAM: the photo with 45 % of its pixels shown"
    text = html(at)
    assert re.search(r"logit −?\d", text)
    assert "<small>mean logit</small>" in text, "the unit of the areas"
    assert "these metrics go on as they were published" in text


def test_play_moves_the_slider_to_the_end_and_stops(open_page: Open) -> None:
    at = open_page(curves="Deletion")
    at.slider(key="changed").set_value(92).run()
    at.button(key="play").click().run()
    until = time.monotonic() + PATIENCE
    while at.slider(key="changed").value < 100:
        assert time.monotonic() < until
        at.run()
    settle(at)
    assert pictures(at)[0].startswith("Grad-CAM: the photo with 100 %")
    at.run()
    assert at.button(key="play").label == "Play"
    assert at.slider(key="changed").value == 100


def test_a_method_that_fails_leaves_the_others(open_page: Open, register: Register) -> None:
    register("broken", broken, title="Broken")
    at = open_page(methods=["Broken", "Grad-CAM"])
    assert "Broken has no map" in at.error[0].value and "no \\[0\\] to divide by" in at.error[0].value
    assert list(rows(at, "Area under the curve")) == ["Grad-CAM", "Random, 5 maps"]
    next(button for button in at.button if button.label == "Remove").click().run()
    settle(at)
    assert not at.error
    assert at.multiselect(key="methods").value == ["Grad-CAM"]


@pytest.mark.parametrize("nothing", ["methods", "curves"])
def test_nothing_chosen_says_what_to_do(open_page: Open, nothing: str) -> None:
    at = open_page()
    if nothing == "methods":
        at.multiselect(key="methods").set_value([]).run()
    else:
        at.button_group(key="curves").set_value([]).run()
    assert "Choose one or more methods, and deletion or insertion" in at.info[0].value
    assert charts(at) == 0


def test_an_improbable_class_is_pointed_out_with_the_rule(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not open_page().warning
    monkeypatch.setattr("cam_core.analysis.curves.IMPROBABLE", 0.99)
    at = open_page()
    assert "Below 99 % there is next to nothing to lose" in at.warning[0].value


def test_curves_have_something_to_show_unless_another_baseline_is_asked_for(
    open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The published insertion begins in a blurred photo, of which the bundled network keeps 88 % on the first photo."""
    asked: list[dict[str, Any]] = []
    original = curves.curve_points

    def noted(*arguments: Any, **options: Any) -> Iterator[CurvePoint]:
        asked.append(options)
        return original(*arguments, **options)

    monkeypatch.setattr(curves, "curve_points", noted)
    text = html(open_page())
    assert asked[-1]["baseline"] == "zero"
    assert "Deletion: the lower, the better the map" in text
    assert "Insertion: the higher, the better the map" in text
    assert "Pixels give way to grey, the most salient first." in text
    assert "Pixels come back out of grey, the most salient first." in text
    text = html(open_page(baseline="Usual"))
    assert "baseline" not in asked[-1]
    assert "give way to grey" in text and "come back out of blur" in text


LEGEND_AND_TABLE = (('<div class="cam-legend"', "</div>"), ('<th scope="col">Area under the curve', "</table>"))


def test_the_legend_at_the_curves_names_what_a_row_of_the_table_lights(open_page: Open) -> None:
    text = html(open_page(methods=["Grad-CAM++", "LIFT-CAM"]))
    legend, table = (re.findall(f"{start}.*?{end}", text)[0] for start, end in LEGEND_AND_TABLE)
    choices = re.findall(r'<input type="radio" name="cam-lit" id="(.*?)"( checked)?>', legend)
    names = ["grad-cam++", "lift-cam", "random"]
    assert choices == [("cam-lit", " checked"), *((f"cam-lit-{name}", "") for name in names)]
    for place in (legend, table):
        labels = re.findall(r'<label for="cam-lit-(.*?)">(<i .*?</i>)', place)
        assert labels == [(name, tables.line(name)) for name in names]


def test_a_baseline_that_keeps_the_class_is_pointed_out(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    left = {"deletion": 0.1, "insertion": 0.93}
    monkeypatch.setattr("cam_core.analysis.curves.left_at_baseline", lambda curve: left[curve.kind])
    text = html(open_page())
    assert text.count("of the probability is still there") == 1
    assert "93 % of the probability is still there. Above 50 %" in text
    assert "is still there" not in html(open_page(score="Logit"))


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Curves]]:
    """Points come slowly, until the list has an entry; it is told the curves that were known at each beginning."""
    begun: list[Curves] = []
    original = curves.curve_points

    def draw(*arguments: Any, known: Curves, progress: Any, **options: Any) -> Iterator[CurvePoint]:
        begun.append({key: curve.snapshot() for key, curve in known.items()})
        for number, point in enumerate(original(*arguments, known=known, progress=progress, **options)):
            progress(number, 500)
            time.sleep(0.02 if len(begun) == 1 else 0)
            yield point

    monkeypatch.setattr(curves, "curve_points", draw)
    return begun


def test_curves_grow_a_cancel_keeps_them_and_they_go_on(open_page: Open, slowly: list[Curves], jobs: Jobs) -> None:
    at = open_page(wait=False, curves="Deletion", steps="56")
    until = time.monotonic() + PATIENCE
    while not any(button.key == "leave-curves" for button in at.button):
        assert time.monotonic() < until
        at.run()
    assert any("Computing the curves" in bar.proto.text for bar in at.get("progress"))
    assert charts(at) == 1
    at.button(key="leave-curves").click().run()
    settle(at)
    assert "What was computed stays" in html(at)
    order = [
        element.type
        for element in at.main
        if element.type == "image" or (element.type == "html" and "What was computed stays" in element.value)
    ]
    assert order[0] == "html" and "image" in order, "under the curves, and not below the photos"
    kept = rows(at, "Area under the curve")["Grad-CAM"]
    assert kept[0].startswith("≈") or kept == ["…"]
    assert charts(at) == 1
    at.button(key="again-curves").click().run()
    settle(at)
    assert re.match(r"\d\.\d{3} ", rows(at, "Area under the curve")["Grad-CAM"][0])
    assert len(slowly) == 2
    assert all(not curve.points for curve in slowly[0].values())
    assert any(curve.points for curve in slowly[1].values()), "what was known is not computed again"


def test_it_is_said_whose_curve_is_best(open_page: Open) -> None:
    at = open_page(methods=["Grad-CAM", "LIFT-CAM"])
    areas = {name: cells for name, cells in rows(at, "Area under the curve").items() if not name.startswith("Random")}
    assert set(areas) == {"Grad-CAM", "LIFT-CAM"}
    for place, (kind, best) in enumerate((("deletion", min), ("insertion", max))):
        numbers = {name: float(cells[place].split()[0]) for name, cells in areas.items()}
        first = best(numbers.values())
        titles = " and ".join(name for name in ("Grad-CAM", "LIFT-CAM") if numbers[name] == first)
        assert re.search(rf"Best by {kind}: {titles}[.,]", html(at))
    assert "Best by" not in html(open_page(methods=["LIFT-CAM"])), "of one"


def first_chart(at: AppTest) -> str:
    spec: str = at.get("plotly_chart")[0].proto.spec
    return spec


def lines(at: AppTest) -> dict[str, list[float]]:
    """What the first chart draws, by name."""
    return {line["name"]: line["y"] for line in json.loads(first_chart(at))["data"]}


def test_every_dot_lies_on_its_line(open_page: Open) -> None:
    drawn = {trace["name"]: trace for trace in json.loads(first_chart(open_page(changed="33")))["data"]}
    dots = {name.removesuffix(" here"): trace for name, trace in drawn.items() if name.endswith(" here")}
    assert len(dots) == 2
    for name, dot in dots.items():
        place = drawn[name]["x"].index(0.33)
        assert dot["x"] == [0.33] and drawn[name]["y"][place] == pytest.approx(dot["y"][0], abs=5e-4)


def test_charts_that_grow_begin_with_a_point_and_do_not_wait_for_pictures(
    open_page: Open, slowly: list[Curves], monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    chart, film = board.Look._chart, Film.at

    def noted_chart(*arguments: Any) -> None:
        order.append("chart")
        chart(*arguments)

    def noted_film(*arguments: Any) -> Frames:
        order.append("frames")
        return film(*arguments)

    monkeypatch.setattr(board.Look, "_chart", noted_chart)
    monkeypatch.setattr(Film, "at", noted_film)
    monkeypatch.setattr(curves, "_FIRST_POINTS", PATIENCE)
    at = open_page(wait=False, curves="Deletion", steps="56")
    assert any(button.key == "leave-curves" for button in at.button), "still growing"
    assert order == ["chart", "frames"]
    assert lines(at)["grad-cam"], "not an empty chart"
    assert "grad-cam here" not in lines(at)
    assert len(pictures(at)) >= 2
    settle(at)
    assert "grad-cam here" in lines(at)
    order.clear()
    at.slider(key="changed").set_value(70).run()
    assert order == ["frames", "chart"], "at rest all that moves, moves together"


@pytest.fixture
def late_control(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Random maps wait until this is set."""
    original, gate = compute._explaining, threading.Event()

    def explaining(question: Question, image: Any, request: Request) -> Work[Explanation]:
        work = original(question, image, request)

        def late(job: Job) -> Explanation:
            assert gate.wait(PATIENCE)
            return work(job)

        return late if request == Request(CONTROL) else work

    monkeypatch.setattr(compute, "_explaining", explaining)
    yield gate
    gate.set()


def test_a_random_map_and_the_random_maps_are_both_on_their_way(open_page: Open, late_control: threading.Event) -> None:
    at = open_page(wait=False, methods=["Grad-CAM", "Random (control)"])
    assert not at.exception
    bars = [bar.proto.text for bar in at.get("progress")]
    for begun in ("Random (control): computing the map", "Drawing random maps"):
        assert any(bar.startswith(begun) for bar in bars)
    late_control.set()
    settle(at)
    assert charts(at) == 2


def test_curves_begin_without_random_maps_that_take_long(
    open_page: Open, monkeypatch: pytest.MonkeyPatch, late_control: threading.Event
) -> None:
    monkeypatch.setattr(curves, "_FIRST_POINTS", PATIENCE)
    at = open_page(wait=False)
    assert any(bar.proto.text.startswith("Drawing random maps") for bar in at.get("progress"))
    assert lines(at)["grad-cam"]
    assert rows(at, "Area under the curve")["Random, 0 maps"] == ["…", "…"]
    assert len(pictures(at)) == 4
    late_control.set()
    settle(at)
    assert "…" not in "".join(rows(at, "Area under the curve")["Random, 5 maps"])
    assert len(pictures(at)) == 6


def test_curves_that_fail_say_so(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **options: Any) -> Iterator[CurvePoint]:
        raise ZeroDivisionError

    monkeypatch.setattr(curves, "curve_points", fail)
    at = open_page()
    assert "The curves cannot be completed" in at.error[0].value
    assert charts(at) == 2, "empty, but there"


def test_slow_metrics_come_when_asked_for(open_page: Open) -> None:
    at = open_page(methods="Grad-CAM")
    assert "ROAD" not in html(at)
    at.toggle(key="slow-metrics").set_value(True).run()
    scored(at)
    tables = re.findall(r"<table class=\"cam-table\">.*?</table>", html(at), flags=re.DOTALL)
    assert len(tables) == 3
    for key in scores.SLOW:
        assert METRICS[key].title in plain(tables[2])
    assert "…" not in plain(tables[2])


def test_fake_cam_stands_beside_them_when_asked_for(open_page: Open) -> None:
    at = open_page()
    assert "Fake-CAM" not in html(at)
    at.toggle(key="fake-cam").set_value(True).run()
    scored(at)
    assert all(len(cells) == 4 for cells in rows(at, "Metric").values())
    (drop,) = [cells for name, cells in rows(at, "Metric").items() if "Average drop ↓" in name]
    assert drop[3].endswith(" %") and float(drop[3].removesuffix(" %")) < 1
    assert list(rows(at, "Area under the curve")) == ["Grad-CAM", "LIFT-CAM", "Random, 5 maps"]


def test_downloads_hold_every_curve(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: dict[str, Any] = {}
    monkeypatch.setattr(downloads, "button", lambda label, data, *_, **__: saved.update({label: data}))
    open_page(steps="14", methods="Grad-CAM")
    assert [label for label in saved if label != "Metrics as CSV"] == ["CSV", "PDF", "SVG", "PNG"]
    head, *lines = saved["CSV"]().decode().splitlines()
    assert head.startswith("method,kind,fraction,value,network,weights,layer,class,")
    names = {line.split(",")[0] for line in lines}
    assert names == {"grad-cam", *(control_name(seed) for seed in range(5))}
    assert len(lines) == 2 * 6 * 15
    assert {len(line) for line in csv.reader([head, *lines])} == {4 + 15}
    assert saved["PDF"]().startswith(b"%PDF")
    assert b"Grad-CAM" in saved["SVG"]()


def test_a_control_is_told_from_the_method_of_the_same_name(open_page: Open) -> None:
    at = open_page(methods=["Random (control)", "Grad-CAM"])
    areas = rows(at, "Area under the curve")
    assert list(areas) == ["Random (control)", "Grad-CAM", "Random, 5 maps"]
    assert areas["Random (control)"][0].endswith("no better than random")


def test_titles_of_sources() -> None:
    assert curves.title("grad-cam") == METHODS["grad-cam"].title
    assert curves.title(control_name(3)) == METHODS["random"].title


def scored_as(results: dict[str, MetricResult], name: str = "grad-cam") -> scores.Scored:
    return scores.Scored(SimpleNamespace(name=name), results, None)


def test_a_metric_that_cannot_be_computed_is_a_dash_and_the_reason_stands_below() -> None:
    missing = MetricResult("road", float("nan"), warnings=("singular",))
    cell = partial(scores._cell, written=partial(style.number, largest=1.0), unit="")
    assert cell(missing, best=False).text == "–"
    assert cell(replace(missing, value=-0.25), best=True).text == "−0.25"
    drop = MetricResult("average-drop", 3.0, warnings=("singular", "small"))
    both = [scored_as({"road": missing, "average-drop": drop}), scored_as({"road": missing}, "lift-cam")]
    below = plain(scores.notes(both, ["average-drop", "road"]))
    assert below.startswith("What to know of these values (2)")
    assert "Singular. Average drop: Grad-CAM; ROAD combined: Grad-CAM, LIFT-CAM" in below
    assert "Small. Average drop: Grad-CAM" in below
    assert scores.notes([scored_as({})], ["road"]) == ""


def test_one_photo_has_no_average_of_yes_and_no() -> None:
    """Of one photo the average increase is 0 % or 100 %, which says no more than no or yes."""
    both = [scored_as({"average-increase": MetricResult("average-increase", value)}) for value in (100.0, 0.0)]
    head, *cells = re.findall(r"<t[hd].*?</t[hd]>", scores.score_table(both, ["average-increase"]), flags=re.DOTALL)[3:]
    assert [plain(cell) for cell in cells] == ["yes", "no"]
    assert plain(head).startswith("Surer of the class when only the marked part is shown Average increase ↑")
    assert "%" not in plain(re.findall("<summary>.*?</summary>", head)[0])
    assert 'href="https://arxiv.org/abs/1710.11063"' in head


def test_metrics_are_taken_away_as_a_table(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    buttons: dict[str, Callable[[], bytes]] = {}
    monkeypatch.setattr("streamlit.download_button", lambda label, data, **_: buttons.update({label: data}))
    at = open_page(methods="Grad-CAM")
    scored(at)
    table = pandas.read_csv(io.BytesIO(buttons["Metrics as CSV"]()))
    assert set(table["metric"]) == set(scores.QUICK)
    assert set(table["method"]) == {"grad-cam", control_name(0)}
    assert set(table["network"]) == {"efficientnet_lite0"} and set(table["photo"]) == {SAMPLES[0].title}
    (gini,) = table[(table["metric"] == "sparseness") & (table["method"] == "grad-cam")]["value"]
    assert 0 < gini < 1


def test_cancelled_metrics_go_on_with_those_that_are_missing(
    open_page: Open, monkeypatch: pytest.MonkeyPatch, jobs: Jobs
) -> None:
    asked: list[list[str]] = []
    original = scores.evaluate_many

    def slowly(*arguments: Any, metrics: list[str], **options: Any) -> Iterator[MetricResult]:
        asked.append(list(metrics))
        for number, result in enumerate(original(*arguments, metrics=metrics, **options)):
            yield result
            if set(metrics) <= set(scores.SLOW) and len(stopped) == 0 and number == 1:
                stopped.extend(job for job in jobs.active if job.key.startswith("slow-scores"))
                for job in stopped:
                    job.cancel()

    stopped: list[Job] = []
    monkeypatch.setattr(scores, "evaluate_many", slowly)
    at = open_page(methods="Grad-CAM")
    at.toggle(key="slow-metrics").set_value(True).run()
    settle(at)
    assert "Cancelled. What was computed stays." in html(at)
    before = len(asked)
    kept = [part for part in asked if part == scores.SLOW]
    assert kept
    next(button for button in at.button if button.label == "Continue").click().run()
    scored(at)
    again = asked[before:]
    assert scores.SLOW[2:] in again, "what was known is not computed again"


def test_small_values_are_written_with_the_digits_in_which_they_differ() -> None:
    """Infidelity of 1.2e-4 and 1.3e-4 is not 0 and 0; where three digits do not tell them apart, none is best."""

    def row(first: float, second: float, control: float = 90.0) -> list[tuple[str, bool]]:
        values = {"grad-cam": first, "lift-cam": second, "fake-cam": control}
        all_scored = [
            scored_as({"infidelity": MetricResult("infidelity", value)}, name) for name, value in values.items()
        ]
        return [(cell.text.replace("\u00a0", " "), cell.best) for cell in scores._cells("infidelity", all_scored)]

    assert row(1.2e-4, 1.3e-4)[:2] == [("1.20 × 10⁻⁴", True), ("1.30 × 10⁻⁴", False)]
    assert row(1.2e-4, 1.2001e-4)[:2] == [("1.20 × 10⁻⁴", False), ("1.20 × 10⁻⁴", False)]
    assert row(0.0, 0.0, 4.98)[2] == ("4.98", False), "where all others are 0, a control gives the scale"
