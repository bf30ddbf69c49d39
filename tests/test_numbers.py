"""Numbers as people read them."""

from __future__ import annotations

import pytest

from cam_core.numbers import decimals, number, significant

THIN = "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("value", "places", "sign", "text"),
    [(0.123, 2, "", "0.12"), (-0.5, 1, "", "−0.5"), (-0.001, 2, "", "0.00"), (0.5, 1, "+", "+0.5"), (-2, 0, "+", "−2")],
)
def test_decimals(value: float, places: int, sign: str, text: str) -> None:
    assert decimals(value, places, sign) == text


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (2.4e-5, 1, f"2{THIN}×{THIN}10⁻⁵"),
        (-3.14e12, 2, f"−3.1{THIN}×{THIN}10¹²"),
        (0.25, 3, "0.25"),
        (-12.0, 3, "−12"),
    ],
)
def test_significant_digits(value: float, digits: int, text: str) -> None:
    assert significant(value, digits) == text
    assert " " not in text, "a line is never broken inside a number"


@pytest.mark.parametrize(
    ("value", "largest", "text"),
    [
        (1.24e-4, 1.31e-4, f"1.24{THIN}×{THIN}10⁻⁴"),
        (-1.24e-4, 1.31e-4, f"−1.24{THIN}×{THIN}10⁻⁴"),
        (0.002, 0.738, "0.002"),
        (-0.0001, 0.738, "0"),
        (12345.6, 12345.6, "12346"),
        (0.0, 1e-9, "0"),
    ],
)
def test_a_number_beside_others(value: float, largest: float, text: str) -> None:
    assert number(value, largest) == text
