"""The page's address: Back shows what it says, a link says what it cannot carry, and every page adds what it has."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from streamlit.runtime.scriptrunner import RerunData
from streamlit.testing.v1 import AppTest

from pages.shared import links
from tests.pages.app_runs import LABELS, Open, box, encoded, heatmaps, html, noise, settle, upload

CHANNELS = 8  # of the tiny network's last layer
Back = Callable[..., AppTest]


@pytest.fixture
def back(monkeypatch: pytest.MonkeyPatch) -> Back:
    """`back(at, sample="panda")`: what a browser's Back does where the entry before has this address."""

    def back(at: AppTest, **link: str | list[str]) -> AppTest:
        at.query_params.clear()
        at.query_params.update(link)
        with monkeypatch.context() as patch:
            runner = "streamlit.testing.v1.local_script_runner.RerunData"
            patch.setattr(runner, partial(RerunData, is_history_navigation=True))
            at.run()
        return settle(at)

    return back


def link_of(at: AppTest) -> dict[str, str | list[str]]:
    return dict(at.query_params)


def test_back_shows_the_photo_layer_and_class_of_the_address(open_app: Open, back: Back) -> None:
    at = open_app(sample="panda")
    box(at, "Layer").select("features.1").run()
    box(settle(at), "Class to explain").select_index(len(LABELS) - 1).run()
    there = link_of(settle(at))
    back(at, sample="panda", layer="features.1")
    assert box(at, "Layer").value == "features.1"
    assert box(at, "Class to explain").value != there["class"]
    back(at)
    assert box(at, "Sample photo").value == "dog" and "Dog. Photo" in html(at)
    assert box(at, "Layer").value != "features.1"
    assert link_of(at) == {}
    back(at, **there)
    assert link_of(at) == there
    assert box(at, "Class to explain").value == there["class"], "Forward"


def test_back_shows_the_methods_and_the_look_of_the_address(open_app: Open, back: Back) -> None:
    at = open_app()
    at.multiselect(key="methods").set_value(["CAM", "Random (control)"]).run()
    at.slider(key="opacity").set_value(0.8).run()
    settle(at)
    back(at, methods=["CAM"])
    assert heatmaps(at) == ["CAM"] and at.slider(key="opacity").value == 0.5
    back(at)
    assert heatmaps(at) == ["Grad-CAM", "LIFT-CAM"]
    back(at, methods=["CAM", "Random (control)"], opacity="0.8")
    assert heatmaps(at) == ["CAM", "Random (control)"] and at.slider(key="opacity").value == 0.8


def test_an_unknown_option_of_the_address_is_said_after_back_too(open_app: Open, back: Back) -> None:
    at = back(open_app(sample="panda"), sample="unicorn")
    assert "“unicorn”" in at.info[0].value and box(at, "Sample photo").value == "dog"


def _late() -> None:
    import streamlit as st

    from pages.shared import links

    links.follow(st.session_state.get("page", ""))
    if not st.session_state.get("waits"):
        links.choice("late", "Late", {"a": "a", "b": "b", "c": "c"}, default="a")


def test_a_choice_that_can_only_be_drawn_later_follows_the_address_then(back: Back) -> None:
    at = AppTest.from_function(_late).run()
    at.selectbox[0].select("b").run()
    at.session_state["waits"] = True
    back(at, late="c")
    assert not at.selectbox
    at.session_state["waits"] = False
    assert at.run().selectbox[0].value == "c"
    at.selectbox[0].select("b").run()
    at.session_state["waits"] = True
    back(at, late="c")
    at.session_state["page"], at.session_state["waits"] = "another", False
    assert at.run().selectbox[0].value == "b", "another page is another address"


def test_the_address_names_an_upload_and_back_finds_it(open_app: Open, back: Back) -> None:
    at = upload(open_app(sample="panda"), encoded(noise()))
    assert link_of(at) == {"upload": "mine.png"}
    back(at, sample="panda")
    assert "Giant panda" in html(at) and link_of(at) == {"sample": "panda"}
    back(at, upload="mine.png")
    assert "mine.png is shown until you choose another" in html(at)
    assert link_of(at) == {"upload": "mine.png"} and not at.info


def test_a_link_to_an_upload_says_what_it_cannot_carry_and_opens_the_view_when_it_is_there(open_app: Open) -> None:
    first = upload(open_app(), encoded(noise()))
    last = box(first, "Class to explain").options[-1].split(" · ")[0]
    box(first, "Class to explain").select_index(len(LABELS) - 1).run()
    link = link_of(settle(first))
    assert link == {"upload": "mine.png", "class": str(LABELS.index(last))}
    at = open_app(**link)
    (said,) = at.info
    assert "uploaded photo, which stays with its visitor: mine.png. A sample photo is shown instead" in said.value
    assert "Dog. Photo" in html(at) and "upload" not in link_of(at)
    upload(at, encoded(noise()))
    assert link_of(at) == link, "the same again"


def test_what_the_pages_show_stands_in_the_address(open_app: Open) -> None:
    at = open_app(page="pages/deletion/page.py", methods=["Grad-CAM"], **{"slow-metrics": "true", "changed": "35"})
    assert at.toggle(key="slow-metrics").value and at.slider(key="changed").value == 35
    at = open_app(page="pages/channels/page.py", **{f"removed-{CHANNELS}": "1"})
    assert next(slider for slider in at.slider if slider.label == "Channels removed").value == 1


def test_every_page_copies_its_address(open_app: Open) -> None:
    pages = ("classes", "channels", "lfi", "figure")
    for page in ("", *(f"pages/{name}/page.py" for name in pages)):
        assert "Copy link" in html(open_app(page=page))
    assert "${" not in links._script() and "{{" not in links._script(), "nothing is put into the script"


def test_a_page_without_a_scene_leaves_the_choices_as_they_are(open_app: Open) -> None:
    at = open_app(sample="panda", layer="features.1", seed="7", weights="random", **{"weights-seed": "3"})
    settle(at.switch_page("pages/lfi/page.py").run())
    assert not [
        entry for entry in at.selectbox if entry.label in ("Model", "Layer", "Class to explain", "Sample photo")
    ]
    settle(at.switch_page("pages/compare/page.py").run())
    assert (box(at, "Sample photo").value, box(at, "Layer").value) == ("panda", "features.1")
    assert (at.number_input(key="seed").value, at.number_input(key="weights-seed").value) == (7, 3)
    assert at.query_params["sample"] == "panda" and at.query_params["seed"] == "7"


def test_the_log_is_silent_where_a_button_sets_what_stands_in_the_address(
    open_app: Open, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamlit.elements.lib.policies._shown_default_value_warning", False)
    at = open_app(page="pages/channels/page.py", estimator="permutation", budget="4")
    at.button(key="more-passes").click().run()
    settle(at)
    assert at.number_input(key="budget").value > 4
    assert not [record for record in caplog.records if "ScriptRunContext" not in record.getMessage()]
