"""The Figure page: a good first sight, every choice in the spec and the address, and the same bytes from everywhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from cam_core import Classifier, Explanation
from cam_core.cli import inputs
from cam_core.figures import VENUES, Chart, FigureSpec, explain_grid, grid_file
from cam_core.figures.grid import explained
from cam_core.figures.grid.explained import image_opener
from pages.figure import preview
from pages.runtime import compute
from pages.shared import models
from pages.shared.models import Offer
from tests.cli.calls import run
from tests.pages.app_runs import BUNDLED, LABELS, Open, box, encoded, html, load_tiny, noise, settle, upload
from tests.tiny import SIZE, tiny

PAGE = "pages/figure/page.py"

Files = dict[str, Callable[[], bytes]]


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Files:
    """Every file that the page offers, by its name; made when it is asked for."""
    buttons: Files = {}

    def button(*_: Any, file_name: str, data: Callable[[], bytes], **__: Any) -> None:
        buttons[file_name] = data

    monkeypatch.setattr("streamlit.download_button", button)
    return buttons


def spec(files: Files) -> FigureSpec:
    (name,) = [name for name in files if name.endswith(".json")]
    return FigureSpec.from_json(files[name]().decode())


def told(at: AppTest) -> str:
    """What the figure is said to show."""
    (alt,) = re.findall(r'class="cam-print"[^>]* alt="([^"]*)"', html(at))
    return alt


def notices(at: AppTest) -> list[str]:
    return re.findall(r'role="note">(.*?)</p>', html(at))


def test_first_sight_is_two_photos_by_three_quick_methods_at_print_size(open_app: Open) -> None:
    at = open_app(page=PAGE)
    assert at.title[0].value == "Figure"
    assert told(at) == ("The figure: a heatmap of Dog and Giant panda in each column: Grad-CAM, LIFT-CAM and Eigen-CAM")
    assert 'style="width: 174.62mm"' in html(at) and "174.6 mm wide" in html(at)
    assert [button.label for button in at.get("download_button")] == ["PDF", "SVG", "PNG", "TeX", "BibTeX", "JSON"]
    assert "\\cite{selvaraju2017gradcam}" in at.code[0].value
    assert at.query_params == {}, "the default view has the bare address"


@pytest.mark.parametrize("form", ["pdf", "svg", "png"])
def test_page_command_line_and_python_give_the_same_bytes(
    open_app: Open, files: Files, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: str
) -> None:
    link = {"photos": ["Cat"], "shown": ["Grad-CAM", "Score-CAM"], "seed": "3", "dpi": "150", "letters": "(a)"}
    link |= {"charts": ["Deletion", "Coefficients"], "curve-steps": "14", "becomes": "Mean", "bars": "4"}
    open_app(page=PAGE, **link, **{"title-2": "A_cat", "class-2": "4", "zoom-1": "true", "style": "contours"})
    (tmp_path / "figure.json").write_bytes(files["figure.json"]())
    monkeypatch.setattr(inputs, "load_model", load_tiny)
    outputs = [f"--{'out' if form == name else name}" for name in (form, "tex", "bib")]
    paths = [tmp_path / f"figure.{name}" for name in (form, "tex", "bib")]
    done = run(
        "figure", tmp_path / "figure.json", *(part for pair in zip(outputs, paths, strict=True) for part in pair)
    )
    assert done.exit_code == 0, done.stderr
    assert paths[0].read_bytes() == files[f"figure.{form}"]()
    asked = FigureSpec.read(tmp_path / "figure.json")
    assert asked.charts == (Chart("deletion", 14, "mean"), Chart("coefficients", channels=4))
    grid = explain_grid(asked, open_network=lambda network: load_tiny(network.name, network.weights, network.seed))
    assert grid_file(grid, form) == files[f"figure.{form}"]()
    assert paths[2].read_bytes() == files["figure.bib"]()
    assert paths[1].read_text().replace(f"figure.{form}", "figure.pdf") == files["figure.tex"]().decode()


def test_every_choice_of_looks_is_in_the_spec(open_app: Open, files: Files) -> None:
    link = {"venue": "nature-page", "width": "120", "points": "9", "dpi": "600", "font": "serif", "style": "mask"}
    link |= {"opacity": "0.8", "threshold": "0.3", "values": "Signed", "print-colours": "PuOr_r", "one-scale": "true"}
    link |= {"letters": "A", "captions": "each", "input": "false", "column-titles": "false", "row-titles": "false"}
    open_app(page=PAGE, **link)
    look = spec(files).look
    assert (look.venue, look.width, look.font_size, look.dpi, look.font) == ("nature-page", 120, 9, 600, "serif")
    assert (look.style, look.opacity, look.threshold, look.signed, look.shared) == ("mask", 0.8, 0.3, True, True)
    assert (look.letters, look.captions, look.colour_map) == ("A", "each", "PuOr_r")
    assert not (look.input or look.column_titles or look.row_titles)


def test_rows_have_their_own_class_title_and_enlarged_part(open_app: Open, files: Files) -> None:
    link = {"title-2": "A panda", "class-2": "1", "zoom-2": "true", "zoom-left-2": "0.9", "zoom-side-2": "0.2"}
    at = open_app(page=PAGE, **{"class": "4"}, **link)
    dog, panda = spec(files).images
    assert (dog.image, dog.target, dog.title, dog.zoom) == ("dog", 4, "", None)
    assert (panda.image, panda.target, panda.title) == ("panda", 1, "A panda")
    assert panda.zoom == (0.8, 0.25, 0.2), "it stays inside the frame"
    assert "A panda" in told(at)


def test_layers_side_by_side(open_app: Open, files: Files) -> None:
    at = open_app(page=PAGE, columns="Layers", by="hires-cam")
    listed = at.multiselect(key="layers").options
    first = [column.layer for column in spec(files).columns]
    assert len(first) == 3 and first == [name for name in listed if name in first], "from early to late"
    at.multiselect(key="layers").set_value([listed[-1], listed[0]]).run()
    settle(at)
    assert [(column.method, column.layer) for column in spec(files).columns] == [
        ("hires-cam", listed[-1]),
        ("hires-cam", listed[0]),
    ]
    assert told(at).endswith(f"{listed[-1]} and {listed[0]}")


def test_classes_side_by_side(open_app: Open, files: Files) -> None:
    at = open_app(page=PAGE, columns="Classes", classes=["bee", "eel"])
    assert [column.target for column in spec(files).columns] == [1, 4]
    assert {shown.target for shown in spec(files).images} == {None}
    assert told(at).endswith("bee and eel")


def test_a_trained_and_an_untrained_network_side_by_side(open_app: Open, files: Files) -> None:
    at = open_app(page=PAGE, columns="Networks")
    made = spec(files)
    networks = [made.network(column) for column in made.columns]
    assert [(network.name, network.weights) for network in networks] == [(BUNDLED, "default"), (BUNDLED, "random")]
    assert "random weights" not in told(at), "tiny networks have one name"
    assert "figure-untrained.pdf" in files


def test_another_look_or_title_computes_nothing_anew(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[str] = []
    original = explained.explain

    def explain(*args: Any, **options: Any) -> Explanation:
        computed.append(options["method"])
        return original(*args, **options)

    monkeypatch.setattr(explained, "explain", explain)
    at = open_app(page=PAGE)
    assert len(computed) == 6
    at.text_input(key="title-1").set_value("A dog").run()
    at.slider(key="opacity").set_value(0.8).run()
    settle(at)
    assert len(computed) == 6 and "A dog" in told(at)
    at.multiselect(key="shown").select("HiResCAM").run()
    settle(at)
    assert computed[6:] == ["hires-cam"] * 2


def test_an_own_photo_is_the_first_row_and_goes_by_its_name(
    open_app: Open, files: Files, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    at = upload(open_app(page=PAGE, dpi="150"), encoded(noise((300, 200))), "mine.png")
    assert told(at).startswith("The figure: a heatmap of mine and Giant panda")
    assert spec(files).images[0].image == "mine.png"
    (tmp_path / "mine.png").write_bytes(encoded(noise((300, 200))))
    grid = explain_grid(
        spec(files),
        open_image=image_opener(tmp_path),
        open_network=lambda network: load_tiny(network.name, network.weights, network.seed),
    )
    assert grid_file(grid, "pdf") == files["figure.pdf"]()


def test_no_file_names_a_folder_of_the_server(open_app: Open, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of a network that lies in one."""
    path = "/srv/visits/abc/networks/mine-lfi-3fa2.safetensors"
    offer = Offer("mine-lfi-3fa2", path, "LFI-CAM", "LFI-CAM", "trained in this visit")
    monkeypatch.setattr(models, "_own", lambda: {offer.key: offer})

    def load(name: str, **_: Any) -> Classifier:
        return Classifier(tiny("plain"), LABELS, SIZE, name=name, device="cpu")

    monkeypatch.setattr(compute, "load_model", load)
    at = open_app(page=PAGE, model=offer.key, dpi="150")
    assert spec(files).model.name == offer.key
    for name, content in files.items():
        assert b"/srv" not in content(), name
    assert "/srv" not in html(at) + "".join(code.value for code in at.code)
    assert json.loads(files["figure.json"]())["model"]["weights"] == "default"


def test_a_figure_without_a_doubt_is_said_to_be_ready(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = "Nothing speaks against printing it"
    assert ready not in html(open_app(page=PAGE, venue="cvpr-column", points="6", dpi="1200"))
    monkeypatch.setattr(preview, "grid_doubts", lambda grid: [])
    assert ready in html(open_app(page=PAGE))


def test_doubts_are_said_before_it_goes_to_print(open_app: Open) -> None:
    at = open_app(page=PAGE, venue="cvpr-column", points="6", dpi="1200")
    assert "Captions and numbers have 5.25 points: below 6 many venues refuse them." in notices(at)
    assert any(
        re.fullmatch(r"Dog has \d+ pixels across .* enlarged [\d.]+ times for 1200 dpi\.", n) for n in notices(at)
    )


def test_a_width_that_does_not_hold_the_columns_is_refused_in_words(open_app: Open) -> None:
    at = open_app(page=PAGE, width="30")
    assert "4 panels side by side do not fit into 30 mm" in at.error[0].value
    at.number_input(key="width").set_value(None).run()
    assert "Giant panda" in told(settle(at))


def test_no_column_no_figure(open_app: Open) -> None:
    at = open_app(page=PAGE)
    at.multiselect(key="shown").set_value([]).run()
    assert "Choose one or more columns" in at.info[0].value


def test_a_venue_stands_in_the_address(open_app: Open) -> None:
    at = open_app(page=PAGE)
    box(at, "Venue").select_index(list(VENUES).index("eccv")).run()
    assert settle(at).query_params == {"venue": "eccv"}


def test_the_sidebars_photo_is_no_second_row(open_app: Open, files: Files) -> None:
    open_app(page=PAGE, sample="panda")
    assert [shown.image for shown in spec(files).images] == ["panda", "chelsea"]
