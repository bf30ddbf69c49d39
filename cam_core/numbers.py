"""Numbers as people read them: a true minus, powers of ten instead of "e-05", and no place to break a line."""

from __future__ import annotations

from math import floor, log10

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_TIMES_TEN = "\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}10"


def decimals(value: float, places: int, sign: str = "") -> str:
    """So many places after the point; nothing is "−0.00". `sign="+"` shows a plus, too."""
    return _written(f"{value:{sign}z.{places}f}")


def significant(value: float, digits: int, sign: str = "") -> str:
    """So many significant digits, and no zeros behind them: "0.25", "−3.1", "2 × 10⁻⁵"."""
    return _written(f"{value:{sign}.{digits}g}")


def scientific(value: float, places: int, sign: str = "") -> str:
    """So many places after the first digit, and a power of ten: "1.2 × 10⁻⁴"."""
    return _written(f"{value:{sign}.{places}e}")


def number(value: float, largest: float) -> str:
    """A value beside others up to `largest`, of which three significant digits are shown: "0.002" beside "0.738"."""
    if largest == 0 or not 1e-3 <= largest < 1e5:
        return scientific(value, 2) if value else "0"
    text = f"{value:.{max(0, 2 - floor(log10(largest)))}f}"
    return _written(text) if float(text) else "0"


def _written(text: str) -> str:
    digits, e, exponent = text.partition("e")
    power = f"{_TIMES_TEN}{str(int(exponent)).translate(_SUPERSCRIPT)}" if e else ""
    return digits.replace("-", "−") + power
