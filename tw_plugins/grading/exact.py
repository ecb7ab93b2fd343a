r"""Are two SymPy expressions the same number, or the same function of their variables?

By value: the difference is evaluated to hundreds of digits, at several points where there are variables, so
``10^{-20}`` is not ``10^{-30}`` and no identity of trigonometry has to be known. math-verify rounds the
difference to 15 places and simplifies it.
"""

from __future__ import annotations

import random
import re
from fractions import Fraction
from typing import Any

import sympy
from sympy.core.function import AppliedUndef

from tw_plugins.grading.latex import ReadError, read
from tw_plugins.grading.numbers import Number, is_near, plain_number, stands_for

__all__ = ["are_same", "are_same_texts", "is_closed", "is_proportional"]

POINTS = 4  # where two functions are compared
LEAST_POINTS = 2  # where both have a value
DIGITS = 100  # of a difference of functions, before it is taken for 0
DIGITS_OF_CONSTANTS = 500
_LAZY = (sympy.Sum, sympy.Product, sympy.Integral, sympy.Limit, sympy.Derivative)
_SPACES = re.compile(r"(?<!\d)\s+|\s+(?!\d)")  # not between two numbers
_STEPS = (sympy.floor, sympy.ceiling, sympy.Mod)  # whose difference may show at whole numbers alone


def are_same_texts(answer: str, reference: str, tolerance: float = 0.0) -> bool:
    """Whether two expressions, as LaTeX, are the same; False where one cannot be read."""
    if _SPACES.sub("", answer) == _SPACES.sub("", reference):
        return True
    try:
        given, wanted = evaluated(read(answer)), evaluated(read(reference))
    except ReadError:
        return False
    decimals = plain_number(answer), plain_number(reference)
    return (
        are_same(given, wanted)
        or _is_rounded(decimals, given, wanted)
        or _is_within(tolerance, answer + reference, given, wanted)
    )


def evaluated(expression: Any) -> Any:
    """As far as SymPy goes by itself; functions of which nothing is known become symbols."""
    expression = expression.subs(sympy.Symbol("i", real=True), sympy.I)
    unknown = sorted(expression.atoms(AppliedUndef), key=sympy.default_sort_key)
    names = {each: sympy.Symbol(str(each).replace(" ", ""), real=True) for each in unknown}
    return expression.subs(names).doit() if names else expression.doit()


def are_same(one: Any, other: Any) -> bool:
    """Whether two evaluated expressions are the same; infinities equal only themselves."""
    if one == other:
        return not one.has(sympy.nan, sympy.zoo)
    if isinstance(one, sympy.MatrixBase) or isinstance(other, sympy.MatrixBase):
        return _are_same_matrices(one, other)
    if _is_infinite(one) or _is_infinite(other):
        return False
    return vanishes(one - other) or (one.has(*_LAZY) and one.as_dummy() == other.as_dummy())


def _are_same_matrices(one: Any, other: Any) -> bool:
    if (
        not (isinstance(one, sympy.MatrixBase) and isinstance(other, sympy.MatrixBase))
        or one.shape != other.shape
    ):
        return False
    return all(are_same(*pair) for pair in zip(one.flat(), other.flat(), strict=True))


def _is_infinite(value: Any) -> bool:
    return bool(value.has(sympy.oo, -sympy.oo, sympy.zoo, sympy.nan)) and not value.has(*_LAZY)


def vanishes(difference: Any) -> bool:
    """Whether an expression is 0 for all values of its variables."""
    if difference == 0:
        return True
    if _is_infinite(difference) or difference.has(*_LAZY):
        return False
    # As many more as the numbers in it have: x^{1/2006!} is x in its first thousands.
    bits = [part.p.bit_length() + part.q.bit_length() for part in difference.atoms(sympy.Rational)]
    more = max(bits, default=0)  # more than twice its digits
    if not difference.free_symbols:
        return _is_zero(difference, {}, DIGITS_OF_CONSTANTS + more) is True
    found = 0
    for point in points(difference):
        zero = _is_zero(difference, point, DIGITS + more)
        if zero is False:
            return False
        found += zero is True
    return found >= LEAST_POINTS


def points(expression: Any) -> list[dict[Any, Any]]:
    """Values of the variables, the same in every process: all positive, all negative, and mixed twice.

    Every other one is of whole numbers where a step function might differ there alone.
    """
    symbols = sorted(expression.free_symbols, key=str)
    chance = random.Random(len(symbols))
    whole = expression.has(*_STEPS)

    def value(number: int, place: int) -> Any:
        below = 1 if whole and number % 2 else 10**15
        size = sympy.Rational(chance.randrange(below + 1, 5 * below), below)
        return size if (0, 1, place, place + 1)[number] % 2 == 0 else -size

    signs = range(POINTS) if symbols else range(1)
    return [{symbol: value(number, place) for place, symbol in enumerate(symbols)} for number in signs]


def _is_zero(expression: Any, point: dict[Any, Any], digits: int) -> bool | None:
    """Whether it is 0 there; None where it has no value."""
    value = expression.evalf(15, subs=point, maxn=digits)
    parts = value.as_real_imag()
    if not all(part.is_Number and part.is_finite is not False for part in parts):
        return None
    # Precision 1 says that nothing was left of all digits.
    return all(part == 0 or part._prec == 1 for part in parts)


def is_proportional(one: Any, other: Any, positive: bool = False) -> bool:
    """Whether one is a constant times the other, not 0 (and positive)."""
    if one == 0 or other == 0:
        return bool(one == other)
    ratio = one / other
    here = [ratio.evalf(30, subs=point) for point in points(ratio)]
    here = [value for value in here if value.is_number and not value.has(sympy.nan, sympy.oo, sympy.zoo)]
    if len(here) < (LEAST_POINTS if ratio.free_symbols else 1):
        return False
    first = here[0]
    if first == 0 or (positive and not bool(first.is_real and first > 0)):
        return False
    return all(abs(value - first) <= abs(first) * sympy.Float("1e-20") for value in here)


def is_closed(text: str) -> bool:
    """Whether an expression has a value without any variable's."""
    try:
        return not read(text).subs(sympy.Symbol("i", real=True), sympy.I).free_symbols
    except ReadError:
        return False


def _is_rounded(decimals: tuple[Number | None, Number | None], given: Any, wanted: Any) -> bool:
    """Whether one side is a decimal that stands for the other, a number without a finite one."""
    for decimal, other, value in ((*decimals, wanted), (*reversed(decimals), given)):
        if decimal and decimal.unit and other is None and (exact := _real(value)) is not None:
            return not value.is_Rational and stands_for(decimal, exact)
    return False


def _is_within(tolerance: float, text: str, given: Any, wanted: Any) -> bool:
    """Whether two numbers are as near as the setting allows; for decimals alone."""
    if not tolerance or "." not in text:
        return False
    one, other = _real(given), _real(wanted)
    return one is not None and other is not None and is_near(one, other, tolerance)


def _real(value: Any) -> Fraction | None:
    """A real constant to 50 digits; None for anything else."""
    if not isinstance(value, sympy.Expr) or value.free_symbols:
        return None
    number = value.evalf(50)
    return Fraction(str(number)) if number.is_Float or number.is_Rational else None
