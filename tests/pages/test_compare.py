"""The Compare page: which tiles there are, what they say, and that one that fails leaves the others."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from cam_core import METHODS, Explanation, explain
from cam_core.methods.registry import Method
from pages.runtime import compute
from pages.runtime.jobs import Jobs
from pages.shared import style, tables
from tests.pages.app_runs import Open, heatmaps, html, settle
from tests.pages.odd_methods import adjustable, broken, endless, surprised, zero
from tests.pretend.device import Ledger

Register = Callable[..., Method]


def notices(at: AppTest) -> list[str]:
    return re.findall(r'role="note">(.*?)</p>', html(at))


def colour_bars(at: AppTest) -> list[tuple[str, str]]:
    return re.findall(r'aria-label="Colour bar from (.*?) to (.*?)"', html(at))


def test_first_sight_shows_the_photo_and_two_heatmaps(open_app: Open) -> None:
    at = open_app()
    assert at.title[0].value == "Compare"
    assert heatmaps(at) == ["Grad-CAM", "LIFT-CAM"]
    assert len(colour_bars(at)) == 2
    assert "with the frame that the network sees" in at.get("image")[0].proto.imgs[0].alt
    assert "Computing on CPU" in html(at) and "no GPU was found" in html(at)
    assert "Photo: Hans Kemperman" in html(at)
    assert at.query_params == {}, "the default view has the bare address"


def test_the_page_on_apples_gpu(open_app: Open, apple: Ledger) -> None:
    titles = ["Grad-CAM", "LIFT-CAM", "Score-CAM", "Eigen-CAM"]
    at = open_app(methods=titles)
    assert "Computing on Apple GPU" in html(at)
    assert heatmaps(at) == titles
    assert not at.error
    assert "unique ran on the CPU" in html(at) and "eigh ran on the CPU" in html(at)
    assert apple.ops


def test_facts_tell_time_and_passes(open_app: Open) -> None:
    assert re.search(r"\d+ ms · 1 head, 2 tail passes", html(open_app(methods=["Grad-CAM"])))


def test_adding_a_method_adds_a_tile(open_app: Open) -> None:
    at = open_app()
    at.multiselect(key="methods").select("HiResCAM").run()
    settle(at)
    assert heatmaps(at) == ["Grad-CAM", "LIFT-CAM", "HiResCAM"]


def test_every_registered_method_is_offered(open_app: Open) -> None:
    at = open_app()
    works = [method.title for method in METHODS.values() if method.key != "lfi-cam"]
    assert at.multiselect(key="methods").options == works
    assert not any("Not at this layer" in caption.value for caption in at.caption), "it works at no other either"
    assert "Not with this network:\n- **LFI-CAM**" in at.multiselect(key="methods").help


def test_no_method_says_what_to_do(open_app: Open) -> None:
    at = open_app()
    at.multiselect(key="methods").set_value([]).run()
    assert "Choose one or more methods" in at.info[0].value
    assert heatmaps(at) == []


def test_agreement_needs_two_maps(open_app: Open) -> None:
    assert 'class="cam-matrix"' not in html(open_app(methods=["Grad-CAM"]))
    two = html(open_app(methods=["Grad-CAM", "LIFT-CAM"]))
    numbers = re.findall(r"%, transparent\)\">(.*?)</td>", two)
    assert len(numbers) == 4 and numbers[0] == numbers[3] == "1.00" and numbers[1] == numbers[2]


def test_a_failing_tile_says_why_and_leaves_the_others(open_app: Open, register: Register) -> None:
    register("broken", broken)
    at = open_app(methods=["broken", "Grad-CAM"])
    assert heatmaps(at) == ["Grad-CAM"]
    assert len(at.error) == 1
    assert r"The \*tail\* has no \[0\] to divide by" in at.error[0].value, "nothing of the message is Markdown"
    assert at.button(key="tile-broken-action-0").label == "Try again"


def test_a_failing_method_can_be_removed(open_app: Open, register: Register) -> None:
    register("broken", broken)
    at = open_app(methods=["broken", "Grad-CAM"])
    at.button(key="tile-broken-action-1").click().run()
    settle(at)
    assert at.multiselect(key="methods").value == ["Grad-CAM"]
    assert heatmaps(at) == ["Grad-CAM"] and not at.error


def test_try_again_runs_the_method_again(open_app: Open, register: Register) -> None:
    calls = []

    def once(net: Any, image: Any, acts: Any, target: Any, run: Any) -> Any:
        calls.append(1)
        return broken(net, image, acts, target, run) if len(calls) == 1 else acts[:, 0]

    register("flaky", once)
    at = open_app(methods=["flaky"])
    assert heatmaps(at) == []
    at.run()
    assert len(calls) == 1, "a rerun alone does not try again"
    at.button(key="tile-flaky-action-0").click().run()
    settle(at)
    assert heatmaps(at) == ["flaky"] and not at.error


def test_an_unforeseen_error_shows_no_traceback(open_app: Open, register: Register) -> None:
    register("surprised", surprised)
    at = open_app(methods=["surprised", "Grad-CAM"])
    assert heatmaps(at) == ["Grad-CAM"]
    assert "nobody foresaw" not in at.error[0].value and "Traceback" not in at.error[0].value


def test_a_zero_map_is_drawn_with_its_reason(open_app: Open, register: Register) -> None:
    register("zero", zero)
    at = open_app(methods=["zero", "Grad-CAM"])
    assert heatmaps(at) == ["zero", "Grad-CAM"]
    assert any("constant" in text for text in notices(at))
    assert ("0", "0") in colour_bars(at)
    assert "<td>–</td>" in html(at), "a constant map agrees with nothing"


def test_an_improbable_class_is_noted(open_app: Open) -> None:
    at = open_app(methods=["Grad-CAM"])
    classes = next(box for box in at.selectbox if box.label == "Class to explain")
    classes.select_index(len(classes.options) - 1).run()
    settle(at)
    probability = float(classes.options[-1].rsplit("· ", 1)[1].rstrip(" %").lstrip("< ")) / 100
    assert any("probability" in text for text in notices(at)) == (probability < 0.01)


def test_widgets_come_from_the_declared_parameters(open_app: Open, register: Register) -> None:
    register("adjustable", adjustable)
    at = open_app(methods=["adjustable"])
    steps, rate = at.number_input(key="adjustable.steps"), at.number_input(key="adjustable.rate")
    assert (steps.value, steps.min, steps.max, steps.step) == (5, 1, 9, 1)
    assert (rate.value, rate.min, rate.max) == (0.25, 0.0, 1.0)
    assert at.toggle(key="adjustable.centred").value is False
    assert at.selectbox(key="adjustable.score").options == ["logit", "probability"]
    assert steps.help == "how many steps"


def test_parameters_reach_the_method_and_the_link(open_app: Open, register: Register) -> None:
    register("adjustable", adjustable)
    at = open_app(methods=["adjustable"])
    before = colour_bars(at)[0]
    at.number_input(key="adjustable.steps").set_value(7)
    at.toggle(key="adjustable.centred").set_value(True)
    at.selectbox(key="adjustable.score").set_value("probability").run()
    settle(at)
    assert float(colour_bars(at)[0][1]) == pytest.approx(float(before[1]) * (7.25 + 110) / 5.25, rel=0.02)
    link = {"adjustable.steps": "7", "adjustable.centred": "true", "adjustable.score": "probability"}
    assert colour_bars(open_app(methods=["adjustable"], **link)) == colour_bars(at)


def test_only_slow_methods_are_compiled_and_only_on_request(
    open_app: Open, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    register("adjustable", adjustable, expensive=True)
    asked: dict[str, bool] = {}

    def spy(*args: Any, method: str, compiled: bool, **kwargs: Any) -> Explanation:
        asked[method] = compiled
        return explain(*args, method=method, **kwargs)

    monkeypatch.setattr(compute, "explain", spy)
    at = open_app(methods=["Grad-CAM", "adjustable"], seed="1")
    assert asked == {"grad-cam": False, "adjustable": False}
    at.toggle(key="compiled").set_value(True).run()
    settle(at)
    assert asked == {"grad-cam": False, "adjustable": True}


def test_methods_without_parameters_show_no_parameter_box(open_app: Open) -> None:
    labels = [box.label for box in open_app(methods=["Grad-CAM"]).expander]
    assert labels == ["Computation"]


def test_signed_values_are_centred_at_zero(open_app: Open) -> None:
    at = open_app(methods=["Grad-CAM", "Random (control)"], values="Signed")
    signed, unsigned = colour_bars(at)
    assert signed[0] == f"−{signed[1]}"
    assert not unsigned[0].startswith("−"), "a method without signs keeps its scale"
    assert next(box for box in at.selectbox if box.label == "Colours").value == "RdBu_r"


def test_shared_scale_is_one_range_for_all(open_app: Open) -> None:
    own = colour_bars(open_app(methods=["Grad-CAM", "LIFT-CAM"]))
    shared = colour_bars(open_app(methods=["Grad-CAM", "LIFT-CAM"], scale="Shared"))
    assert own[0] != own[1]
    assert shared[0] == shared[1]


def test_colour_maps_are_perceptually_uniform(open_app: Open) -> None:
    box = next(box for box in open_app().selectbox if box.label == "Colours")
    assert "jet" not in box.options and box.value == "inferno"


def test_opacity_redraws_and_computes_nothing(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    at = open_app()
    before = [image.value for image in at.get("image")]
    monkeypatch.setattr("pages.runtime.compute.explain", lambda *a, **k: pytest.fail("computed again"))
    at.slider(key="opacity").set_value(0.9).run()
    after = [image.value for image in at.get("image")]
    assert before[0] == after[0] and before[1] != after[1] and before[2] != after[2]


def test_a_long_job_runs_in_the_background_and_can_be_cancelled(open_app: Open, register: Register, jobs: Jobs) -> None:
    register("endless", endless, expensive=True)
    at = open_app(wait=False, methods=["endless", "Grad-CAM"])
    at.run()
    assert heatmaps(at) == ["Grad-CAM"], "what is quick does not wait for what is slow"
    assert len(at.get("progress")) == 1
    next(button for button in at.button if button.label == "Cancel").click().run()
    settle(at)
    assert "Cancelled" in html(at) and heatmaps(at) == ["Grad-CAM"]
    at.button(key="again-tile-endless").click().run()
    assert len(at.get("progress")) == 1


def test_a_job_that_nobody_waits_for_is_stopped(open_app: Open, register: Register, jobs: Jobs) -> None:
    register("endless", endless, expensive=True)
    at = open_app(wait=False, methods=["endless", "Grad-CAM"])
    job = next(job for job in jobs._jobs.values() if job.title == "endless")
    until = time.monotonic() + 10
    while job.state == "waiting" and time.monotonic() < until:
        time.sleep(0.01)
    at.multiselect(key="methods").set_value(["Grad-CAM"]).run()
    assert job.state == "cancelled" and job.wait(10)


def test_a_trace_is_drawn_under_its_tile(open_app: Open, register: Register) -> None:
    from cam_core.methods.registry import Result

    def traced(net: Any, image: Any, acts: Any, target: Any, run: Any) -> Result:
        return Result(map=acts[:, 0], extras={"trace": [acts[0, 0, 0].cpu().numpy()]})

    register("traced", traced)
    assert len(open_app(methods=["traced"]).get("plotly_chart")) == 1
    assert not open_app(methods=["Grad-CAM"]).get("plotly_chart")


def test_the_picture_can_be_saved(open_app: Open) -> None:
    assert [button.label for button in open_app().get("download_button")] == ["Save", "Save"]


@pytest.mark.parametrize(
    ("value", "largest", "text"),
    [
        (0.00274, 0.738, "0.003"),
        (33.61, 33.61, "33.6"),
        (-2.0, 2.0, "−2.00"),
        (1234.5, 1234.5, "1234"),
        (3.2e-9, 3.2e-9, "3.20\u00a0×\u00a010⁻⁹"),
        (0.0, 0.0, "0"),
    ],
)
def test_numbers_show_three_digits_of_the_largest(value: float, largest: float, text: str) -> None:
    assert style.number(value, largest) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0412, "41 ms"), (3.21, "3.2 s"), (59.94, "59.9 s"), (125, "2 min 5 s")]
)
def test_durations(seconds: float, text: str) -> None:
    assert style.duration(seconds) == text


@pytest.mark.parametrize(("share", "text"), [(0.9732, "97.3 %"), (0.0001, "< 0.1 %"), (0.0, "0.0 %")])
def test_percentages(share: float, text: str) -> None:
    assert style.percent(share) == text


def test_text_from_elsewhere_is_escaped() -> None:
    assert "<script>" not in style.quiet("<script>") + style.notice_line("<script>") + style.name_line("<script>")
    assert "<b>x</b>" not in tables.matrix(["<b>x</b>"], [[1.0]])
