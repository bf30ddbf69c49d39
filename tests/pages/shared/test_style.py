"""The one style sheet: what it names exists, and what it takes from the palette is set."""

from __future__ import annotations

import re
from pathlib import Path

from streamlit.testing.v1 import AppTest

from cam_core.palette import AGAINST, FOR, NOTICE
from tests.pages.app_runs import Open

PAGES = Path(__file__).parents[3] / "pages"
SHEET = (PAGES / "shared/app.css").read_text(encoding="utf-8")
SOURCES = {str(path.relative_to(PAGES)): path.read_text(encoding="utf-8") for path in PAGES.rglob("*.py")}


def styles(at: AppTest) -> str:
    """What stands in style elements, which Streamlit puts beside the page."""
    return "".join(element.value for element in at._tree[2].get("html"))


def test_every_class_and_container_of_the_sheet_is_drawn_by_a_page() -> None:
    text = "".join(SOURCES.values())
    classes = set(re.findall(r"\.(cam-[a-z]+)", SHEET))
    keys = set(re.findall(r"st-key-([a-z-]+)", SHEET))
    assert len(classes) >= 15 and len(keys) >= 15
    assert {name for name in classes if not re.search(rf'class="[^"]*{name}\b', text)} == set()
    assert {key for key in keys if f'key="{key}' not in text and f'key=f"{key}' not in text} == set()


def test_rules_stand_in_the_sheet_alone() -> None:
    """But for those that a photo decides."""
    assert {name for name, text in SOURCES.items() if re.search(r"<style|style_rules\(", text)} == {
        "shared/style.py", "shared/photo.py"
    }  # fmt: skip
    assert {name for name, text in SOURCES.items() if re.search(r"st-key-", text)} == {"shared/photo.py"}


def test_the_page_has_the_sheet_and_the_palettes_colours(open_app: Open) -> None:
    text = styles(open_app())
    assert SHEET in text
    set_here = dict(re.findall(r"(--cam-[a-z]+): (#[0-9a-f]{6});", text))
    assert set_here == {"--cam-accent": FOR, "--cam-against": AGAINST, "--cam-notice": NOTICE}
    assert set(re.findall(r"var\((--cam-[a-z]+)", SHEET + "".join(SOURCES.values()))) <= set(set_here)
