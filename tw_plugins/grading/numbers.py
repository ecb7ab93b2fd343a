r"""Numbers as answers write them: ``-1,234``, ``3\frac{1}{2}``, ``0.\overline{3}``, ``7\times10^{37}``.

A decimal is itself. Only for a number that has no finite decimal it may stand, as its value rounded or
cut off at the last digit, of seven significant digits or more: ``0.3333333`` is one third, ``0.33`` is not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["Number", "are_equal", "is_near", "plain_number"]

LEAST_DIGITS = 7  # significant ones that a rounded value has
MOST_POWER = 1000  # of ten; a longer number is compared in the worker

_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)"  # "1,234" is a number and "12,34" is not
_DECIMAL = re.compile(rf"({_DIGITS})?(?:\.([0-9]+))?")
_RECURRING = re.compile(
    r"([0-9]*)\.([0-9]*)(?:\\(?:overline|bar|overbar|dot)\s*\{?([0-9]+)\}?|\(([0-9]+)\)|()\\ldots)"
)
_TWO_DOTS = re.compile(r"\\dot\s*\{?([0-9])\}?([0-9]*)\\dot\s*\{?([0-9])\}?")
_QUOTIENT = re.compile(
    r"(.+?)/(.+)|\\frac\s*(?:\{([^{}]+)\}\s*(?:\{([^{}]+)\}|([0-9]))|([0-9])\s*(?:\{([^{}]+)\}|([0-9])))"
)
_MIXED = re.compile(r"([0-9]+)\s*(\\frac.*|(?<=\s)[0-9]+/[0-9]+)")
_SCIENTIFIC = re.compile(
    r"(?:(.+?)\s*(?:\\times|\\cdot|\*)\s*)?10\s*\^\s*(?:\{\s*([+-]?[0-9]+)\s*\}|([0-9]))"
)


@dataclass(frozen=True)
class Number:
    """A value; ``unit`` is that of its last digit; None where it has no decimal point, and is exact."""

    value: Fraction
    unit: Fraction | None = None

    def negated(self) -> Number:
        return Number(-self.value, self.unit)


def plain_number(text: str) -> Number | None:
    r"""The number that ``text`` is, None for anything else. Its one operation is a quotient."""
    text = _without_brackets(text.strip())
    if text[:1] in {"+", "-"}:
        rest = text[1:].strip()
        number = None if rest[:1] in {"+", "-"} else plain_number(rest)
        return number and (number.negated() if text[0] == "-" else number)
    if not text or not (text[0] in ".0123456789" or text.startswith("\\frac")):
        return None
    return _decimal(text) or _recurring(text) or _mixed(text) or _scientific(text) or _quotient(text)


def _simple(text: str) -> Number | None:
    """An integer or a decimal with its sign; no quotient, so that this ends."""
    text = _without_brackets(text.strip())
    sign, bare = (text[0], text[1:].strip()) if text[:1] in {"+", "-"} else ("", text)
    number = _decimal(bare)
    return number.negated() if number and sign == "-" else number


def are_equal(one: Number, other: Number, tolerance: float) -> bool:
    """Whether two numbers are the same; ``tolerance`` is relative and for decimals alone."""
    if one.value == other.value:
        return True
    if one.unit is None and other.unit is None:
        return False
    if tolerance and is_near(one.value, other.value, tolerance):
        return True
    return _is_rounded(one, other) or _is_rounded(other, one)


def is_near(one: Fraction, other: Fraction, tolerance: float) -> bool:
    """Whether the difference is at most ``tolerance`` of the larger of the two."""
    return abs(one - other) <= Fraction(tolerance) * max(abs(one), abs(other))


def _is_rounded(decimal: Number, exact: Number) -> bool:
    return exact.unit is None and not _is_finite(exact.value) and stands_for(decimal, exact.value)


def stands_for(decimal: Number, value: Fraction) -> bool:
    """Whether ``decimal`` is ``value``, rounded or cut off at its last digit."""
    if decimal.unit is None or len(str(abs(decimal.value / decimal.unit))) < LEAST_DIGITS:
        return False
    return abs(decimal.value - value) < decimal.unit


def _is_finite(value: Fraction) -> bool:
    below = value.denominator
    for prime in (2, 5):
        while below % prime == 0:
            below //= prime
    return below == 1


def _without_brackets(text: str) -> str:
    while len(text) > 2 and text[0] + text[-1] in {"()", "{}"} and not re.search(r"[(){}]", text[1:-1]):
        text = text[1:-1].strip()
    return text


def _decimal(text: str) -> Number | None:
    match = _DECIMAL.fullmatch(text)
    if not match or not (match[1] or match[2]):
        return None
    whole, places = (match[1] or "0").replace(",", ""), match[2]
    if places is None:
        return Number(Fraction(int(whole)))
    unit = Fraction(1, 10 ** len(places))
    return Number(int(whole + places) * unit, unit)


def _recurring(text: str) -> Number | None:
    text = _TWO_DOTS.sub(r"\\overline{\1\2\3}", text)
    match = _RECURRING.fullmatch(text.replace(" ", ""))
    if not match:
        return None
    whole, fixed, period = match[1] or "0", match[2], match[3] or match[4]
    if period is None:
        fixed, period = _period(fixed)
    if not period:
        return None
    value = int(whole + fixed) + Fraction(int(period), 10 ** len(period) - 1)
    return Number(value / 10 ** len(fixed))


def _period(digits: str) -> tuple[str, str]:
    r"""``1666`` of ``0.1666\ldots`` → ``1``, ``6``: what ends it three times, or twice if long."""
    for length in range(1, len(digits) // 2 + 1):
        times = 3 if length < 3 else 2
        period = digits[-length:]
        if digits.endswith(period * times):
            while digits.endswith(period):
                digits = digits[:-length]
            return digits, period
    return digits, ""


def _mixed(text: str) -> Number | None:
    match = _MIXED.fullmatch(text)
    part = _quotient(match[2].strip()) if match else None
    if match is None or part is None or not 0 <= part.value < 1:
        return None
    return Number(int(match[1]) + part.value)


def _scientific(text: str) -> Number | None:
    match = _SCIENTIFIC.fullmatch(text)
    if not match:
        return None
    number = _simple(match[1]) if match[1] else Number(Fraction(1))
    power = int(match[2] or match[3])
    if number is None or abs(power) > MOST_POWER:
        return None
    scale = Fraction(10) ** power
    return Number(number.value * scale, number.unit and number.unit * scale)


def _quotient(text: str) -> Number | None:
    match = _QUOTIENT.fullmatch(text)
    if not match:
        return None
    parts = [_simple(part) for part in match.groups() if part is not None]
    if len(parts) != 2 or parts[0] is None or parts[1] is None or not parts[1].value:
        return None
    # a quotient of decimals is exact: nobody rounds both
    return Number(parts[0].value / parts[1].value)
