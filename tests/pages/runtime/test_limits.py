"""Who can reach the app, and how far they may go."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import pytest

from pages.runtime import limits

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "serving.md"


@pytest.mark.parametrize(
    ("address", "alone"),
    [
        ("127.0.0.1", True), ("localhost", True), ("::1", True), ("127.3.2.1", True),
        (None, False), ("", False), ("0.0.0.0", False), ("::", False), ("192.168.1.7", False),
        ("room.example", False), ("unix:///run/app.sock", False),
    ],
)  # fmt: skip
def test_folders_are_named_only_where_nobody_else_reaches_the_app(
    monkeypatch: pytest.MonkeyPatch, address: str | None, alone: bool
) -> None:
    monkeypatch.setattr("streamlit.get_option", lambda name: {"server.address": address}[name])
    assert limits.limits().folders == alone


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-Ip"])
def test_behind_a_proxy_others_reach_the_app(monkeypatch: pytest.MonkeyPatch, header: str) -> None:
    class Context:
        headers = {header: "10.0.0.7"}  # noqa: RUF012

    monkeypatch.setattr("streamlit.get_option", lambda name: "127.0.0.1")
    monkeypatch.setattr("streamlit.context", Context())
    assert limits.limits() == limits.ROOM


def written(value: int) -> str:
    """As the guide has it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if value < 1 << 20 else f"{value >> 20:,} MB"


def test_the_guide_has_the_limits() -> None:
    rows = re.findall(r"^\| `(\w+)`: .* \| (.*) \| (.*) \|$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [
        (name, written(value), written(getattr(limits.ALONE, name))) for name, value in asdict(limits.ROOM).items()
    ]
