"""The Compare page: which tiles there are, what they say, and that one that fails leaves the others."""

from __future__ import annotations

import base64
import io
import re
import time
from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from cam_core import METHODS, Explanation, explain
from cam_core.analysis.costs import Pace
from cam_core.methods.registry import Family, Method
from cam_core.overlay import SEQUENTIAL, UNEVEN, colour_stops
from pages.runtime import compute, devices
from pages.runtime.jobs import Jobs
from pages.shared import links, style, tables
from tests.pages.app_runs import BUNDLED, LABELS, Open, heatmaps, html, settle
from tests.pages.odd_methods import adjustable, below_zero, broken, endless, surprised, zero
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
    read = html(open_app(methods=["Grad-CAM"]))
    assert re.search(r">\d+ ms · 1 pass</div>", read), "as the list of methods counts: beside the prediction"
    assert "with the pass that predicts: 1 pass up to the layer, 2 behind it." in read


def test_adding_a_method_adds_a_tile(open_app: Open) -> None:
    at = open_app()
    at.multiselect(key="methods").select("HiResCAM").run()
    settle(at)
    assert heatmaps(at) == ["Grad-CAM", "LIFT-CAM", "HiResCAM"]


def test_every_registered_method_is_offered(open_app: Open) -> None:
    at = open_app()
    families = get_args(Family)
    by_family = [method for family in families for method in METHODS.values() if method.family == family]
    works = [method.title for method in by_family if method.key != "lfi-cam"]
    assert at.multiselect(key="methods").options == works and len(works) == len(METHODS) - 1
    assert "Not at this layer" not in html(at), "it works at no other either"
    assert "Not with this network" not in html(at), "nobody has chosen it"
    assert "Not with this network:\n- **LFI-CAM**" in at.multiselect(key="methods").help


def test_a_chosen_method_that_the_network_does_not_allow_is_named_with_the_reason(open_app: Open) -> None:
    at = open_app(methods=["LFI-CAM", "Grad-CAM"])
    assert heatmaps(at) == ["Grad-CAM"]
    (why,) = re.findall("<summary>Not with this network: LFI-CAM</summary><ul><li><b>LFI-CAM</b>: (.*?)</li>", html(at))
    assert f"**LFI-CAM**: {why}" in at.multiselect(key="methods").help.replace("\\", "")


def test_a_map_below_zero_says_so_above_its_picture_and_which_view_shows_it(open_app: Open, register: Register) -> None:
    register("below", below_zero, signed=True)
    at = open_app(methods=["below"])
    notice, picture = "no position speaks for this class", "below heatmap "
    elements = [element for element in at.main if element.type in ("html", "image")]
    told = [element.value if element.type == "html" else element.proto.imgs[0].alt for element in elements]
    first = next(place for place, text in enumerate(told) if notice in text)
    assert first < next(place for place, text in enumerate(told) if text.startswith(picture))
    assert "All its values have the other sign. “Signed”, under Values, shows them." in told[first]
    at.segmented_control(key="values").set_value("Signed").run()
    assert "All its values have the other sign" not in html(settle(at))


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
    assert f"Agreement of the two: {numbers[1]}. 1: " in two, "over the maps, for the answer to be in sight"


def test_the_least_and_the_most_agreement_of_several_maps_stand_over_them(open_app: Open) -> None:
    text = html(open_app(methods=["Grad-CAM", "Random (control)", "LIFT-CAM"]))
    (matrix,) = re.findall('<table class="cam-matrix">.*</table>', text)
    titles = re.findall('<th scope="row">(.*?)</th>', matrix)
    values = re.findall(r"transparent\)\">(.*?)</td>", matrix)
    pairs = {(titles[i], titles[j]): values[3 * i + j] for i in range(3) for j in range(3) if i != j}
    low, one, other, high, nearest, next_to_it = re.findall(
        r"Agreement from (\S+) \((.+?) and (.+?)\) to (\S+) \((.+?) and (.+?)\)\. 1: ", text
    )[0]
    assert pairs[one, other] == low and pairs[nearest, next_to_it] == high
    numbers = [float(value.replace("−", "-")) for value in pairs.values()]
    assert [min(numbers), max(numbers)] == [float(value.replace("−", "-")) for value in (low, high)]


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
    alone: dict[str, bool] = {}

    def spy(*args: Any, method: str, compiled: bool, **kwargs: Any) -> Explanation:
        asked[method] = compiled
        (held,) = devices.turns("cpu").holdings  # one thread: one place
        alone[method] = held.turn.alone
        return explain(*args, method=method, **kwargs)

    monkeypatch.setattr(compute, "explain", spy)
    at = open_app(methods=["Grad-CAM", "adjustable"], seed="1")
    assert asked == {"grad-cam": False, "adjustable": False}
    at.toggle(key="compiled").set_value(True).run()
    settle(at)
    assert asked == alone == {"grad-cam": False, "adjustable": True}


def test_methods_without_parameters_show_no_parameter_box(open_app: Open) -> None:
    labels = [box.label for box in open_app(methods=["Grad-CAM"]).expander]
    assert labels == ["Take it with you: Python, settings, everything as a zip", "Computation"]


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
    assert box.value == "inferno"
    assert box.options == [*SEQUENTIAL, *UNEVEN], "but for those that have a reason against them, which come last"


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
    labels = [button.label for button in open_app().get("download_button")]
    assert labels == ["Save :small[Grad-CAM]", "Save :small[LIFT-CAM]"]


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


def opened(at: AppTest) -> AppTest:
    """The list of all methods is open."""
    at.session_state["all-methods"] = True
    return settle(at.run())


def boxes(at: AppTest) -> dict[str, Any]:
    """The boxes of the list by the method's key."""
    return {box.key.removeprefix("pick-methods-"): box for box in at.checkbox if box.key.startswith("pick-methods-")}


def test_the_list_of_methods_says_by_family_what_each_does_and_costs(open_app: Open) -> None:
    at = opened(open_app(methods=["Grad-CAM"]))
    titles = [text.value.split("**")[1] for text in at.markdown if text.value.startswith("**") and "\n" in text.value]
    assert titles == list(get_args(Family))
    entries = boxes(at)
    assert set(entries) == set(METHODS)
    layer = compute.classifier(compute.ModelSpec(BUNDLED)).layers[-1]
    assert re.fullmatch(r"Grad-CAM · 1 pass (< 0\.1 s|≈ [\d.]+ m?s)", entries["grad-cam"].label)
    assert entries["score-cam"].label.startswith(f"Score-CAM · {layer.channels} passes ")
    assert entries["cam"].label == "CAM · no pass of its own"
    texts = [caption.value for caption in at.caption]
    for method in METHODS.values():
        assert any(style.plain(method.plain) in text for text in texts), method.key
    assert any("[arXiv:1610.02391](https://arxiv.org/abs/1610.02391)" in text for text in texts)
    assert entries["lfi-cam"].disabled and any("**Not for this network:** " in text for text in texts)
    at.selectbox(key=links.widget_key("layer", BUNDLED)).select("features.1").run()
    settle(at)
    assert boxes(at)["cam"].disabled
    assert any(text.value.startswith("**Not for this layer:** The tail is not pooling") for text in at.caption)


def test_what_methods_cost_is_asked_when_somebody_looks_and_never_before(
    open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []
    monkeypatch.setattr("pages.shared.scene.pace_at", lambda *a: measured.append(a) or Pace(2.0, 1.0))
    at = open_app()
    assert not boxes(at) and not measured
    at = opened(at)
    assert len(measured) == 1
    assert boxes(at)["score-cam"].label == "Score-CAM · 8 passes ≈ 20 s", "8 × 3 s, to one digit"
    settle(at.run())
    assert len(measured) == 1


def test_a_box_of_the_list_chooses_a_method_and_drops_it(open_app: Open) -> None:
    at = opened(open_app())
    assert [key for key, box in boxes(at).items() if box.value] == ["grad-cam", "lift-cam"]
    boxes(at)["hires-cam"].check().run()
    settle(at)
    assert heatmaps(at) == at.multiselect(key="methods").value == ["Grad-CAM", "LIFT-CAM", "HiResCAM"]
    boxes(at)["grad-cam"].uncheck().run()
    settle(at)
    assert heatmaps(at) == at.multiselect(key="methods").value == ["LIFT-CAM", "HiResCAM"]


def test_all_quick_methods_are_chosen_at_once_and_none_that_is_slow(open_app: Open) -> None:
    at = opened(open_app())
    button = at.button(key="quick-methods")
    button.click().run()
    settle(at)
    chosen = at.multiselect(key="methods").value
    quick = {m.title for m in METHODS.values() if not m.expensive and not m.control and m.key != "lfi-cam"}
    assert set(chosen) == quick == set(heatmaps(at)) and f"{len(quick)} quick" in button.label
    assert at.multiselect(key="methods").proto.select_all == 0, "its own would take the slow ones as well"


def test_methods_that_must_coincide_are_said_to_and_others_are_not(open_app: Open) -> None:
    methods = ["Grad-CAM", "HiResCAM", "LayerCAM", "LIFT-CAM", "SHAP"]
    text = html(open_app(methods=methods))
    assert "Grad-CAM and HiResCAM give the same map here, and must." in text
    assert "LIFT-CAM and SHAP give the same map here, and must." in text
    assert text.count("give the same map here") == 2
    assert "give the same map" not in html(open_app(methods=methods, layer="features.1"))
    assert "give the same map" not in html(open_app(methods=["Grad-CAM", "LIFT-CAM"]))


def test_the_page_says_what_bright_means_and_for_which_class(open_app: Open) -> None:
    at = open_app(methods=["Grad-CAM", "Eigen-CAM"])
    label = at.get("image")[1].proto.imgs[0].alt.split(" heatmap for ")[1].split(" over")[0]
    keys = re.findall(r'class="cam-key">(.*?)</div>', html(at))
    assert len(keys) == 1 and f"bright: speaks for {label}" in keys[0] and "dark: does not count" in keys[0]
    assert "Eigen-CAM: the same for every class." in html(at)
    signed = html(open_app(methods=["Grad-CAM"], values="Signed"))
    (line,) = re.findall(r'class="cam-key">(.*?)</div>', signed)
    ends = re.findall(r'background: (#[0-9a-f]{6})"></i>(.*?)</span>', line)
    against, _, speaks = colour_stops("RdBu_r", 3)
    assert (ends[0], ends[2]) == ((speaks, f"speaks for {label}"), (against, f"speaks against {label}"))


def test_a_method_is_explained_in_plain_words_first_and_in_symbols_last(open_app: Open) -> None:
    at = open_app(methods=["Grad-CAM"])
    (said,) = [text.value for text in at.markdown if text.value.startswith(METHODS["grad-cam"].plain)]
    parts = said.split("\n\n")
    assert parts[0] == METHODS["grad-cam"].plain
    assert parts[3] == f"In symbols: `{METHODS['grad-cam'].formula}`"
    assert "[arXiv:1610.02391](https://arxiv.org/abs/1610.02391)" in parts[4]


def test_a_click_on_a_probable_class_explains_it(open_app: Open) -> None:
    at = open_app(methods=["Grad-CAM"])
    buttons = [button for button in at.button if button.key.startswith("class-")]
    assert len(buttons) == len(LABELS)
    assert buttons[0].label.startswith("**") and not any(button.label.startswith("**") for button in buttons[1:])
    name, index = re.sub(r" :small.*", "", buttons[1].label), buttons[1].key.removeprefix("class-")
    buttons[1].click().run()
    settle(at)
    assert at.get("image")[1].proto.imgs[0].alt == f"Grad-CAM heatmap for {name} over the photo"
    assert at.query_params["class"] == index
    box = next(box for box in at.selectbox if box.label == "Class to explain")
    assert box.value == index
    assert at.button(key=f"class-{index}").label.startswith(f"**{name}**")
    at.button(key=buttons[0].key).click().run()
    settle(at)
    assert "class" not in at.query_params, "the default has the bare address"


def test_opti_cam_says_how_many_steps_its_preset_takes(open_app: Open) -> None:
    at = open_app(methods=["Opti-CAM"])
    steps = at.number_input(key="opti-cam.steps")
    assert steps.value is None and steps.placeholder == "preset (100)"
    at.selectbox(key="opti-cam.preset").select("repo").run()
    assert at.number_input(key="opti-cam.steps").placeholder == "preset (50)"
    steps = open_app(methods=["Opti-CAM"], **{"opti-cam.steps": "3"})
    assert steps.number_input(key="opti-cam.steps").value == 3
    assert re.search(r"5 passes up to the layer", html(steps)), "3 steps, the last of them scored, and the prediction"


def test_a_trace_has_a_name_for_those_who_cannot_see_it(open_app: Open) -> None:
    at = open_app(methods=["Opti-CAM"], **{"opti-cam.steps": "3"})
    (chart,) = at.get("plotly_chart")
    assert re.fullmatch(r"Score of the masked photo, step by step: from \S+ to \S+ in 3 steps", chart.proto.alt)


def faint(net: Any, image: Any, acts: Any, target: Any, run: Any) -> Any:
    return acts[:, 0].abs() * 1e-6


def test_a_map_that_a_shared_scale_leaves_blank_says_so(open_app: Open, register: Register) -> None:
    register("faint", faint)
    pale = "Nearly blank on the shared scale"
    assert pale in html(open_app(methods=["faint", "Grad-CAM"], scale="Shared"))
    assert pale not in html(open_app(methods=["faint", "Grad-CAM"]))
    assert pale not in html(open_app(methods=["Grad-CAM"], scale="Shared"))


def test_percentiles_make_every_map_bright_somewhere(open_app: Open, register: Register) -> None:
    register("faint", faint)
    at = open_app(methods=["faint", "Grad-CAM"], scale="Percentile")
    assert colour_bars(at) == [("0 %", "100 %"), ("0 %", "100 %")]
    assert "Nearly blank" not in html(at)
    for image in at.get("image")[1:]:
        payload = image.proto.imgs[0].url.partition("base64,")[2]
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(payload))), dtype=float)
        assert pixels.max() - pixels.min() > 100
    signed = open_app(methods=["Grad-CAM"], scale="Percentile", values="Signed")
    assert colour_bars(signed) == [("−100 %", "100 %")]
    assert "the share of the picture that counts no more than such a place, below 0 against" in html(signed)
    assert "which have no unit" in html(open_app(methods=["Grad-CAM"]))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.004, "< 0.1 s"), (0.13, "0.1 s"), (1.4, "1 s"), (24.0, "20 s"), (290.0, "5 min"), (9000.0, "2 h")],
)
def test_estimates_have_one_digit(seconds: float, text: str) -> None:
    assert style.about(seconds) == text


def test_a_paper_is_a_link_where_it_has_an_identifier() -> None:
    assert style.cited("A 2020, arXiv:1.2, eq. 5") == "A 2020, [arXiv:1.2](https://arxiv.org/abs/1.2), eq. 5"
    assert style.cited("B, doi:10.1/x.5, p. 1; C") == "B, [doi:10.1/x.5](https://doi.org/10.1/x.5), p. 1; C"
    assert style.cited("control") == "control"
