"""Who can reach the app, and how far they may go."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

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


def asked(monkeypatch: pytest.MonkeyPatch, **headers: str) -> limits.Limits:
    """The limits of a request with these headers to an app that listens on the loopback address."""
    monkeypatch.setattr("streamlit.get_option", lambda name: "127.0.0.1")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    monkeypatch.setattr("streamlit.context", SimpleNamespace(headers=named))
    return limits.limits()


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-Real-Ip", "Via"]
)
def test_behind_a_proxy_others_reach_the_app(monkeypatch: pytest.MonkeyPatch, header: str) -> None:
    assert asked(monkeypatch, **{header: "10.0.0.7"}) == limits.ROOM


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8501", "localhost:8501", "LOCALHOST", "[::1]:8501", "127.0.0.1"],
)  # fmt: skip
def test_whoever_sits_at_the_machine_asks_for_the_loopback_address(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    assert asked(monkeypatch, Host=host) == limits.ALONE
    assert asked(monkeypatch, Host=host, Origin=f"http://{host}") == limits.ALONE


@pytest.mark.parametrize(
    "name", ["evil.example:8501", "127.0.0.1.evil.example", "localhost.evil.example", "192.168.1.7:8501", "", "[::1"]
)
def test_a_name_that_leads_to_the_loopback_address_is_not_trusted(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert asked(monkeypatch, Host=name) == limits.ROOM
    assert asked(monkeypatch, Host="127.0.0.1:8501", Origin=f"http://{name}") == limits.ROOM
    assert asked(monkeypatch, Host="127.0.0.1:8501", Origin="null") == limits.ROOM


def written(name: str, value: int) -> str:
    """As the guide has it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value >> 20:,} MB" if name.endswith("_bytes") else f"{value:,}"


def test_the_guide_has_the_limits() -> None:
    rows = re.findall(r"^\| `(\w+)`: .* \| (.*) \| (.*) \|$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [
        (name, written(name, value), written(name, getattr(limits.ALONE, name)))
        for name, value in asdict(limits.ROOM).items()
    ]
