"""The oracles run network by network, since only one is kept in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = [place for place, item in enumerate(items) if HERE in item.path.parents]
    for place, item in zip(places, sorted((items[place] for place in places), key=_network), strict=True):
        items[place] = item


def _network(item: pytest.Item) -> str:
    params: dict[str, Any] = item.callspec.params if hasattr(item, "callspec") else {}
    return str(params.get("network", ""))
