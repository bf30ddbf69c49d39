"""What was computed last, for all visitors, and for whom it is kept. No Streamlit inside."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, TypeVar

T = TypeVar("T")


class Store:
    """The results computed last, by key; the oldest leave first. Safe to use from several threads.

    Whoever puts or gets a value owns it too; it goes when all its owners have left. What has no owner stays.

    Args:
        capacity: how many are kept in all; for one owner, not more than the `most` that goes with each request.
    """

    def __init__(self, capacity: int = 512) -> None:
        self._capacity = capacity
        self._kept: OrderedDict[str, Any] = OrderedDict()
        self._owners: dict[str, set[str]] = {}
        self._mutex = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: str, owner: str = "", most: int = 512) -> Any:
        """The value that was put there, or None."""
        with self._mutex:
            if key in self._kept:
                self._own(key, owner, most)
            return self._kept.get(key)

    def share(self, key: str, value: T, owner: str = "", most: int = 512) -> T:
        """The value that is kept there; where there is nothing, `value` from now on."""
        with self._mutex:
            kept: T = self._kept.setdefault(key, value)
            self._own(key, owner, most)
            return kept

    def put(self, key: str, value: Any, owner: str = "", most: int = 512) -> None:
        """Keep a value."""
        with self._mutex:
            self._kept[key] = value
            self._own(key, owner, most)

    def disown(self, owner: str) -> None:
        """The owner has left: what nobody else owns goes."""
        with self._mutex:
            for key in [key for key, owners in self._owners.items() if owner in owners]:
                self._let_go(key, owner)

    def _own(self, key: str, owner: str, most: int) -> None:
        self._kept.move_to_end(key)
        if owner:
            self._owners.setdefault(key, set()).add(owner)
            own = [other for other in self._kept if owner in self._owners.get(other, ())]
            for oldest in own[: max(0, len(own) - most)]:
                self._let_go(oldest, owner)
        while len(self._kept) > self._capacity:
            oldest, _ = self._kept.popitem(last=False)
            self._owners.pop(oldest, None)

    def _let_go(self, key: str, owner: str) -> None:
        owners = self._owners[key]
        owners.discard(owner)
        if not owners:
            del self._owners[key], self._kept[key]
