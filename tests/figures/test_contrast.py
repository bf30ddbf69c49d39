"""The figure of two classes: which panels there are, what stands over them, and whose colours they have."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from cam_core import Explanation
from cam_core.analysis.contrast import Contrast, class_contrast
from cam_core.figures import SINGLE_COLUMN, Design, FigureError, contrast_figure, encode_figure
from cam_core.overlay import DIVERGING, overlay

PHOTO = Image.new("RGB", (40, 40), (120, 120, 120))
RAMP = np.linspace(-1, 3, 16, dtype=np.float32).reshape(4, 4)
FAST = Design(signed=True, dpi=60)


def made(raw: np.ndarray, target: int | str, method: str, trained: bool = True) -> Explanation:
    label = {0: "cat", 1: "dog"}.get(target, "cat − dog")  # type: ignore[arg-type]
    return Explanation(method, "tiny", "conv", target, label, 5.0, 0.5, raw, raw, trained=trained)


def contrast(method: str = "grad-cam", between: bool = True, trained: bool = True) -> Contrast:
    a, b = made(RAMP, 0, method, trained), made(RAMP[::-1].copy(), 1, method, trained)
    return class_contrast(a, b, made(a.map - b.map, "0 - 1", method) if between else None)


def panels(figure: Figure) -> list[np.ndarray]:
    """The pixels of every panel, colour bars left out."""
    return [
        np.asarray(image.get_array()) for axes in figure.axes for image in axes.images if image.get_array().ndim == 3
    ]


def titles(figure: Figure) -> list[str]:
    return [axes.get_title().replace("\n", " ") for axes in figure.axes if axes.get_title()]


def test_a_row_for_each_method_and_a_column_for_each_map() -> None:
    figure = contrast_figure(PHOTO, [contrast(), contrast("lift-cam")], FAST)
    assert len(panels(figure)) == 8
    assert titles(figure) == ["cat", "dog", "Difference of the two", "Map of cat − dog"]
    assert [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()] == ["Grad-CAM", "LIFT-CAM"]


def test_without_the_contrast_there_are_three_columns_and_a_missing_one_is_blank() -> None:
    assert titles(contrast_figure(PHOTO, [contrast(between=False)], FAST)) == ["cat", "dog", "Difference of the two"]
    assert len(panels(contrast_figure(PHOTO, [contrast(), contrast("lift-cam", between=False)], FAST))) == 7


def test_the_panels_are_the_maps_on_their_scales() -> None:
    shown = contrast()
    a, b, apart, between = panels(contrast_figure(PHOTO, [shown], FAST))
    size = (a.shape[1], a.shape[0])
    photo = PHOTO.resize(size)
    for panel, raw, end in ((a, shown.a.map, 3.0), (b, shown.b.map, 3.0), (apart, shown.difference, 3.2)):
        expected = np.asarray(overlay(photo, raw, 0.5, DIVERGING[0], (-end, end)))
        assert np.abs(panel.astype(int) - expected).max() <= 2
    np.testing.assert_array_equal(apart, between)


def test_an_untrained_network_is_named_and_width_is_exact() -> None:
    figure = contrast_figure(PHOTO, [contrast(trained=False)], Design(signed=True, width=SINGLE_COLUMN, dpi=60))
    assert titles(figure)[0] == "cat (untrained network)"
    assert figure.get_size_inches()[0] * 25.4 == pytest.approx(SINGLE_COLUMN)
    assert encode_figure(figure, "svg") == encode_figure(
        contrast_figure(PHOTO, [contrast(trained=False)], Design(signed=True, width=SINGLE_COLUMN, dpi=60)), "svg"
    ), "the same figure gives the same bytes"


def test_there_must_be_something_to_draw() -> None:
    with pytest.raises(FigureError, match="at least one method"):
        contrast_figure(PHOTO, [])
