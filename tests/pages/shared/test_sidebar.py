"""The sidebar: model, layer, class and device, the way out when a model cannot be had, and links that reopen a view."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from cam_core import CATALOG, SAMPLES
from cam_core.models.trainable.trained import digit_networks
from pages.runtime import compute
from pages.shared import models, photo, sidebar
from tests.pages.app_runs import (
    BUNDLED,
    LABELS,
    Open,
    box,
    encoded,
    heatmaps,
    html,
    load_tiny,
    noise,
    settle,
    upload,
)


@pytest.fixture
def digits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Digits of the gallery in the twinkling of an eye; nobody else's."""
    drawn = {name: Image.new("RGB", (64, 64), (20 * int(name),) * 3) for name in "0123456789"}
    monkeypatch.setattr(photo, "gallery_digits", lambda: drawn)
    monkeypatch.setattr(compute, "load_model", lambda name, **_: load_tiny(name, weights="random"))
    photo.gallery_photo.clear()
    yield
    photo.gallery_photo.clear()


def test_every_catalogue_model_is_offered_with_its_size(open_app: Open) -> None:
    options = box(open_app(), "Model").options
    assert len(options) == len(CATALOG) + len(digit_networks())
    assert options[0] == "EfficientNet-Lite0 · comes along"


def test_the_list_says_which_weights_are_here_and_which_take_a_network(
    open_app: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    checkpoints = tmp_path / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / "resnet50-0676ba61.pth").touch()
    at = open_app(model="resnet18", weights="random")
    options = box(at, "Model").options
    assert "ResNet-18 · download 45 MB" in options and "ResNet-50 · 98 MB, here" in options
    assert all(" · comes along" in option or " MB" in option or "right" in option for option in options)
    box(at, "Weights").select("default").run()
    assert "ResNet family · its 11.7 M weights (45 MB) are downloaded when first used" in html(at)


def test_layers_are_in_plain_words(open_app: Open) -> None:
    layers = box(open_app(), "Layer")
    assert all(" × " in option for option in layers.options)
    assert layers.value == load_tiny(BUNDLED).default_layer


def test_classes_are_sorted_by_probability_and_the_first_is_explained(open_app: Open) -> None:
    classes = box(open_app(), "Class to explain")
    shares = [float(option.rsplit("· ", 1)[1].strip("< %")) for option in classes.options]
    assert shares == sorted(shares, reverse=True) and len(shares) == len(LABELS)
    assert classes.value == classes_first(classes)


def classes_first(classes) -> str:
    name = classes.options[0].split(" · ")[0]
    return str(LABELS.index(name))


def test_choosing_a_class_explains_it_and_stands_in_the_link(open_app: Open) -> None:
    at = open_app()
    last = box(at, "Class to explain").options[-1]
    box(at, "Class to explain").select_index(len(LABELS) - 1).run()
    settle(at)
    name = last.split(" · ")[0]
    assert at.query_params["class"] == str(LABELS.index(name))
    assert any(f"for {name} over" in image.proto.imgs[0].alt for image in at.get("image"))


def test_another_photo_begins_with_its_own_first_class(open_app: Open) -> None:
    at = open_app()
    box(at, "Class to explain").select_index(len(LABELS) - 1).run()
    settle(at)
    box(at, "Sample photo").select("panda").run()
    settle(at)
    classes = box(at, "Class to explain")
    assert classes.value == classes_first(classes)
    assert "class" not in at.query_params and at.query_params["sample"] == "panda"


def test_coming_back_to_a_photo_finds_the_class_that_was_chosen(open_app: Open) -> None:
    at = open_app()
    box(at, "Class to explain").select_index(len(LABELS) - 1).run()
    chosen = box(settle(at), "Class to explain").value
    for sample in ("panda", "dog"):
        box(at, "Sample photo").select(sample).run()
        settle(at)
    assert box(at, "Class to explain").value == chosen


def test_a_thumbnail_chooses_its_photo(open_app: Open) -> None:
    at = open_app()
    at.button(key="sample-koala").click().run()
    settle(at)
    assert box(at, "Sample photo").value == "koala"
    assert "Koala" in html(at)


def test_weights_that_cannot_be_had_say_what_to_do_and_one_click_leads_back(open_app: Open) -> None:
    at = open_app(model="resnet18")
    assert "ResNet-18 cannot be used" in at.error[0].value
    assert r"resnet18.pth is not on this machine. Put the file into the folder \[checkpoints\]" in at.error[0].value
    assert heatmaps(at) == []
    at.button(key="scene-action-0").click().run()
    settle(at)
    assert box(at, "Model").value == BUNDLED and len(heatmaps(at)) == 2
    assert "model" not in at.query_params


def test_the_page_keeps_its_question_and_the_network_before_is_one_click_away(open_app: Open) -> None:
    at = open_app(model="resnet34", weights="random")
    box(at, "Model").select("resnet18").run()
    settle(at)
    assert at.title[0].value == "Compare" and "Do the methods agree?" in html(at)
    assert [button.label for button in at.button if "Back to" in button.label] == [
        "Back to ResNet-34",
        "Back to the bundled model",
    ]
    next(button for button in at.button if button.label == "Back to ResNet-34").click().run()
    settle(at)
    assert box(at, "Model").value == "resnet34" and len(heatmaps(at)) == 2 and not at.error


def test_random_weights_are_the_other_way_out(open_app: Open) -> None:
    at = open_app(model="resnet18")
    button = next(button for button in at.button if button.label == "Use random weights")
    button.click().run()
    settle(at)
    assert len(heatmaps(at)) == 2 and not at.error
    assert at.query_params["model"] == "resnet18" and at.query_params["weights"] == "random"


def test_another_seed_of_the_weights_gives_another_model(open_app: Open) -> None:
    one = open_app(model="resnet18", weights="random")
    two = open_app(model="resnet18", weights="random", **{"weights-seed": "3"})
    assert box(one, "Class to explain").options != box(two, "Class to explain").options


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("model", "resnet1000", "model"),
        ("sample", "unicorn", "sample"),
        ("class", "77", "class"),
        ("layer", "x", "layer"),
    ],
)
def test_a_link_to_something_unknown_shows_the_default_and_says_so(
    open_app: Open, name: str, value: str, kind: str
) -> None:
    at = open_app(**{name: value})
    assert len(heatmaps(at)) == 2
    assert f"The link asks for the {kind} “{value}”" in " ".join(entry.value for entry in at.info)
    at.run()
    assert at.info, "it stays until it has been read"
    at.button(key="dismiss-notices").click().run()
    assert not at.info


def test_a_link_to_an_unknown_method_keeps_the_others(open_app: Open) -> None:
    at = open_app(methods=["Grad-CAM", "Guesswork"])
    assert "Guesswork" in at.info[0].value


def test_a_link_to_a_missing_device_falls_back_and_says_so(open_app: Open) -> None:
    at = open_app(device="cuda:7")
    assert "“cuda:7”" in at.info[0].value
    assert "no GPU was found" in html(at)


def test_unknown_names_in_the_link_are_ignored(open_app: Open) -> None:
    assert len(heatmaps(open_app(colour="pink", utm_source="mail"))) == 2


def test_a_link_reopens_the_view(open_app: Open) -> None:
    link = {
        "sample": "panda", "model": "resnet18", "weights": "random", "layer": "features.1", "class": "1", "seed": "7",
        "methods": ["Grad-CAM", "Random (control)"], "opacity": "0.8", "values": "Signed", "scale": "Shared",
        "diverging": "PuOr_r",
    }  # fmt: skip
    at = open_app(**link)
    assert [box(at, label).value for label in ("Sample photo", "Model", "Layer", "Class to explain", "Colours")] == [
        "panda", "resnet18", "features.1", "1", "PuOr_r",
    ]  # fmt: skip
    assert heatmaps(at) == ["Grad-CAM", "Random (control)"]
    assert at.slider(key="opacity").value == 0.8
    assert at.query_params == link


def test_precision_and_seed_reach_the_computation(open_app: Open) -> None:
    at = open_app(methods=["Random (control)"])
    first = [image.value for image in at.get("image")][-1]
    at.number_input(key="seed").set_value(5).run()
    settle(at)
    assert [image.value for image in at.get("image")][-1] != first
    at.segmented_control(key="precision").set_value("bfloat16").run()
    settle(at)
    assert "bfloat16" in html(at)


def test_results_are_shared_and_not_computed_twice(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_app()
    monkeypatch.setattr(compute, "explain", lambda *a, **k: pytest.fail("computed again"))
    second = open_app()
    assert [image.value for image in first.get("image")] == [image.value for image in second.get("image")]


def test_keys_hold_everything_that_a_result_depends_on() -> None:
    question = compute.Question("photo", compute.ModelSpec("m"), "layer", 1)
    request = compute.Request("grad-cam", (("a", 1),))
    others = [
        (compute.Question("other", compute.ModelSpec("m"), "layer", 1), request),
        (compute.Question("photo", compute.ModelSpec("m", "random"), "layer", 1), request),
        (compute.Question("photo", compute.ModelSpec("m", weights_seed=1), "layer", 1), request),
        (compute.Question("photo", compute.ModelSpec("m", device="cpu"), "layer", 1), request),
        (compute.Question("photo", compute.ModelSpec("m"), "layer 2", 1), request),
        (compute.Question("photo", compute.ModelSpec("m"), "layer", 2), request),
        (compute.Question("photo", compute.ModelSpec("m"), "layer", 1, "bfloat16"), request),
        (compute.Question("photo", compute.ModelSpec("m"), "layer", 1, seed=1), request),
        (question, compute.Request("lift-cam", (("a", 1),))),
        (question, compute.Request("grad-cam", (("a", 2),))),
        (question, compute.Request("grad-cam", (("a", 1.5),))),
    ]
    keys = {compute.digest(*pair) for pair in [(question, request), *others]}
    assert len(keys) == len(others) + 1


def test_the_store_forgets_the_oldest() -> None:
    store = compute.Store(capacity=2)
    for key in "ab":
        store.put(key, key.upper())
    assert store.get("a") == "A"
    store.put("c", "C")
    assert (store.get("a"), store.get("b"), store.get("c")) == ("A", None, "C")


def test_random_weights_belong_to_the_model_that_they_were_chosen_for(open_app: Open) -> None:
    at = open_app(model="resnet18")
    next(button for button in at.button if button.label == "Use random weights").click().run()
    settle(at)
    assert "Untrained network: random weights, seed 0" in html(at)
    box(at, "Model").select(BUNDLED).run()
    settle(at)
    assert "Untrained" not in html(at) and "come with the installation" in html(at)
    assert "weights" not in at.query_params
    box(at, "Model").select("resnet18").run()
    assert "Untrained network" in html(settle(at)), "the choice is remembered"


@pytest.mark.parametrize("page", ["", "pages/classes/page.py", "pages/channels/page.py", "pages/deletion/page.py"])
def test_every_page_says_that_a_network_is_untrained(open_app: Open, page: str) -> None:
    at = open_app(page=page, weights="random")
    assert "It has learnt nothing: its maps are a control" in html(at)
    assert "comes with the installation" not in html(at)
    assert "Untrained" not in html(open_app(page=page))


def test_a_network_of_digits_opens_on_a_digit_and_says_so_of_a_photo(open_app: Open, digits: None) -> None:
    at = open_app(model="lfi_digits")
    samples = box(at, "Sample photo")
    assert samples.value == "digit-0" and len(samples.options) == len(SAMPLES) + 10
    assert "this photo is none" not in html(at)
    assert "Shown: Digit 0, since this network knows digits. The other networks keep their own photo." in html(at)
    samples.select("panda").run()
    assert "This network knows digits alone, and this photo is none" in html(settle(at))
    assert "since this network knows digits" not in html(at), "the visitor has chosen"
    box(at, "Model").select(BUNDLED).run()
    assert box(settle(at), "Sample photo").value == "dog", "every gallery has its own choice"
    assert "digits alone" not in html(at)


def test_a_network_says_what_it_was_trained_on_and_a_small_photo_that_it_is_enlarged(
    open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sidebar, "_MUCH", 1)  # the tiny network sees 16 × 16
    at = upload(open_app(), encoded(noise((15, 200))))
    assert "This photo has 15 × 200 pixels and is enlarged for the network" in html(at)
    assert "enlarged" not in html(upload(open_app(), encoded(noise((16, 200)))))
    own = models.Offer("mine-1", BUNDLED, "Mine", "Mine", "", "folder pets")
    monkeypatch.setattr(models, "offers", lambda: {"mine-1": own, BUNDLED: own})
    said = "trained on the folder pets, and knows ant, bee, cat, dog and eel alone"
    assert said in html(open_app())
    monkeypatch.setattr(sidebar, "_MOST_NAMED", 2)
    assert "knows ant, bee and 3 others alone" in html(open_app())


def test_a_name_that_a_closed_picker_cuts_off_stands_whole_below_it() -> None:
    def whole(title: str, note: str) -> str:
        return models.Offer("key", "name", title, f"{title} · 86.6 M weights", note).whole

    assert whole("ViT-B", "timm, by name") == "timm, by name"
    name = "vit_base_patch16_clip_224.openai_ft_in12k_in1k"
    assert whole(name, "timm, by name") == f"{name}: timm, by name"
    assert whole(name, f"{name}, uploaded") == f"{name}, uploaded"


def test_methods_that_cannot_work_at_the_layer_are_left_out_with_the_reason(open_app: Open) -> None:
    first, *_, last = [option.split(" · ")[0] for option in box(open_app(), "Layer").options]
    at = open_app(layer=first, methods=["CAM", "Grad-CAM"])
    assert heatmaps(at) == ["Grad-CAM"]
    said = html(at)
    assert "<summary>Not at this layer: CAM</summary>" in said
    assert "<li><b>CAM</b>: The tail is not pooling and one linear layer" in said
    assert "CAM" not in at.multiselect(key="methods").options
    for _ in range(2):
        box(at, "Layer").select(last).run()
        assert heatmaps(settle(at)) == ["Grad-CAM", "CAM"], "what the link asks for comes where it works"
        box(at, "Layer").select(first).run()
        assert heatmaps(settle(at)) == ["Grad-CAM"]


def test_methods_that_were_chosen_are_not_lost_by_a_look_at_another_layer(
    open_app: Open, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamlit.elements.lib.policies._shown_default_value_warning", False)
    at = open_app()
    first, *_, last = [option.split(" · ")[0] for option in box(at, "Layer").options]
    box(at, "Layer").select(last).run()
    settle(at)
    at.multiselect(key="methods").set_value(["CAM", "HiResCAM"]).run()
    box(settle(at), "Layer").select(first).run()
    assert heatmaps(settle(at)) == ["HiResCAM"]
    box(at, "Layer").select(last).run()
    assert sorted(heatmaps(settle(at))) == ["CAM", "HiResCAM"]
    at.multiselect(key="methods").set_value(["HiResCAM"]).run()
    box(settle(at), "Layer").select(first).run()
    box(settle(at), "Layer").select(last).run()
    assert heatmaps(settle(at)) == ["HiResCAM"], "what was taken out stays out"
    assert "created with a default value" not in caplog.text
