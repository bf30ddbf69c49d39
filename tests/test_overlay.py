"""Pictures of maps: colours, limits and blending, checked against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib import colormaps
from PIL import Image

from cam_core import maps
from cam_core.overlay import (
    ACTIVATION,
    DIVERGING,
    SEQUENTIAL,
    UNEVEN,
    VISIONS,
    ColourMapError,
    close_up,
    colour_bar,
    colour_stops,
    colourise,
    display_values,
    framed,
    limits,
    outlined,
    overlay,
    percentiles,
    seen_by,
    shaded,
)
from cam_core.types import CamError

SIGNED = np.array([[-2.0, 0.0], [1.0, 4.0]], dtype=np.float32)


def rgb(name: str, position: float) -> list[int]:
    return [int(channel) for channel in colormaps[name](position, bytes=True)[:3]]


@pytest.mark.parametrize("name", SEQUENTIAL + DIVERGING)
def test_colourise_puts_the_limits_at_the_ends(name: str) -> None:
    pixels = colourise(np.array([[3.0, 7.0]], dtype=np.float32), name, limits=(3.0, 7.0))
    assert pixels.dtype == np.uint8 and pixels.shape == (1, 2, 3)
    assert pixels[0].tolist() == [rgb(name, 0.0), rgb(name, 1.0)]


def test_percentiles_are_shares_of_the_picture_and_keep_the_sign() -> None:
    """Of four positions one is no farther from 0 than 0 itself, two than 1, three than −2, all than 4."""
    np.testing.assert_array_equal(percentiles(SIGNED), [[-75, 0], [50, 100]])
    np.testing.assert_array_equal(percentiles(SIGNED * 1e-6), percentiles(SIGNED))
    np.testing.assert_array_equal(percentiles(np.array([[1, 1], [0, 3]], dtype=np.float32)), [[75, 75], [0, 100]])


@pytest.mark.parametrize("value", [0.0, 3.0, -3.0])
def test_a_constant_map_has_no_percentiles(value: float) -> None:
    np.testing.assert_array_equal(percentiles(np.full((2, 2), value, dtype=np.float32)), np.zeros((2, 2)))


def test_colourise_takes_the_nearer_end_beyond_the_limits() -> None:
    pixels = colourise(np.array([[-9.0, 9.0]], dtype=np.float32), "viridis", limits=(0.0, 1.0))
    assert pixels[0].tolist() == [rgb("viridis", 0.0), rgb("viridis", 1.0)]


def test_zero_is_neutral_in_a_diverging_map() -> None:
    pixels = colourise(SIGNED, "RdBu_r", limits=limits([SIGNED], signed=True))
    assert pixels[0, 1].tolist() == rgb("RdBu_r", 0.5)
    assert pixels[0, 0].tolist() == rgb("RdBu_r", 0.25)


def test_a_constant_map_has_no_scale() -> None:
    zeros = np.zeros((2, 2), dtype=np.float32)
    assert (colourise(zeros, "inferno", limits=(0.0, 0.0)) == rgb("inferno", 0.0)).all()
    assert (colourise(zeros, "PuOr_r", limits=(0.0, 0.0)) == rgb("PuOr_r", 0.5)).all()


def test_sequential_maps_grow_steadily_lighter() -> None:
    for name in SEQUENTIAL:
        light = colourise(np.linspace(0, 1, 64, dtype=np.float32)[None], name)[0] @ [0.2126, 0.7152, 0.0722]
        assert (np.diff(light) > -0.5).all(), name


def test_limits_own_and_shared() -> None:
    small = np.array([[0.5, 1.0]], dtype=np.float32)
    assert limits([small]) == (0.5, 1.0)
    assert limits([small, SIGNED]) == (-2.0, 4.0)
    assert limits([small, SIGNED], signed=True) == (-4.0, 4.0)
    assert limits([]) == (0.0, 0.0)


def test_display_values_are_what_the_saliency_is_made_of() -> None:
    """Own scale, positive: the picture shows `Explanation.saliency` to the bit."""
    raw = torch.randn(7, 7, generator=torch.Generator().manual_seed(1))
    values = display_values(raw.numpy(), (64, 48))
    low, high = limits([values])
    np.testing.assert_allclose((values - low) / (high - low), maps.saliency(raw[None], (64, 48))[0], atol=1e-6)


def test_display_values_keep_the_sign_where_asked() -> None:
    assert display_values(SIGNED, (2, 2)).tolist() == [[0.0, 0.0], [1.0, 4.0]]
    assert display_values(SIGNED, (2, 2), signed=True).tolist() == SIGNED.tolist()


def test_overlay_blends() -> None:
    photo = Image.new("RGB", (2, 2), (100, 100, 100))
    ones = np.ones((2, 2), dtype=np.float32)
    top = np.array(rgb("inferno", 1.0))
    assert (np.asarray(overlay(photo, ones, opacity=0.0)) == 100).all()
    assert (np.asarray(overlay(photo, ones, opacity=1.0)) == top).all()
    half = np.asarray(overlay(photo, ones, opacity=0.5)).astype(float)
    np.testing.assert_allclose(half, np.broadcast_to(0.5 * 100 + 0.5 * top, (2, 2, 3)), atol=1)


def test_overlay_stretches_the_map_over_the_photo() -> None:
    photo = Image.new("L", (40, 20), 0)
    picture = overlay(photo, np.array([[0.0, 1.0]], dtype=np.float32), opacity=1.0, colour_map="viridis")
    assert picture.size == (40, 20) and picture.mode == "RGB"
    assert picture.getpixel((0, 10)) == tuple(rgb("viridis", 0.0))
    assert picture.getpixel((39, 10)) == tuple(rgb("viridis", 1.0))


def test_overlay_refuses_an_impossible_opacity() -> None:
    with pytest.raises(ValueError, match=r"opacity 1\.5 is out of range"):
        overlay(Image.new("RGB", (2, 2)), SIGNED, opacity=1.5)


def test_unknown_colour_map_is_named_and_the_known_are_listed() -> None:
    with pytest.raises(ColourMapError, match=r"unknown colour map 'hsv'; there are: inferno") as caught:
        colourise(SIGNED, "hsv")
    assert isinstance(caught.value, CamError)


def test_colour_bar_and_stops_run_from_low_to_high() -> None:
    bar = colour_bar("magma", width=100, height=5)
    assert bar.size == (100, 5)
    assert (bar.getpixel((0, 0)), bar.getpixel((99, 4))) == (tuple(rgb("magma", 0.0)), tuple(rgb("magma", 1.0)))
    stops = colour_stops("magma", 5)
    assert len(stops) == 5
    assert stops[0] == "#{:02x}{:02x}{:02x}".format(*rgb("magma", 0.0))


def test_shading_covers_the_photo_as_far_as_the_channel_is_active() -> None:
    """By hand: opacity 0.85 · |value| ∕ 4 of the colour map between −4 and 4, over the photo's own grey."""
    picture = np.asarray(shaded(Image.new("RGB", (2, 2), (200, 100, 50)), SIGNED), dtype=float)
    grey = round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)
    for row, column in np.ndindex(2, 2):
        value = float(SIGNED[row, column])
        cover, colour = 0.85 * abs(value) / 4, np.array(rgb(ACTIVATION, (value + 4) / 8))
        np.testing.assert_allclose(picture[row, column], (1 - cover) * grey + cover * colour, atol=1.5)


def test_a_silent_channel_leaves_the_photo() -> None:
    photo, nothing = Image.new("RGB", (8, 8), (90, 90, 90)), np.zeros((8, 8), dtype=np.float32)
    assert (np.asarray(shaded(photo, nothing)) == 90).all()
    assert (np.asarray(outlined(photo, nothing)) == 90).all()


def test_outlines_run_where_a_level_is_crossed() -> None:
    """A ramp from 0 to 1 over 81 columns: a quarter is reached at column 20, a half at 40, three quarters at 60."""
    ramp = np.tile(np.linspace(0, 1, 81, dtype=np.float32), (9, 1))
    row = np.asarray(outlined(Image.new("RGB", (81, 9), (90, 90, 90)), -ramp))[4, :, 0]
    assert [int(at) for at in np.flatnonzero(row == 255)] == [19, 20, 39, 40, 59, 60]
    assert [int(at) for at in np.flatnonzero(row == 0)] == [18, 21, 38, 41, 58, 61], "a dark edge, for light photos"


def quarters() -> Image.Image:
    """40 × 20: left half black, right half white."""
    photo = Image.new("RGB", (40, 20))
    photo.paste("white", (20, 0, 40, 20))
    return photo


def test_close_up_cuts_the_box_from_the_original() -> None:
    picture = close_up(quarters(), (20.2, 0.0, 39.8, 20.0), side=100)
    assert picture.size == (100, 100)
    assert picture.getextrema() == ((255, 255),) * 3


def test_close_up_is_black_beyond_the_image() -> None:
    picture = close_up(quarters(), (30.0, -10.0, 50.0, 10.0), side=20)
    assert picture.size == (20, 20)
    assert picture.getpixel((2, 17)) == (255, 255, 255)
    assert picture.getpixel((2, 2)) == picture.getpixel((17, 17)) == (0, 0, 0)


def test_framed_darkens_what_the_network_does_not_see() -> None:
    photo = Image.new("RGB", (40, 20), (200, 200, 200))
    picture = framed(photo, (10.0, 0.0, 30.0, 20.0), side=80)
    assert picture.size == (80, 40)
    assert picture.getpixel((5, 20)) == pytest.approx((80, 80, 80), abs=1)
    assert picture.getpixel((40, 20)) == (200, 200, 200)
    assert picture.getpixel((20, 20)) == picture.getpixel((59, 20)) == (255, 255, 255)


def test_framed_keeps_the_line_inside_where_the_frame_reaches_beyond_the_photo() -> None:
    picture = framed(Image.new("RGB", (20, 20)), (-5.0, -5.0, 25.0, 25.0), side=20)
    assert picture.getpixel((0, 0)) == picture.getpixel((19, 19)) == (255, 255, 255)


def luminance(colours: list[str]) -> np.ndarray:
    """Of "#rrggbb", linear: IEC 61966-2-1 and ITU-R BT.709."""
    encoded = np.array([[int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for colour in colours])
    light = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return light @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("vision", ["", *VISIONS])
def test_offered_maps_grow_lighter_for_everybody_and_the_uneven_do_not(vision: str) -> None:
    for name in SEQUENTIAL:
        assert (np.diff(luminance(colour_stops(name, 17, vision))) > -2e-3).all(), name
    for name in UNEVEN:
        light = luminance(colour_stops(name, 17, vision))
        assert light[1:-1].max() > 1.3 * max(light[0], light[-1]), "brightest in its middle"


def test_colours_are_seen_as_machados_matrices_have_them() -> None:
    white, grey = np.full((1, 3), 255, dtype=np.uint8), np.full((1, 3), 90, dtype=np.uint8)
    for vision in VISIONS:
        assert np.abs(seen_by(white, vision).astype(int) - 255).max() <= 1, "whoever sees it, white is white"
        assert np.abs(seen_by(grey, vision).astype(int) - 90).max() <= 1
    red = np.array([[255, 0, 0]], dtype=np.uint8)
    # Of linear light (1, 0, 0) deuteranopia leaves the first column of its matrix, 0 at least.
    expected = [255 * (1.055 * light ** (1 / 2.4) - 0.055) for light in (0.367322, 0.280085)]
    assert seen_by(red, "deuteranopia")[0].tolist() == [*(round(value) for value in expected), 0]
    assert len(set(seen_by(red, "grey print")[0].tolist())) == 1


def test_jet_is_there_for_whoever_asks_for_it_by_name() -> None:
    assert not {*UNEVEN} & {*SEQUENTIAL, *DIVERGING}
    assert colour_stops("jet", 2)[0].startswith("#0000")
