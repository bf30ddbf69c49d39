"""What to explain: chosen in the sidebar, in the link, and followed by every page."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from typing import Any

import pandas
import pytest
import torch
from streamlit.testing.v1 import AppTest
from torch import Tensor, nn

from cam_core import SAMPLES, Classifier, explain
from cam_core.shapley import channel_shap
from cam_core.targets import Custom, Difference, Negative, Probability, Similarity, Sum, TargetScore, Value
from pages.runtime import compute, served
from tests.pages.app_runs import BUNDLED, LABELS, Open, box, encoded, heatmaps, html, load_tiny, noise, settle
from tests.tiny import SIZE

CHANNELS, DELETION = "pages/channels/page.py", "pages/deletion/page.py"


def order() -> list[int]:
    """The classes of the first photo, most probable first."""
    return [prediction.index for prediction in load_tiny(BUNDLED).predict(SAMPLES[0].open(), top=None)]


def ask(at: AppTest, kind: str) -> AppTest:
    box(at, "What to explain").select(kind).run()
    return settle(at)


def alts(at: AppTest) -> list[str]:
    return [image.proto.imgs[0].alt for image in at.get("image") if " heatmap " in image.proto.imgs[0].alt]


def titled(target: TargetScore) -> str:
    return f"Grad-CAM heatmap for {target.title(LABELS)} over the photo"


def ends(at: AppTest) -> list[tuple[str, str]]:
    return re.findall(r'aria-label="Colour bar from (.*?) to (.*?)"', html(at))


def kinds(first: int, second: int) -> dict[str, tuple[TargetScore, str]]:
    one, other = LABELS[first], LABELS[second]
    return {
        "probability": (Probability(first), f"raises <b>the probability of {one}"),
        "difference": (Difference(first, second), f"speaks for <b>{one} and not {other}"),
        "set": (Sum(first, second), f"speaks for <b>{one} or {other}"),
        "negative": (Negative(first), f"speaks against <b>{one}"),
    }


@pytest.mark.parametrize("kind", ["probability", "difference", "set", "negative"])
def test_a_choice_changes_map_title_and_link_which_reopens_it(open_app: Open, kind: str) -> None:
    first, second, *_ = order()
    target, said = kinds(first, second)[kind]
    at = open_app(methods=["Grad-CAM"])
    assert box(at, "What to explain").value == "logit" and "target" not in at.query_params
    before = ends(at)
    ask(at, kind)
    assert alts(at) == [titled(target)] and ends(at) != before
    assert f"What in this photo {said}</b>?" in html(at)
    assert dict(at.query_params) == {"methods": "Grad-CAM", "target": kind}, "the others are the default"
    raw = explain(load_tiny(BUNDLED), SAMPLES[0].open(), method="grad-cam", target=target).map
    assert float(ends(at)[0][1]) == pytest.approx(max(0.0, float(raw.max())), rel=0.03, abs=1e-4)
    again = open_app(methods=["Grad-CAM"], target=kind)
    assert alts(again) == alts(at) and ends(again) == ends(at)
    ask(at, "logit")
    assert ends(at) == before and "target" not in at.query_params


def test_the_other_class_is_chosen_by_name_and_is_never_the_class_itself(open_app: Open) -> None:
    first, second, third, *_ = order()
    at = open_app(methods=["Grad-CAM"], target="difference", rival=str(third))
    assert alts(at) == [titled(Difference(first, third))]
    assert {option.split(" · ")[0] for option in box(at, "And not").options} == set(LABELS) - {LABELS[first]}
    box(at, "Class to explain").select(str(third)).run()
    settle(at)
    assert alts(at) == [titled(Difference(third, first))] and not at.info
    box(at, "And not").select(str(second)).run()
    settle(at)
    assert alts(at) == [titled(Difference(third, second))]
    assert dict(at.query_params) == {
        "methods": "Grad-CAM", "class": str(third), "target": "difference", "rival": str(second)
    }  # fmt: skip


def test_a_click_on_a_probable_class_keeps_what_is_asked(open_app: Open) -> None:
    first, second, *_ = order()
    at = open_app(methods=["Grad-CAM"], target="negative")
    at.button(key=f"class-{second}").click().run()
    settle(at)
    assert alts(at) == [titled(Negative(second))]
    assert at.button(key=f"class-{second}").label.startswith("**")
    assert not at.button(key=f"class-{first}").label.startswith("**")


def test_a_set_takes_as_many_as_one_likes_and_none_is_the_class_alone(open_app: Open) -> None:
    first, second, third, *_ = order()
    at = open_app(methods=["Grad-CAM"], target="set", partner=[str(third), str(second)])
    assert alts(at) == [titled(Sum(first, third, second))]
    partners = next(entry for entry in at.multiselect if entry.label == "Together with")
    partners.set_value([]).run()
    settle(at)
    assert alts(at) == [f"Grad-CAM heatmap for {LABELS[first]} over the photo"]
    assert "Until then the class is explained alone" in html(at)
    assert at.query_params["partner"] == ""
    again = open_app(methods=["Grad-CAM"], target="set", partner="")
    assert alts(again) == alts(at)


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ({"target": "guess"}, "the target “guess”"),
        ({"target": "difference", "rival": "99"}, "the rival “99”"),
        ({"target": "set", "partner": ["1", "99"]}, "the partner “99”"),
        ({"target": "module:score"}, "the target “module:score”"),
    ],
)
def test_a_link_to_what_is_not_offered_says_so(open_app: Open, link: dict[str, Any], said: str) -> None:
    at = open_app(methods=["Grad-CAM"], **link)
    assert f"The link asks for {said}, which does not exist here" in at.info[0].value
    assert len(heatmaps(at)) == 1


def test_methods_that_explain_classes_alone_are_left_out_with_the_reason(open_app: Open) -> None:
    at = open_app(methods=["Grad-CAM", "Finer-CAM", "CAM"])
    assert heatmaps(at) == ["Grad-CAM", "Finer-CAM", "CAM"]
    ask(at, "difference")
    assert heatmaps(at) == ["Grad-CAM", "CAM"]
    (said,) = re.findall("<summary>Not for what is explained: Finer-CAM</summary>(.*?)</details>", html(at))
    assert "ask it about a class" in said
    ask(at, "probability")
    assert heatmaps(at) == ["Grad-CAM"], "softmax is no linear layer"
    ask(at, "logit")
    assert heatmaps(at) == ["Grad-CAM", "CAM", "Finer-CAM"], "they come back"


def test_methods_coincide_where_the_target_is_linear_and_are_not_said_to_elsewhere(open_app: Open) -> None:
    at = open_app(methods=["Grad-CAM", "HiResCAM"], target="difference")
    assert "Grad-CAM and HiResCAM give the same map here, and must." in html(at)
    assert "give the same map" not in html(ask(at, "probability"))


def test_channels_are_shares_of_what_is_explained(open_app: Open) -> None:
    first, second, *_ = order()
    at = open_app(page=CHANNELS, target="difference", budget="64", layer="features.2")
    target = Difference(first, second)
    estimate = channel_shap(load_tiny(BUNDLED), SAMPLES[0].open(), layer="features.2", target=target, budget=64)
    page = html(at)
    assert f"carry <b>the lead of {LABELS[first]} over {LABELS[second]}</b>" in page
    assert f"score (difference)</dt><dd>{estimate.v_all:.2f}".replace("-", "−") in page
    assert "</b> logits: speaks for " in page and " and not " in page
    assert "From nothing to the difference" in [entry.value for entry in at.header]
    assert "difference <b>" in page and "· probability" not in page, "of what is left when channels go"
    at = open_app(page=CHANNELS, target="probability", budget="64", layer="features.2")
    assert "</b> units of probability: " in html(at)
    assert "From nothing to the probability" in [entry.value for entry in at.header]


def test_curves_follow_what_is_explained_and_metrics_of_a_probability_say_why_not(open_app: Open) -> None:
    at = open_app(page=DELETION, target="difference", methods=["Grad-CAM"], steps="14")
    page = html(at)
    assert "The curves follow the difference that is explained." in page
    assert "score" not in [entry.key for entry in at.segmented_control]
    assert re.search(r'class="cam-quiet">difference −?\d', page)
    assert "is about a probability, and " in page
    at = open_app(page=DELETION, target="probability", methods=["Grad-CAM"], steps="14")
    assert "The curves follow the probability that is explained." in html(at)
    assert 'class="cam-quiet">probability ' in html(at) and "is about a probability, and" not in html(at)


@pytest.mark.parametrize("page", ["pages/compare/page.py", CHANNELS, DELETION])
def test_files_say_what_is_explained(open_app: Open, monkeypatch: pytest.MonkeyPatch, page: str) -> None:
    first, second, *_ = order()
    buttons: dict[str, Callable[[], bytes]] = {}
    monkeypatch.setattr(
        "streamlit.download_button", lambda *_, file_name, data, **__: buttons.setdefault(file_name, data)
    )
    open_app(page=page, target="difference", methods=["Grad-CAM"], budget="64", steps="14")
    name, content = next((name, data()) for name, data in buttons.items() if name.endswith((".csv", ".png")))
    if name.endswith(".csv"):
        facts = pandas.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False).iloc[0]
    else:
        facts = json.loads(re.search(rb'\{"network".*\}', content)[0])  # type: ignore[index]
    assert facts["class"] == f"{LABELS[first]} − {LABELS[second]}" and facts["class_index"] == ""
    assert facts["target"] == f"{first} - {second}"
    assert page == DELETION or any(f"{first}-minus-{second}" in name for name in buttons)


class OneOutput(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.features = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2), nn.ReLU())
        self.fc = nn.Linear(6, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.features(images).mean((2, 3)))


@pytest.fixture
def one_output(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> Classifier:
    """The app's network has one output."""
    clf = Classifier(OneOutput().eval(), ["sick"], SIZE, name="one", device="cpu")
    monkeypatch.setattr(compute, "load_model", lambda name, **_: clf)
    return clf


def test_one_output_has_two_sides_and_its_value(open_app: Open, one_output: Classifier) -> None:
    at = open_app(methods=["CAM"])
    sides = {option.split(" · ")[0] for option in box(at, "Class to explain").options}
    assert sides == {"sick", "not sick"} == set(one_output.labels)
    assert box(at, "What to explain").options == ["Its score (logit)", "Its probability", "What the network returns"]
    for index, target in ((1, Value()), (0, Value(negative=True))):
        at = open_app(methods=["CAM"], target="value", **{"class": str(index)})
        assert alts(at) == [f"CAM heatmap for {target.title(one_output.labels)} over the photo"]
        raw = explain(one_output, SAMPLES[0].open(), method="cam", target=target).map
        assert float(ends(at)[0][1]) == pytest.approx(max(0.0, float(raw.max())), rel=0.03, abs=1e-4)
        assert f"What in this photo {'raises' if index else 'lowers'} <b>the value</b>" in html(at)


def test_two_classes_have_a_difference_and_no_set(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(5)
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2)]
    clf = Classifier(nn.Sequential(nn.Conv2d(3, 6, 3, stride=2), nn.ReLU(), *head).eval(), ["cat", "dog"], SIZE)
    monkeypatch.setattr(compute, "load_model", lambda name, **_: clf)
    at = open_app(methods=["CAM"], target="difference")
    assert box(at, "What to explain").options == [
        "Its score (logit)",
        "Its probability",
        "It, and not another class",
        "What speaks against it",
        "What makes it similar to another photo",
    ]
    assert alts(at)[0] in ("CAM heatmap for cat − dog over the photo", "CAM heatmap for dog − cat over the photo")


def test_another_network_begins_with_what_it_offers(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link's difference is no target of a network with one output, to which the visitor goes on."""
    several, one = load_tiny(BUNDLED), Classifier(OneOutput().eval(), ["sick"], SIZE, name="one", device="cpu")
    at = open_app(methods=["Grad-CAM"], target="difference")
    monkeypatch.setattr(compute, "load_model", lambda name, **_: several if name == BUNDLED else one)
    box(at, "Model").select("resnet18").run()
    settle(at)
    assert box(at, "What to explain").value == "logit" and not at.info
    box(at, "Model").select(BUNDLED).run()
    settle(at)
    assert box(at, "What to explain").value == "difference"


# Similar to another photo


def photo(key: str) -> Any:
    return next(entry for entry in SAMPLES if entry.key == key)


def test_what_makes_it_similar_to_another_photo_is_asked_and_a_link_reopens_it(open_app: Open) -> None:
    clf, (own, first, *_) = load_tiny(BUNDLED), SAMPLES
    at = ask(open_app(methods=["Grad-CAM"]), "similarity")
    assert alts(at) == [f"Grad-CAM heatmap for similarity to {first.title} over the photo"], "another, at first"
    box(at, "The other photo").select("panda").run()
    settle(at)
    other = photo("panda")
    target = Similarity.to(clf, other.open(), other.title)
    made = explain(clf, own.open(), method="grad-cam", target=target)
    assert alts(at) == [titled(target)]
    assert float(ends(at)[0][1]) == pytest.approx(max(0.0, float(made.map.max())), rel=0.03, abs=1e-4)
    assert f"What in this photo raises <b>the similarity to {other.title}</b>?" in html(at)
    assert dict(at.query_params) == {"methods": "Grad-CAM", "target": "similarity", "other": "panda"}
    again = open_app(methods=["Grad-CAM"], target="similarity", other="panda")
    assert alts(again) == alts(at) and ends(again) == ends(at)


@pytest.mark.parametrize("page", [CHANNELS, DELETION])
def test_the_other_pages_follow_the_similarity(open_app: Open, page: str) -> None:
    at = open_app(page=page, target="similarity", other="panda", methods=["Grad-CAM"], budget="64", steps="14")
    assert f"the similarity to {photo('panda').title}" in html(at) and not at.error


def test_a_photo_of_ones_own_is_compared_with_and_until_then_the_class_is_explained(open_app: Open) -> None:
    at = ask(open_app(methods=["Grad-CAM"]), "similarity")
    box(at, "The other photo").select("own").run()
    settle(at)
    assert "Until then the class is explained" in html(at)
    assert alts(at) == [f"Grad-CAM heatmap for {LABELS[order()[0]]} over the photo"]
    at.file_uploader(key="upload-other").upload("mine.png", encoded(noise())).run()
    settle(at)
    assert alts(at) == ["Grad-CAM heatmap for similarity to mine.png over the photo"]
    at.file_uploader(key="upload-other").upload("bad.png", b"no image").run()
    settle(at)
    assert "This file cannot be used" in at.error[0].value and "similarity to mine.png" in alts(at)[0]


# A function of whoever serves the app


def margin(logits: Tensor) -> Tensor:
    """The lead of the first class over the mean of the others."""
    return logits[:, 0] - logits[:, 1:].mean(1)


def first_two(logits: Tensor) -> Tensor:
    return logits[:, :2]


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Tensor], Tensor]], None]:
    def serve(made: Callable[[Tensor], Tensor]) -> None:
        monkeypatch.setattr(served, "target", lambda: Custom(made))

    return serve


def test_the_function_that_the_app_was_started_with_is_offered(open_app: Open, function: Any) -> None:
    function(margin)
    at = ask(open_app(methods=["Grad-CAM"]), "function")
    made = explain(load_tiny(BUNDLED), SAMPLES[0].open(), method="grad-cam", target=margin)
    assert alts(at) == ["Grad-CAM heatmap for margin over the photo"]
    assert float(ends(at)[0][1]) == pytest.approx(max(0.0, float(made.map.max())), rel=0.03, abs=1e-4)
    assert "What in this photo raises <b>margin</b>?" in html(at)


def test_one_that_cannot_be_asked_about_this_network_says_so(open_app: Open, function: Any) -> None:
    function(first_two)
    at = open_app(methods=["Grad-CAM"], target="function")
    assert "first_two gives (2, 2) for 2 images, not one number each. The class is explained instead." in html(at)
    assert alts(at) == [f"Grad-CAM heatmap for {LABELS[order()[0]]} over the photo"]


def test_no_link_names_a_function(open_app: Open) -> None:
    at = open_app(methods=["Grad-CAM"], target="function")
    assert "The link asks for the target “function”, which does not exist here" in at.info[0].value
