"""The Classes page: what it opens on, what it says where two maps hardly differ, and that a failure stays alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from torch import Tensor

from cam_core import SAMPLES, explain, load_model
from cam_core.analysis.channel_contrast import channel_contrast
from cam_core.analysis.contrast import class_contrast
from cam_core.methods.registry import Method
from cam_core.shapley import channel_shap
from cam_core.targets import Difference
from cam_core.training.digits import gallery_masks
from pages.classes import channels
from pages.runtime import compute
from pages.runtime.jobs import Jobs
from tests.pages.app_runs import BUNDLED, LABELS, Open, box, html, load_tiny, settle
from tests.pages.odd_methods import broken, endless, zero
from tests.pretend.device import Ledger
from tests.tiny import SIZE

OpenClasses = Callable[..., AppTest]
Register = Callable[..., Method]
PAIR = next(sample for sample in SAMPLES if sample.collage)


@pytest.fixture
def open_classes(open_app: Open) -> OpenClasses:
    """The page as a link with these parameters opens it."""

    def open_classes(wait: bool = True, **link: str | list[str]) -> AppTest:
        return open_app(wait, "pages/classes/page.py", **link)

    return open_classes


def maps(at: AppTest) -> list[str]:
    """What the heatmaps say to those who cannot see them."""
    texts = [image.proto.imgs[0].alt for image in at.get("image")]
    return [text.removesuffix(" over the photo") for text in texts if " heatmap " in text]


def channel_maps(at: AppTest) -> list[int]:
    texts = [image.proto.imgs[0].alt for image in at.get("image")]
    return [int(text.split()[2]) for text in texts if text.startswith("Where channel ")]


def notices(at: AppTest) -> list[str]:
    return re.findall(r'role="note">(.*?)</p>', html(at))


def top_two() -> tuple[int, int]:
    first, second = load_tiny(BUNDLED).predict(PAIR.open(), top=2)
    return first.index, second.index


def picked(at: AppTest) -> tuple[int, int]:
    a, b = (next(entry for entry in at.selectbox if entry.label.startswith(side)) for side in ("A: ", "B: "))
    return int(a.value), int(b.value)


def test_first_sight_is_two_animals_and_what_tells_them_apart(open_classes: OpenClasses) -> None:
    at = open_classes()
    assert at.title[0].value == "Classes"
    assert box(at, "Sample photo").value == PAIR.key
    assert picked(at) == top_two()
    a, b = (LABELS[index] for index in top_two())
    assert f"Why <b>{a}</b>, and not {b}?" in html(at)
    assert maps(at) == [
        *(f"Grad-CAM heatmap {of}" for of in (f"for {a}", f"for {b}", f"of {a} less {b}")),
        *(f"Finer-CAM heatmap for {side}" for side in (a, b)),
        *(f"LIFT-CAM heatmap {of}" for of in (f"for {a}", f"for {b}", f"of {a} less {b}")),
    ], "the map of the difference is the difference of the maps here: once"
    assert at.query_params == {}, "the default view has the bare address"
    assert "Its map stands above, as the first less the second: Grad-CAM is linear in the score" in html(at)
    assert html(at).count(f"bright: speaks for {a}") + html(at).count(f"speaks for {a}</span>") == 3, "of each method"


def test_a_contrast_that_is_a_picture_of_its_own_is_shown(open_classes: OpenClasses) -> None:
    at = open_classes(methods=["Grad-CAM++"])
    a, b = (LABELS[index] for index in top_two())
    assert f"Grad-CAM++ heatmap of the contrast {a} − {b}" in maps(at)
    assert "Grad-CAM++ is not linear in the score" in html(at)


def test_on_real_animals_they_are_a_and_b_with_their_boxes(
    open_classes: OpenClasses, monkeypatch: pytest.MonkeyPatch
) -> None:
    clf = load_model(BUNDLED)
    monkeypatch.setattr(compute, "load_model", lambda *_, **__: clf)
    at = open_classes()
    labels = [clf.labels[index] for index in picked(at)]
    assert "German shepherd" in labels and set(labels) & {"tabby", "tiger cat", "Egyptian cat"}
    table = next(part for part in re.findall(r'<table class="cam-table">.*?</table>', html(at), flags=re.DOTALL))
    assert "on the German shepherd" in table and "of the picture" in table
    cells = re.findall(r"<td>(<b>)?(?:&lt; )?([\d.]+) %(?:</b>)?</td>", table)
    assert len(cells) == 2 * 8, "four parts of two methods, two animals"
    for first, second in zip(cells[::2], cells[1::2], strict=True):
        own, other = (float(share) for bold, share in sorted((first, second), reverse=True))
        assert {first[0], second[0]} == {"<b>", ""} and own > other, "more on its own animal"


def test_the_numbers_are_the_cores(open_classes: OpenClasses) -> None:
    at = open_classes(methods=["Grad-CAM"], **{"class-a": "3", "class-b": "1"})
    clf, photo = load_tiny(BUNDLED), PAIR.open()
    a, b = (explain(clf, photo, method="grad-cam", target=target) for target in (3, 1))
    expected = class_contrast(a, b)
    written = f"{expected.correlation:.2f}".replace("-", "−")
    assert f"Rank correlation of the two maps: {written}." in html(at)
    layer = clf.default_layer
    told = channel_contrast(
        *(channel_shap(clf, photo, layer=layer, target=t, budget=320) for t in (3, 1, Difference(3, 1)))
    )
    assert channel_maps(at) == [*told.favouring("a")[:4], *told.favouring("b")[:4]]
    for channel in channel_maps(at):
        assert f"<b>Channel {channel}</b>: {told.phi[channel]:+.3f}".replace("-", "−") in html(at)


def test_the_channels_are_exact_before_a_linear_layer_and_may_need_more_passes_elsewhere(
    open_classes: OpenClasses,
) -> None:
    assert any("Exact" in element.value for element in open_classes().markdown)
    at = open_classes(layer="features.1", **{"pair-budget": "4"})
    assert any("Not converged" in element.value for element in at.markdown)
    at.button(key="more-class-passes").click().run()
    assert "48 tail passes" in html(settle(at)), "16 for each of three estimates"
    assert at.query_params["pair-budget"] == "16"


def test_the_same_class_twice_is_refused_in_words(open_classes: OpenClasses) -> None:
    at = open_classes(**{"class-a": "2", "class-b": "2"})
    assert [entry.value for entry in at.info] == [
        f"A and B are the same class, {LABELS[2]}: choose two different ones."
    ]
    assert maps(at) == [] and not at.error
    next(entry for entry in at.selectbox if entry.label.startswith("B: ")).select("1").run()
    assert len(maps(settle(at))) == 8 and not at.info


def test_swapped_they_change_places_and_the_link_says_so(open_classes: OpenClasses) -> None:
    at = open_classes()
    a, b = picked(at)
    at.button(key="swap-classes").click().run()
    settle(at)
    assert picked(at) == (b, a) and at.query_params == {"class-a": str(b)}, "B is what it would be anyway"
    assert picked(open_classes(**{"class-a": str(b), "class-b": str(a)})) == (b, a)
    assert f"Why <b>{LABELS[b]}</b>, and not {LABELS[a]}?" in html(at)


def to_classes(at: AppTest) -> AppTest:
    return settle(at.switch_page("pages/classes/page.py").run())


def test_a_follows_the_other_pages_class_until_it_is_chosen_here(open_app: Open) -> None:
    at = open_app(sample=PAIR.key)
    a, b = top_two()
    other = next(index for index in range(len(LABELS)) if index not in (a, b))
    box(at, "Class to explain").select(str(other)).run()
    assert picked(to_classes(at)) == (other, a), "B is the most probable other one"
    assert at.query_params == {"sample": PAIR.key, "class": str(other)} or at.query_params == {"class": str(other)}
    next(entry for entry in at.selectbox if entry.label.startswith("A: ")).select(str(b)).run()
    at.switch_page("pages/compare/page.py").run()
    assert box(at, "Class to explain").value == str(other)
    box(settle(at), "Class to explain").select(str(a)).run()
    assert picked(to_classes(at))[0] == b


def test_the_sidebar_asks_for_no_class_and_no_target_where_a_and_b_do(open_app: Open) -> None:
    at = open_app(sample=PAIR.key, target="negative")
    assert box(at, "What to explain").value == "negative"
    to_classes(at)
    labels = [entry.label for entry in at.selectbox]
    assert "Class to explain" not in labels and "What to explain" not in labels
    assert "Classes to explain: A and B, on the page itself." in html(at)
    assert picked(at) == top_two(), "A is the class whose opposite was asked about"
    at.switch_page("pages/compare/page.py").run()
    assert box(settle(at), "What to explain").value == "negative", "what was asked elsewhere is asked again"


@pytest.mark.parametrize("chosen", ["dog", "koala"])
def test_a_photo_that_was_chosen_stays_also_where_it_is_a_default(open_app: Open, chosen: str) -> None:
    at = open_app()
    for name in ("koala", chosen):
        at.button(key=f"sample-{name}").click().run()
    box(settle(at), "Class to explain").select_index(1).run()
    box(at, "Class to explain").select_index(0).run()
    assert box(settle(at), "Sample photo").value == chosen
    index = int(box(at, "Class to explain").value)
    assert box(to_classes(at), "Sample photo").value == chosen and picked(at)[0] == index
    assert "two animals for two classes" not in html(at)
    at.switch_page("pages/compare/page.py").run()
    assert box(settle(at), "Sample photo").value == chosen


def test_a_photo_that_nobody_chose_may_be_another_here_and_that_is_said(open_app: Open) -> None:
    at = open_app()
    assert box(to_classes(at), "Sample photo").value == PAIR.key
    assert f"Shown: {PAIR.title}, two animals for two classes, until you choose a photo yourself." in html(at)
    at.button(key=f"sample-{PAIR.key}").click().run()
    assert "two animals for two classes" not in html(settle(at))
    at.switch_page("pages/compare/page.py").run()
    assert box(settle(at), "Sample photo").value == PAIR.key


def test_a_class_that_does_not_exist_is_said(open_classes: OpenClasses) -> None:
    at = open_classes(**{"class-b": "4711"})
    assert any("the class-b “4711”, which does not exist here" in entry.value for entry in at.info)
    assert picked(at) == top_two()


def test_a_method_that_ignores_the_class_is_named(open_classes: OpenClasses) -> None:
    at = open_classes(methods=["Eigen-CAM"])
    assert any("Eigen-CAM does not look at the class" in text for text in notices(at))
    assert "Eigen-CAM does not look at the class, and has no contrast." in html(at)
    a, b = (LABELS[index] for index in top_two())
    assert [text for text in maps(at) if text.startswith("Eigen")] == [
        *(f"Eigen-CAM heatmap {of}" for of in (f"for {a}", f"for {b}", f"of {a} less {b}"))
    ]


def test_a_map_of_zeros_is_drawn_with_its_reason(open_classes: OpenClasses, register: Register) -> None:
    register("zero", zero)

    def half(net: Any, image: Tensor, acts: Tensor, target: Tensor, run: Any) -> Tensor:
        return acts.mean(dim=1) * (target == top_two()[0]).view(-1, 1, 1)

    register("half", half)
    at = open_classes(methods=["zero", "half"])
    assert any("Both maps are the same everywhere" in text for text in notices(at))
    assert any(f"The map of {LABELS[top_two()[1]]} is 0 everywhere" in text for text in notices(at))
    assert html(at).count("Rank correlation") == 0, "a constant map ranks nothing"
    assert not at.error


def test_methods_that_must_agree_are_named(open_classes: OpenClasses) -> None:
    at = open_classes(methods=["Grad-CAM", "HiResCAM"])
    assert any("Grad-CAM and HiResCAM give the same map here, and must" in text for text in notices(at))


def test_a_failing_method_leaves_the_others(open_classes: OpenClasses, register: Register) -> None:
    register("broken", broken)
    at = open_classes(methods=["broken", "Grad-CAM"])
    assert "**broken has no map.**" in at.error[0].value
    assert len([text for text in maps(at) if text.startswith("Grad-CAM")]) == 3
    next(button for button in at.button if button.label == "Remove").click().run()
    assert not settle(at).error and at.multiselect(key="methods").value == ["Grad-CAM"]


def test_a_contrast_that_cannot_be_asked_for_leaves_the_two_maps(open_classes: OpenClasses, register: Register) -> None:
    def picky(net: Any, image: Tensor, acts: Tensor, target: Tensor, run: Any) -> Tensor:
        return broken(net, image, acts, target, run) if net.tail(acts).shape[1] == 1 else acts[:, int(target)]

    register("picky", picky)
    at = open_classes(methods=["Grad-CAM", "picky"])
    assert len([text for text in maps(at) if text.startswith("picky")]) == 3
    assert "**No map of the contrast.**" in at.error[0].value


def test_what_is_slow_does_not_keep_the_rest_waiting(open_classes: OpenClasses, register: Register, jobs: Jobs) -> None:
    register("endless", endless, expensive=True)
    at = open_classes(wait=False, methods=["Grad-CAM", "endless"])
    at.run()
    assert len([text for text in maps(at) if text.startswith("Grad-CAM")]) == 3
    assert len(at.get("progress")) == 1, "one bar for the three maps of a method"
    at.multiselect(key="methods").set_value(["Grad-CAM"]).run()
    assert not settle(at).get("progress")


def test_without_a_method_the_page_says_what_to_do(open_classes: OpenClasses) -> None:
    at = open_classes()
    at.multiselect(key="methods").set_value([]).run()
    assert any("Choose one or more methods" in entry.value for entry in settle(at).info)


def test_opacity_redraws_and_computes_nothing(open_classes: OpenClasses, monkeypatch: pytest.MonkeyPatch) -> None:
    at = open_classes(methods=["Grad-CAM"])
    before = [image.value for image in at.get("image")]
    monkeypatch.setattr("pages.runtime.compute.explain", lambda *a, **k: pytest.fail("computed again"))
    monkeypatch.setattr(channels, "channel_shap", lambda *a, **k: pytest.fail("computed again"))
    at.slider(key="opacity").set_value(0.9).run()
    after = [image.value for image in at.get("image")]
    count = len(maps(at))
    assert count == 5 and all(one != other for one, other in zip(before[:count], after[:count], strict=True))
    assert before[count:] == after[count:], "the channels' maps stay"


def test_the_table_of_channels_is_made_when_it_is_opened(open_classes: OpenClasses) -> None:
    at = open_classes(**{"class-a": "0", "class-b": "1"})
    assert not at.dataframe
    at.session_state["class-channel-table"] = True
    (table,) = settle(at.run()).dataframe
    assert list(table.value)[:3] == ["rank", "channel", "phi ant - bee"]
    assert table.value["channel"][0] in channel_maps(at)


def test_the_page_on_apples_gpu(open_classes: OpenClasses, apple: Ledger) -> None:
    at = open_classes()
    assert len(maps(at)) == 8 and channel_maps(at) and not at.error
    assert apple.ops


def test_a_network_of_digits_sets_digits_against_each_other(
    open_classes: OpenClasses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compute, "load_model", load_model)
    at = open_classes(model="lfi_digits", methods=["Grad-CAM"])
    assert box(at, "Sample photo").value == "digit-0"
    a, b = picked(at)
    assert a == 0 and b != 0 and f"Why <b>0</b>, and not {b}?" in html(at)
    assert len(maps(at)) == 5 and not at.error
    assert "Where the maps lie" in [entry.value for entry in at.header] and "on the 0<br>" in html(at)


def test_of_a_digit_its_own_shape_is_the_region(open_classes: OpenClasses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "load_model", lambda name, **_: load_tiny(name, weights="random"))
    at = open_classes(model="lfi_digits", sample="digit-3", methods=["Grad-CAM"])
    (shown,) = re.findall(r"on the 3<br><small>([\d.]+) % of the picture", html(at))
    mask, (height, width) = gallery_masks()["3"], SIZE
    left, top, right, bottom = load_tiny(BUNDLED).preprocessing.box((64, 64))
    inside = [
        mask[int(top + (i + 0.5) * (bottom - top) / height), int(left + (j + 0.5) * (right - left) / width)]
        for i in range(height)
        for j in range(width)
    ]
    assert float(shown) == pytest.approx(100 * np.mean(inside), abs=0.06)
