"""The Channels page: what it opens on, what a choice of channel changes, and what stays when something is stopped."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from cam_core import load_model
from cam_core.analysis.channels import channel_report, largest
from cam_core.analysis.removal import RemovalReport
from cam_core.images import SAMPLES, sample
from cam_core.models.tails import nonlinear_layer
from cam_core.palette import REFERENCE
from cam_core.shapley import BUDGET, ChannelEstimate, channel_shap, stream_channel_shap
from pages.channels import estimate, removal
from pages.runtime.jobs import Jobs
from pages.shared import scene
from tests.pages.app_runs import BUNDLED, PATIENCE, Open, html, load_tiny, settle, similarity
from tests.pretend.device import Ledger

OpenChannels = Callable[..., AppTest]


@pytest.fixture
def open_channels(open_app: Open) -> OpenChannels:
    """The page as a link with these parameters opens it."""

    def open_channels(wait: bool = True, **link: str | list[str]) -> AppTest:
        return open_app(wait, "pages/channels/page.py", **{"budget": "64"} | link)  # with more, 8 channels are exact

    return open_channels


def charts(at: AppTest) -> list[str]:
    """What the charts say to those who cannot see them."""
    return [chart.proto.alt for chart in at.get("plotly_chart")]


def badges(at: AppTest) -> str:
    return " ".join(element.value for element in at.markdown)


def channel_box(at: AppTest) -> Any:
    return next(box for box in at.selectbox if box.label == "Channel")


def maps(at: AppTest) -> list[str]:
    return [image.proto.imgs[0].alt for image in at.get("image") if " heatmap " in image.proto.imgs[0].alt]


def reference(layer: str = "features.2", budget: int = 64) -> ChannelEstimate:
    return channel_shap(load_tiny("efficientnet_lite0"), SAMPLES[0].open(), layer=layer, budget=budget)


def carrying(found: ChannelEstimate) -> int:
    """The channel that speaks for the class most."""
    return int(found.phi.argmax())


def test_a_budget_that_is_not_needed_is_not_called_spent(open_app: Open, open_channels: OpenChannels) -> None:
    passes = reference(budget=BUDGET).passes
    assert passes < BUDGET
    read = html(open_app(page="pages/channels/page.py"))
    assert f"{passes} tail passes of a budget of {BUDGET}: more are not needed" in read
    assert "each with its φ in logits" in read


def test_first_sight_is_a_layer_with_a_nonlinear_tail(open_app: Open) -> None:
    at = open_app(page="pages/channels/page.py")
    assert at.title[0].value == "Channels"
    assert "Which of the 8 channels of features.2 carry" in html(at)
    assert "Earlier than on other pages: behind features the network only averages and adds." in html(at)
    assert len(charts(at)) == 3, charts(at)
    assert "Exact" in badges(at) and "Not converged" not in badges(at)
    assert at.multiselect(key="beside").value == ["LIFT-CAM", "Grad-CAM"]
    assert at.number_input(key="budget").value == BUDGET
    found = reference(budget=BUDGET)
    top = carrying(found)
    assert channel_box(at).value == str(top), "the page asks what carries the class, not what speaks against it"
    assert maps(at) == [f"Channel {top} heatmap of its activation over the photo"]
    assert at.query_params == {}, "the default view has the bare address"


def test_the_page_on_apples_gpu(open_channels: OpenChannels, apple: Ledger) -> None:
    at = open_channels()
    assert len(charts(at)) == 4 and not at.error
    assert channel_box(at).value == str(carrying(reference()))
    slider = next(one for one in at.slider if one.label == "Channels removed")
    slider.set_value(slider.max).run()
    assert "predicted" in html(settle(at))
    assert apple.ops


def test_numbers_are_those_of_the_core(open_channels: OpenChannels) -> None:
    text, found = html(open_channels()).replace("−", "-"), reference()
    assert f"<dt>score (logit)</dt><dd>{found.v_all:.2f}</dd>" in text
    left = found.v_all - found.v_empty - float(found.phi.sum())
    meant = ": explained too much" if left <= -0.005 else ": still to explain" if left >= 0.005 else ""
    assert re.search(rf"<dd>{left:z.2f} \([^)]*\){meant}</dd>", text), "as the last step of the waterfall"
    assert f"<dt>silent (dead) channels</dt><dd>{found.dead} of 8</dd>" in text
    assert f"{found.passes} tail passes" in text


def test_the_badge_follows_the_rule(open_channels: OpenChannels) -> None:
    for budget in ("4", "64"):
        at = open_channels(budget=budget)
        converged = reference(budget=int(budget)).converged
        assert ("Not converged" in badges(at)) == (not converged)
    assert "(the relative standard error, ‖stderr‖ ∕ ‖φ‖) is below 10%" in html(at)


def test_more_passes_are_one_click_away(open_channels: OpenChannels) -> None:
    at = open_channels(budget="4")
    assert "standard errors are unknown" in html(at)
    at.button(key="more-passes").click().run()
    settle(at)
    assert at.number_input(key="budget").value == 16
    assert "16 tail passes" in html(at)


def test_a_linear_tail_is_said_to_be_exact(open_channels: OpenChannels) -> None:
    at = open_channels(layer="features", estimator="permutation")
    assert "Exact" in badges(at) and "onverged" not in badges(at)
    assert "These values are exact and their error bars are zero: behind features there is only pooling" in html(at)
    assert not [alt for alt in charts(at) if alt.startswith("Convergence")]
    assert similarity(at)["LIFT-CAM"][0] == "<b>1.000</b>"


def test_few_channels_are_enumerated_where_the_budget_allows(open_channels: OpenChannels) -> None:
    assert "every coalition of its few live channels was tried" in html(open_channels(budget="1000"))


def test_choosing_a_channel_shows_its_map_and_the_link_says_so(open_channels: OpenChannels) -> None:
    at = open_channels()
    order = largest(reference().phi, 8)
    before = at.get("image")[0].proto.imgs[0].url
    channel_box(at).set_value(str(order[3])).run()
    assert maps(at) == [f"Channel {order[3]} heatmap of its activation over the photo"]
    assert at.get("image")[0].proto.imgs[0].url != before
    assert f"<span>{REFERENCE}</span><span>4</span>" in html(at)
    assert at.query_params["channel"] == str(order[3])
    assert maps(open_channels(channel=str(order[5]))) == [
        f"Channel {order[5]} heatmap of its activation over the photo"
    ]


def test_similarity_is_read_in_two_ways(open_channels: OpenChannels) -> None:
    plain, times_mean = (
        similarity(open_channels(layer="features", reading=reading)) for reading in ("α", "α · mean A")
    )
    assert plain != times_mean
    assert "<i>the most to expect</i>" in similarity(open_channels())


def test_the_closest_method_comes_first_and_is_bold_with_its_like(
    open_channels: OpenChannels,
) -> None:
    cells = similarity(open_channels(beside=["Grad-CAM", "LIFT-CAM", "Ablation-CAM"]))
    *methods, ceiling = cells
    cosines = [float(re.sub("<.*?>", "", cells[method][0]).replace("−", "-")) for method in methods]
    assert cosines == sorted(cosines, reverse=True) and ceiling == "<i>the most to expect</i>"
    best = [] if len(set(cosines)) == 1 else [cells[methods[0]][0]] * cosines.count(cosines[0])
    assert [cell for row in cells.values() for cell in row if cell.startswith("<b>")] == best


def test_no_method_beside_leaves_the_bars(open_channels: OpenChannels) -> None:
    at = open_channels()
    at.multiselect(key="beside").set_value([]).run()
    settle(at)
    assert len(charts(at)) == 4 and "Choose methods above" in html(at)


def test_methods_without_coefficients_are_named_not_offered(open_channels: OpenChannels) -> None:
    box = open_channels().multiselect(key="beside")
    assert "LayerCAM" in box.help and "LayerCAM" not in box.options


def test_a_failing_method_leaves_the_others(open_channels: OpenChannels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene, "_unfit", lambda *of: {})  # CAM is not known to be out of place here
    at = open_channels(beside=["CAM", "LIFT-CAM"])
    assert len(at.error) == 1 and "stands in the way" in at.error[0].value
    assert "LIFT-CAM" in similarity(at) and len(charts(at)) == 4
    at.button(key="cam-action-1").click().run()
    settle(at)
    assert at.multiselect(key="beside").value == ["LIFT-CAM"] and not at.error


@pytest.fixture
def slow_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first estimate comes at once, the others never."""

    def stream(*arguments: Any, progress: Any, **options: Any) -> Iterator[ChannelEstimate]:
        yield next(iter(stream_channel_shap(*arguments, progress=progress, **options)))
        while True:
            progress(32, 64)
            time.sleep(0.01)

    monkeypatch.setattr(estimate, "stream_channel_shap", stream)


@pytest.mark.usefixtures("slow_stream")
def test_the_estimate_grows_and_a_cancel_keeps_what_there_is(open_channels: OpenChannels, jobs: Jobs) -> None:
    at = open_channels(wait=False, budget="200")
    until = time.monotonic() + PATIENCE
    while not charts(at) and time.monotonic() < until:
        at.run()
    assert len(at.get("progress")) == 1 and "passes:" in html(at), "bars while it is computed"
    next(button for button in at.button if button.label == "Cancel").click().run()
    settle(at)
    assert "Cancelled. What was estimated by then stays." in html(at)
    assert len(charts(at)) == 4 and len(maps(at)) == 1
    at.button(key="again-channels").click().run()
    assert len(at.get("progress")) == 1, "it goes on"


def test_an_error_of_the_estimate_is_answered(open_channels: OpenChannels, monkeypatch: pytest.MonkeyPatch) -> None:
    from cam_core.types import DeviceError

    def fail(*arguments: Any, **options: Any) -> Iterator[ChannelEstimate]:
        raise DeviceError("out of memory even for one image: choose a later layer")
        yield

    monkeypatch.setattr(estimate, "stream_channel_shap", fail)
    at = open_channels()
    assert "out of memory even for one image" in at.error[0].value.lower()
    monkeypatch.undo()
    assert at.button(key="channels-action-0").label == "Try again"


def test_removing_nothing_is_the_logit_itself(open_channels: OpenChannels) -> None:
    at = open_channels(layer="features")
    slider = next(one for one in at.slider if one.label == "Channels removed")
    slider.set_value(0).run()
    found = re.search(r"Without 0 channels: logit <b>(.*?)</b>, predicted <b>(.*?)</b>", html(at))
    assert found is not None and found[1] == found[2]
    slider = next(one for one in at.slider if one.label == "Channels removed")
    slider.set_value(slider.max).run()
    found = re.search(r"logit <b>(.*?)</b>, predicted <b>(.*?)</b>", html(at))
    assert found is not None and found[1] == found[2], "exact values predict a linear tail"


def test_table_and_figures_can_be_saved(open_channels: OpenChannels) -> None:
    assert [button.label for button in open_channels().get("download_button")] == ["CSV", "PDF", "SVG", "PNG"]


def test_a_click_on_a_bar_chooses_its_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chart's event, as Streamlit hands it over."""

    from pages.channels import board

    event = SimpleNamespace(selection=SimpleNamespace(points=[{"point_index": 2}]))
    state = {"bars": event}
    monkeypatch.setattr(board.st, "session_state", state)
    board._choose("channel|x", [7, 3, 9])
    assert state["channel|x"] == "9"
    event.selection.points = []
    board._choose("channel|x", [1, 2, 3])
    assert state["channel|x"] == "9", "a click beside the bars changes nothing"


def test_a_selected_row_chooses_its_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    from pages.channels import board

    event = SimpleNamespace(selection=SimpleNamespace(rows=[1]))
    state = {"rows-7": event}
    monkeypatch.setattr(board.st, "session_state", state)
    board._choose_row("channel|x", "rows-7", [7, 3, 9])
    assert state["channel|x"] == "3"
    event.selection.rows = []
    board._choose_row("channel|x", "rows-7", [1, 2, 3])
    assert state["channel|x"] == "3", "a row that is let go of changes nothing"


def test_a_small_map_is_one_of_the_three_strongest_and_a_click_selects_it(open_channels: OpenChannels) -> None:
    at = open_channels()
    order = largest(reference().phi, 3)
    small = [image.proto.imgs[0].alt for image in at.get("image") if "small map" in image.proto.imgs[0].alt]
    assert small == [f"Channel {channel}, number {n} by its bar, small map" for n, channel in enumerate(order, 1)]
    at.button(key="take-2").click().run()
    assert maps(at) == [f"Channel {order[2]} heatmap of its activation over the photo"]
    assert at.query_params["channel"] == str(order[2])


def test_the_map_can_be_lines_instead(open_channels: OpenChannels) -> None:
    at = open_channels()
    shaded = at.get("image")[0].proto.imgs[0].url
    next(group for group in at.segmented_control if group.label == "Its activation").set_value("Outlined").run()
    outlined = at.get("image")[0].proto.imgs[0].url
    assert outlined != shaded
    assert open_channels(map="Outlined").get("image")[0].proto.imgs[0].url == outlined, "a link has it"


def test_many_channels_are_not_many_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of more than twenty would run into each other: the others are one step together."""
    from pages.channels import board

    drawn: list[Any] = []
    monkeypatch.setattr(board, "waterfall_chart", lambda start, steps, end, unit: drawn.extend(steps))
    monkeypatch.setattr(board.charts, "show", lambda *arguments, **options: None)
    wide = channel_shap(load_model(BUNDLED), SAMPLES[0].open(), layer="bn2")
    board._waterfall(channel_report(wide), 60)
    assert len(drawn) == 21 and drawn[-1][0] == f"the other {1280 - wide.dead - 20}"
    assert sum(change for _, change in drawn) == pytest.approx(wide.v_all - wide.v_empty)


def test_the_words_have_an_explanation_that_every_hand_reaches(open_channels: OpenChannels) -> None:
    text = " ".join(element.value for element in open_channels().markdown)
    for word in ("Head and tail", "v(∅)", "efficiency gap", "relative standard error", "α · mean A", "φ (phi)"):
        assert word in text, word


def test_every_chart_has_a_name(open_channels: OpenChannels) -> None:
    names = charts(open_channels())
    assert all(names) and len(set(names)) == len(names) == 4


@pytest.mark.parametrize("key", [SAMPLES[0].key, "jaguar"])
def test_the_page_opens_converged(key: str) -> None:
    """The layer and the budget of the bare address, with the network that comes with the installation.

    Of the first photo, and of the one in the gallery that needs the most passes.
    """
    clf = load_model(BUNDLED)
    layer = nonlinear_layer(clf)
    assert channel_shap(clf, sample(key).open(), layer=layer, budget=BUDGET).converged


def test_the_pages_layer_follows_where_none_was_chosen(open_app: Open) -> None:
    def layer(at: AppTest) -> str:
        value: str = next(box for box in at.selectbox if box.label == "Layer").value
        return value

    at = open_app()
    assert layer(at) == "features"
    assert layer(settle(at.switch_page("pages/channels/page.py").run())) == "features.2"
    next(box for box in at.selectbox if box.label == "Layer").set_value("features.1").run()
    assert layer(settle(at)) == "features.1"
    assert layer(settle(at.switch_page("pages/compare/page.py").run())) == "features.1", "what was chosen stays"


def test_numbers_get_a_true_minus_and_names_keep_their_hyphens() -> None:
    logit, predicted, probability = np.array([1.0, -2.0]), np.array([1.0, -0.001]), np.array([0.9, 0.2])
    labels = ("soft-coated wheaten terrier",) * 2
    text = removal._sentence(RemovalReport(logit, predicted, probability, labels, (True, True)), 1, "logit")
    assert "logit <b>−2.00</b>, predicted <b>0.00</b>" in text
    assert "still says <b>soft-coated wheaten terrier</b>" in text
