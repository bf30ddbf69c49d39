"""Colour maps where they are chosen: what others see of them, and a reason against those that mislead."""

from __future__ import annotations

import re

from cam_core.overlay import AGAINST_UNEVEN, DIVERGING, SEQUENTIAL, UNEVEN, VISIONS, colour_stops
from tests.pages.app_runs import Open, box, html, settle

FIGURE = "pages/figure/page.py"


def test_every_map_is_shown_as_it_is_and_by_every_vision(open_app: Open) -> None:
    at = open_app()
    assert 'class="cam-swatch"' not in html(at), "nothing of it is sent before somebody looks"
    at.session_state["visions-colours"] = True
    text = html(settle(at.run()))
    shown = re.findall(r'aria-label="([^"]*)" style="background: linear-gradient\(to right, ([^)]*)\)"', text)
    looks = {words: stops.split(", ") for words, stops in shown}
    assert len(looks) == (len(SEQUENTIAL) + len(UNEVEN)) * (1 + len(VISIONS))
    assert looks["jet, by grey print"] == colour_stops("jet", 17, "grey print")
    assert looks["viridis, by tritanopia"] == colour_stops("viridis", 17, "tritanopia")
    assert looks["viridis, as it is"] == colour_stops("viridis", 17)


def test_jet_is_never_the_default_and_has_a_reason_against_it(open_app: Open) -> None:
    at = open_app()
    colours = box(at, "Colours")
    assert colours.value == SEQUENTIAL[0] and colours.options[-len(UNEVEN) :] == list(UNEVEN)
    assert AGAINST_UNEVEN not in html(at)
    colours.set_value("jet").run()
    assert f"jet: {AGAINST_UNEVEN}" in html(settle(at))
    assert not {*UNEVEN} & {*box(open_app(values="Signed"), "Colours").options}


def test_a_figure_says_the_same_before_it_goes_to_print(open_app: Open) -> None:
    at = open_app(page=FIGURE, **{"print-colours": "rainbow", "dpi": "150"})
    assert f"Colours rainbow: {AGAINST_UNEVEN}" in html(at)
    at.session_state["visions-figure"] = True
    assert "cmc.batlow, by protanopia" in html(settle(at.run()))
    signed = box(open_app(page=FIGURE, values="Signed", dpi="150"), "Colours").options
    assert signed[: len(DIVERGING)] == list(DIVERGING) and "jet" not in signed
