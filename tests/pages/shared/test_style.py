"""The one style sheet: what it names exists, and what it takes from the palette is set."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from cam_core.palette import ACCENT, NOTICE, OPPOSED
from pages.shared import style, tables
from tests.pages.app_runs import Open

PAGES = Path(__file__).parents[3] / "pages"
SHEET = (PAGES / "shared/app.css").read_text(encoding="utf-8")
SOURCES = {str(path.relative_to(PAGES)): path.read_text(encoding="utf-8") for path in PAGES.rglob("*.py")}


def styles(at: AppTest) -> str:
    """What stands in style elements, which Streamlit puts beside the page."""
    return "".join(element.value for element in at._tree[2].get("html"))


def test_every_class_and_container_of_the_sheet_is_drawn_by_a_page() -> None:
    text = "".join(SOURCES.values())
    text = text.replace('tiles.grid("', 'key="tiles-').replace('tiles.grid(f"', 'key=f"tiles-')
    classes = set(re.findall(r"\.(cam-[a-z]+)", SHEET))
    keys = set(re.findall(r"st-key-([a-z-]+)", SHEET))
    assert len(classes) >= 15 and len(keys) >= 15
    assert {name for name in classes if not re.search(rf'class="[^"]*{name}\b', text)} == set()
    assert {key for key in keys if f'key="{key}' not in text and f'key=f"{key}' not in text} == set()


def test_rules_stand_in_the_sheet_alone() -> None:
    """But for those that a photo decides, or which methods' curves there are to light."""
    assert {name for name, text in SOURCES.items() if re.search(r"<style|style_rules\(", text)} == {
        "shared/style.py", "shared/photo.py", "deletion/legend.py"
    }  # fmt: skip
    assert {name for name, text in SOURCES.items() if re.search(r"st-key-", text)} == {
        "shared/photo.py", "deletion/legend.py"
    }  # fmt: skip


def test_the_page_has_the_sheet_and_the_palettes_colours(open_app: Open) -> None:
    text = styles(open_app())
    assert SHEET in text
    set_here = dict(re.findall(r"(--cam-[a-z]+): (#[0-9a-f]{6});", text))
    assert set_here == {"--cam-accent": ACCENT, "--cam-opposed": OPPOSED, "--cam-notice": NOTICE}
    assert set(re.findall(r"var\((--cam-[a-z]+)", SHEET + "".join(SOURCES.values()))) <= set(set_here)
    assert "<" not in SHEET, "a browser's page would drop the whole sheet for it, as if it were markup"


def luminance(colour: tuple[float, ...]) -> float:
    """Relative luminance of an sRGB colour from 0 to 255 (WCAG 2.2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (part / 255 for part in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5))


CONFIG = tomllib.loads((PAGES.parent / ".streamlit/config.toml").read_text(encoding="utf-8"))
THEMES = {name: CONFIG["theme"][name] for name in ("light", "dark")}


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("value", [-1.0, -0.7, 0.0, 0.4, 0.9, 1.0])
def test_the_agreement_is_readable_on_its_tint_and_stronger_ones_are_stronger(theme: str, value: float) -> None:
    letters, page = (rgb(THEMES[theme][name]) for name in ("textColor", "backgroundColor"))
    cell = re.findall(r"var\((--cam-[a-z]+)\) (\d+)%", tables.matrix(["a"], [[value]]))
    ((name, share),) = cell
    tint, part = rgb({"--cam-accent": ACCENT, "--cam-opposed": OPPOSED}[name]), int(share) / 100
    behind = tuple(part * a + (1 - part) * b for a, b in zip(tint, page, strict=True))
    light, dark = sorted((luminance(letters), luminance(behind)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5
    assert part == pytest.approx(0.7 * value**2, abs=0.01)


@pytest.mark.parametrize("theme", THEMES)
def test_the_letters_of_a_chosen_method_stand_out_from_its_tint(theme: str) -> None:
    (share,) = re.findall(r"data-tag\] \{ background: color-mix\(in srgb, var\(--cam-accent\) (\d+)%", SHEET)
    (accent,) = re.findall(r"--cam-accent: (#[0-9a-f]{6})", style._COLOURS)
    page, letters = (rgb(THEMES[theme][name]) for name in ("secondaryBackgroundColor", "textColor"))
    part = int(share) / 100
    behind = tuple(part * a + (1 - part) * b for a, b in zip(rgb(accent), page, strict=True))
    light, dark = sorted((luminance(letters), luminance(behind)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_a_message_begins_with_the_methods_title_or_a_capital() -> None:
    assert style.sentence("lrp-cam: no rule for this layer") == "LRP-CAM: no rule for this layer."
    assert style.sentence("lrp-cam has no rule") == "LRP-CAM has no rule."
    assert style.sentence("no rule!") == "No rule!"
    assert style.sentence("no rule (of any kind)") == "No rule (of any kind)."
    assert style.sentence("no rule (there is none.)") == "No rule (there is none.)"
    assert style.sentence("net.v2.pth is damaged") == "net.v2.pth is damaged.", "a file is called as it is"
