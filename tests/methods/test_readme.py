"""The README's table of methods is the registry's."""

from __future__ import annotations

from pathlib import Path

from cam_core.cli.methods import methods_markdown

README = Path(__file__).parents[2] / "README.md"


def test_table_is_up_to_date() -> None:
    text = README.read_text(encoding="utf-8")
    table = text.split("<!-- methods -->")[1].split("<!-- /methods -->")[0].strip()
    assert table == methods_markdown(), "replace it by: python -m cam_core methods --markdown"
