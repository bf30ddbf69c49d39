"""Charts in a figure: their numbers are those of the curves and coefficients, their words are text, all has room."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

from cam_core.figures import (
    Chart,
    Column,
    FigureError,
    FigureSpec,
    Network,
    Shown,
    explain_grid,
    grid_figure,
    grid_file,
    latex_snippet,
)
from cam_core.figures.grid.spec import Cell, CurveCell
from cam_core.metrics.curves.points import Curve, add_point, curve_points
from cam_core.palette import AGAINST, FOR, style_of
from cam_core.types import MetricError
from tests.figures.grid.grids import charted, explanation, grid, grid_of, texts
from tests.pages.app_runs import noise
from tests.tiny import tiny_classifier

DELETION, INSERTION, BARS = Chart("deletion"), Chart("insertion"), Chart("coefficients")
THREE, FOUR = np.array([3, -4, 0], dtype=np.float32), np.array([0, 0.5, -0.5], dtype=np.float32)


def test_curves_are_those_of_curve_points_of_each_map() -> None:
    clf, image = tiny_classifier("plain"), noise()
    chart = Chart("insertion", steps=5, baseline="zero", score="logit")
    columns = (Column("grad-cam"), Column("score-cam", target=2))
    spec = FigureSpec((Shown("it", 1),), columns, Network("plain"), seed=3, charts=(chart,))
    kept: list[Cell | CurveCell] = []

    def keep(asked: Any, compute: Any, /) -> Any:
        kept.append(asked)
        return compute()

    made = explain_grid(spec, open_image=lambda name: image, open_network=lambda network: clf, keep=keep)
    ((first, second),) = made.rows[0].curves
    for curve, explained in zip((first, second), made.rows[0].explanations, strict=True):
        expected: dict[Any, Curve] = {}
        for point in curve_points(
            clf, image, {explained.method: explained.saliency}, kinds=["insertion"], target=explained.target, seed=3,
            steps=5, baseline="zero", score="logit",
        ):  # fmt: skip
            add_point(expected, point)
        np.testing.assert_allclose(curve.values, expected[explained.method, "insertion"].values, atol=1e-5)
        assert curve.complete and len(curve.points) == 6
    assert [type(each) for each in kept] == [Cell, Cell, CurveCell, CurveCell], "maps first"


def test_each_row_ends_with_the_curves_of_its_columns_in_the_methods_looks() -> None:
    figure = grid_figure(charted(grid_of(2, 2), DELETION, INSERTION))
    charts = [axes for axes in figure.axes if axes.lines]
    assert len(charts) == 4
    for number, axes in enumerate(charts):
        row = number // 2
        assert [to_hex(line.get_color()) for line in axes.lines] == [
            style_of(method).colour for method in ("grad-cam", "lift-cam")
        ]
        for column, line in enumerate(axes.lines):
            assert list(line.get_xdata()) == [0, 0.5, 1]
            assert list(line.get_ydata()) == pytest.approx([0.9, 0.9 - 0.8 / (1 + row + column), 0.1], abs=1e-4)
        assert axes.get_xlim() == (0, 1) and axes.get_ylim() == pytest.approx((0, 0.9))
    words = texts(figure)
    assert words.count("Deletion") == words.count("Insertion") == 1
    assert words.count("pixels removed") == words.count("pixels shown") == 2
    assert words.count("Grad-CAM") == words.count("LIFT-CAM") == 2, "over the column and at its line"


def test_columns_of_one_method_are_told_apart() -> None:
    layers = grid([[explanation(), explanation(layer="layer2"), explanation(layer="layer1")]])
    (chart,) = [axes for axes in grid_figure(charted(layers, DELETION)).axes if axes.lines]
    assert len({to_hex(line.get_color()) for line in chart.lines}) == 3
    assert len({line.get_linestyle() if line.is_dashed() else "-" for line in chart.lines}) >= 2


def bars(figure: Any) -> tuple[list[float], list[str], list[str]]:
    """Heights, channels and colours."""
    (axes,) = [axes for axes in figure.axes if axes.patches and axes.axison and axes.get_xlim()[0] == -0.6]
    channels = [label.get_text() for label in axes.get_xticklabels()]
    return [bar.get_height() for bar in axes.patches], channels, [to_hex(bar.get_facecolor()) for bar in axes.patches]


def test_one_methods_coefficients_stand_in_their_own_unit_by_size() -> None:
    made = grid([[explanation(coefficients=THREE), explanation("eigen-cam")]])
    figure = grid_figure(charted(made, Chart("coefficients", channels=2)))
    heights, channels, colours = bars(figure)
    assert heights == [-4, 3] and channels == ["1", "0"]
    assert colours == [AGAINST, FOR]
    assert "weight, logits per unit of activation" in " ".join(texts(figure))


def test_several_methods_coefficients_are_scaled_to_one_length() -> None:
    made = grid([[explanation(coefficients=THREE), explanation("lift-cam", coefficients=FOUR)]])
    heights, channels, colours = bars(grid_figure(charted(made, BARS)))
    root = 0.5 / np.sqrt(0.5)
    assert heights == pytest.approx([-0.8, 0.6, 0, root, 0, -root], abs=1e-3)
    assert channels == ["1", "0", "2"], "by what the first method weights most"
    assert colours == [style_of("grad-cam").colour] * 3 + [style_of("lift-cam").colour] * 3


def test_what_cannot_be_drawn_is_refused_in_words() -> None:
    with pytest.raises(FigureError, match="none of these methods weights channels"):
        grid_figure(charted(grid_of(1, 2), BARS))
    several = grid([[explanation(coefficients=THREE), explanation(coefficients=FOUR, layer="layer2")]])
    with pytest.raises(FigureError, match="of other channels each"):
        grid_figure(charted(several, BARS))
    with pytest.raises(FigureError, match="has no room for its numbers"):
        grid_figure(charted(grid_of(1, 1, width=49.0, input=False), DELETION))
    with pytest.raises(FigureError, match="panels side by side beside 4 charts do not fit"):
        grid_figure(charted(grid_of(1, 3, width=70.0), *[DELETION] * 4))
    with pytest.raises(FigureError, match="at most 4 charts"):
        charted(grid_of(1, 1), *[DELETION] * 5)
    with pytest.raises(FigureError, match="1 to 40 channels, not 0"):
        Chart("coefficients", channels=0)
    with pytest.raises(MetricError, match="steps"):
        Chart("deletion", steps=0)


@pytest.mark.parametrize(
    "look",
    [
        {},
        {"letters": "(a)", "captions": "each", "font": "serif"},
        {"venue": "nature-page", "shared": True, "signed": True, "letters": "a"},
        {"venue": "eccv", "row_titles": False, "column_titles": False, "captions": "none", "colour_bar": False},
    ],
    ids=str,
)
def test_nothing_leaves_the_figure_and_no_text_meets_another_or_a_panel(look: dict[str, Any]) -> None:
    weighted = [explanation(method, coefficients=THREE) for method in ("grad-cam", "lift-cam")]
    figure = grid_figure(charted(grid([weighted] * 2, **look | {"dpi": 200}), DELETION, BARS))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    shown = [axes for axes in figure.axes if axes.axison]
    numbers = [label for axes in shown for label in (*axes.get_yticklabels(), *axes.get_xticklabels())]
    boxes = [item.get_window_extent(renderer) for item in (*figure.texts, *numbers, *figure.axes)
             if getattr(item, "get_fontweight", str)() != "bold"]  # fmt: skip
    slack = 0.35 / 25.4 * 200
    for box in boxes:
        assert min(box.x0, box.y0) >= -slack
        assert box.x1 <= figure.bbox.width + slack and box.y1 <= figure.bbox.height + slack
    for one, other in combinations(boxes, 2):
        overlap = min(one.x1, other.x1) - max(one.x0, other.x0), min(one.y1, other.y1) - max(one.y0, other.y0)
        assert min(overlap) <= slack, (one, other)


def test_their_words_and_numbers_are_text_in_the_figures_font() -> None:
    weighted = [explanation(coefficients=THREE), explanation("lift-cam", coefficients=FOUR)]
    made = charted(grid([weighted], font="serif"), DELETION, BARS)
    svg, pdf = grid_file(made, "svg").decode(), grid_file(made, "pdf")
    for words in ("pixels removed", "probability", "100 %", "channel", "weight"):
        assert re.search(rf"<text[^>]*>[^<]*{words}", svg), words
    assert b"/Type3" not in pdf
    families = set(re.findall(r"font: [^;\"]*'([^']+)'", svg))
    assert not any("Sans" in family and "DejaVu" not in family for family in families), families
    assert grid_file(made, "pdf") == pdf


def test_the_last_digits_of_a_device_change_no_byte() -> None:
    made = charted(grid_of(1, 2), DELETION)
    (row,) = made.rows
    for point in row.curves[0][0].points.values():
        object.__setattr__(point, "value", point.value + 1e-7)
    assert grid_file(made, "pdf") == grid_file(charted(grid_of(1, 2), DELETION), "pdf")


def test_the_caption_says_how_they_were_made() -> None:
    made = charted(grid([[explanation(coefficients=THREE)]]), Chart("insertion", steps=14), BARS)
    text = latex_snippet(made, "a.pdf")
    assert (
        "Insertion: probability of the class while the most salient pixels come back out of the image blurred, in 14 "
        "steps. Coefficients: of the 8 channels"
    ) in text


def test_charts_come_back_from_json_and_may_be_texts() -> None:
    spec = FigureSpec((Shown("dog"),), (Column("grad-cam"),), charts=(Chart("deletion", 14, "mean", "logit"), BARS))
    assert FigureSpec.from_json(spec.to_json()) == spec
    read = FigureSpec.from_dict({"images": ["dog"], "columns": ["grad-cam"], "charts": ["deletion", "coefficients"]})
    assert read.charts == (DELETION, BARS)
    with pytest.raises(FigureError, match=r"figure.charts\[0\].kind is 'bars'"):
        FigureSpec.from_dict({"images": ["dog"], "columns": ["grad-cam"], "charts": ["bars"]})
