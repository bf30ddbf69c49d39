"""What the code gives today against what it gave when golden.json was written: changes are on purpose, or faults."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from cam_core import METHODS, METRICS
from tests.golden import stored
from tests.golden.comparing import TOLERANCE, TOLERANCES, differences
from tests.golden.measuring import ESTIMATORS, NETWORKS, measure, summary

GOLDEN = stored.read()
HINT = "If this is on purpose: python -m tests.golden.write, and name the change and its reason in CHANGELOG.md."


def of_network(name: str) -> dict[str, dict[str, Any]]:
    return {key: record for key, record in GOLDEN.items() if key.startswith(f"{name} · ")}


SLOW = ("squeezenet1_1",)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in NETWORKS]
)
def test_numbers_are_what_they_were(name: str) -> None:
    found = differences(of_network(name), measure(name))
    assert not found, "\n".join([f"{len(found)} golden numbers differ:", *found, HINT])


@pytest.mark.parametrize("name", NETWORKS)
def test_file_has_everything_that_is_registered(name: str) -> None:
    last = {key.rsplit(" · ", 1)[1] for key in of_network(name)}
    wanted = {*METHODS, *(f"metric {key}" for key in METRICS), *(f"estimator {key}" for key in ESTIMATORS)}
    assert last == wanted | {"estimator exact", "curves", "channel report"}


def test_every_method_works_somewhere() -> None:
    working = {key.rsplit(" · ", 1)[1] for key, record in GOLDEN.items() if "refused" not in record}
    assert working >= {*METHODS, *(f"metric {key}" for key in METRICS)}


def test_file_holds_no_networks_beside_these_and_is_as_the_writer_writes_it() -> None:
    assert {key.split(" · ")[0] for key in GOLDEN} == set(NETWORKS)
    assert stored.FILE.read_text(encoding="utf-8") == stored.text(GOLDEN)


KEY = "net · layer · image · grad-cam"
OLD = {KEY: {"target": 3, "passes": [1, 2], "score": 2.0, "map": summary([1.0, -2.0, 0.5, 4.0])}}


def changed(**fields: Any) -> list[str]:
    new = copy.deepcopy(OLD)
    new[KEY] |= fields
    return differences(OLD, new)


def test_equal_numbers_and_rounding_are_no_difference() -> None:
    assert differences(OLD, copy.deepcopy(OLD)) == []
    assert changed(score=2.0 * (1 + TOLERANCE / 2)) == []
    assert changed(map=summary(np.array([1.0, -2.0, 0.5, 4.0]) * (1 + TOLERANCE / 2))) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("target", 4),
        ("passes", [1, 3]),
        ("score", 2.0 * (1 + 2 * TOLERANCE)),
        ("map", summary([-2.0, 1.0, 0.5, 4.0])),  # two values changed places
        ("map", summary(np.array([1.0, -2.0, 0.5, 4.0]) * (1 + 2 * TOLERANCE))),
        ("map", summary([1.0, -2.0, 0.5, np.inf])),
        ("extra", 1.0),
    ],
)
def test_another_number_is_reported_by_its_path(field: str, value: Any) -> None:
    found = changed(**{field: value})
    assert found
    assert all(line.startswith(f"{KEY} · {field}") and "→" in line for line in found)


def test_old_and_new_number_and_what_is_allowed_are_named() -> None:
    assert changed(score=2.5) == [f"{KEY} · score: 2 → 2.5, 0.25 apart where 0.001 is allowed"]


def test_nan_is_never_what_it_was() -> None:
    assert changed(score=float("nan"))


def test_a_missing_result_and_a_new_one_are_reported() -> None:
    assert differences(OLD, {}) == [f"{KEY}: gone; was {OLD[KEY]}"]
    assert differences({}, OLD) == [f"{KEY}: not in the file; is {OLD[KEY]}"]


def test_a_refusal_in_place_of_numbers_is_reported() -> None:
    assert len(differences(OLD, {KEY: {"refused": "MethodError"}})) == 5


def test_larger_tolerances_hold_where_they_say_so_and_give_a_reason() -> None:
    old, new = ({f"n · l · i · {what}": {"value": v} for what in ("metric road", "metric adcc")} for v in (1.0, 1.05))
    assert [line.split(" · ")[3] for line in differences(old, new)] == ["metric adcc"]
    assert all(TOLERANCE < bound < 0.5 and reason for bound, reason in TOLERANCES.values())


def test_summary_by_hand() -> None:
    known = summary([[3.0, -4.0]])
    pattern = np.random.RandomState(3).standard_normal(2)
    assert known["max"] == 3 and known["mean"] == -0.5 and known["rms"] == pytest.approx(12.5**0.5)
    assert known["projection"] == pytest.approx((3 * pattern[0] - 4 * pattern[1]) / 2**0.5)
    assert summary([1.0, np.inf])["unknown"] == 1
