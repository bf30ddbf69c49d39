"""What is kept, for whom, and when it goes."""

from __future__ import annotations

from pages.runtime.store import Store


def test_the_oldest_leave_first() -> None:
    store = Store(capacity=2)
    store.put("a", 1)
    store.put("b", 2)
    assert store.get("a") == 1
    store.put("c", 3)
    assert (store.get("a"), store.get("b"), store.get("c"), len(store)) == (1, None, 3, 2)


def test_of_one_owner_so_many_are_kept_and_those_of_others_stay() -> None:
    store = Store()
    store.put("theirs", 0, "theirs")
    for number in range(5):
        store.put(str(number), number, "mine", most=2)
    assert [store.get(str(number)) for number in range(5)] == [None, None, None, 3, 4]
    assert store.get("theirs") == 0


def test_how_many_are_kept_is_said_by_whoever_asks() -> None:
    store = Store()
    for number in range(4):
        store.put(str(number), number, "at the machine", most=4)
        store.put(f"other {number}", number, "elsewhere", most=1)
    assert len(store) == 5
    store.share("shared", 4, "elsewhere", most=1)
    assert (store.get("other 3"), store.get("shared"), store.get("0")) == (None, 4, 0)


def test_what_another_one_needs_too_stays_with_that_one() -> None:
    store = Store()
    store.put("shared", 1, "first", most=1)
    assert store.get("shared", "second", most=1) == 1
    store.put("another", 2, "first", most=1)
    assert store.get("shared") == 1
    store.disown("second")
    assert store.get("shared") is None and store.get("another") == 2


def test_it_goes_with_its_last_owner() -> None:
    store = Store()
    store.put("computed", 1, "first")
    assert store.share("computed", 2, "second") == 1
    store.put("nobody's", 3)
    store.disown("first")
    assert store.get("computed") == 1
    store.disown("second")
    store.disown("a stranger")
    assert (store.get("computed"), store.get("nobody's"), len(store)) == (None, 3, 1)
