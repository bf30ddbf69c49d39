"""Targets as they are written: what each string means, and what is refused with which words."""

from __future__ import annotations

import pytest

from cam_core.targets import Difference, Negative, Probability, Sum, TargetScore, Value, read_target
from cam_core.types import TargetError

LABELS = [
    "tabby",
    "tiger cat",
    "black-and-tan",
    "cat | dog",
    "Cardigan, Welsh",
    "black",
    "and-tan",
    "7",
    "a - b",
    "p(x)",
]


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("tabby - tiger cat", Difference(0, 1)),
        ("Tiger Cat-TABBY", Difference(1, 0)),
        ("tabby − 1", Difference(0, 1)),
        ("1 - 0", Difference(1, 0)),
        ("-tabby", Negative(0)),
        ("−5", Negative(5)),
        ("- black-and-tan", Negative(2)),
        ("tabby | tiger cat", Sum(0, 1)),
        ("0|1 | Cardigan, Welsh", Sum(0, 1, 4)),
        ("cat | dog | tabby", Sum(3, 0)),
        ("cat | dog - black-and-tan", Difference(3, 2)),
        ("Cardigan, Welsh - black-and-tan", Difference(4, 2)),
        ("p(tabby)", Probability(0)),
        ("p( 3 )", Probability(3)),
        ("value", Value()),
        ("-value", Value(negative=True)),
        ('"7" - 6', Difference(7, 6)),
        ("7 - 6", Difference(7, 6)),
        ('"a - b" - tabby', Difference(8, 0)),
        ("12 - 900", Difference(12, 900)),
    ],
)
def test_a_target_is_read(text: str, meaning: TargetScore) -> None:
    assert read_target(text, LABELS) == meaning


@pytest.mark.parametrize(
    ("text", "index"), [("black-and-tan", 2), ("cat | dog", 3), ("cardigan, welsh", 4), ("A - B", 8), ("p(x)", 9)]
)
def test_a_label_is_its_class_whatever_signs_are_in_it(text: str, index: int) -> None:
    assert read_target(text, LABELS) == index


def test_an_index_is_not_taken_for_a_label_of_digits() -> None:
    """What a score writes of itself are indices: it must be read as it was meant."""
    labels = ["1", "2", "0"]
    assert read_target("0 - 1", labels) == Difference(0, 1)
    assert read_target('"0" - "1"', labels) == Difference(2, 0)


@pytest.mark.parametrize(
    "score", [Difference(3, 2), Negative(5), Sum(4, 0, 1), Probability(6), Value(), Value(negative=True)]
)
def test_what_a_score_writes_is_read_again(score: TargetScore) -> None:
    assert read_target(score.text, LABELS) == score


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tabby - tger cat", "no class is called 'tger cat' (near: tiger cat)"),
        ("-cow", "no class is called 'cow'"),
        ("tabby - ", 'write "A - B", "-A", "A | B" or "p(A)"'),
        ("tabby | ", "cannot read the target 'tabby | '"),
        ("p(cow)", "cannot read the target 'p(cow)'"),
        ("", "cannot read the target ''"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, message: str) -> None:
    with pytest.raises(TargetError) as caught:
        read_target(text, LABELS)
    assert message in str(caught.value)


def test_two_readings_are_refused_and_quotation_marks_decide() -> None:
    labels = ["a", "a-b", "c", "b-c"]
    with pytest.raises(TargetError, match=r'can be read as "0 - 3", or "1 - 2".*quotation marks'):
        read_target("a-b-c", labels)
    assert read_target('"a-b"-c', labels) == Difference(1, 2)
