r"""math-verify's LaTeX grammar, read exactly: one expression as text → SymPy.

The grammar rounds decimals, reads ``2(3)`` as the mixed number 5, drops primes and the base of a numeral,
and takes ``a`` for ``A``; none of that here.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import sympy
from latex2sympy2_extended.latex2sympy2 import ConversionConfig, _Latex2Sympy
from latex2sympy2_extended.math_normalization import NormalizationConfig, normalize_latex

__all__ = ["ReadError", "read"]

_NORMAL = NormalizationConfig(
    basic_latex=True, units=False, malformed_operators=True, nits=False, boxed="none", equations=False
)
_CONFIG = ConversionConfig(lowercase_symbols=False)


def _named(letter: str, primes: str) -> str:
    count = len(re.findall(r"'|prime", primes))
    return rf"\text{{{letter}{'prime' * count}}}"


# What the grammar would read as something else, as something that it reads as itself.
_TABLE = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"([_^])\s*(\d)(?=\s)", r"\1{\2}"),
        # Points and words, letter by letter in order.
        (r"(?<![A-Za-z\\{])([A-Z]{2,})(?![A-Za-z])", r"\\text{\1}"),
        (r"\\(?:angle|triangle)\s*(?:\\text\{([A-Z]+)\}|([A-Z]))", r"\\text{angle\1\2}"),
        # The numeral of a base is a name: its value is another numeral.
        (r"(?<![\w.^\\])([0-9][0-9A-F.]*)\s*_\s*(?:\{\s*\(?(\d+)\)?\s*\}|(\d))", r"\\text{base\2\3digits\1}"),
        # A quotient of integers binds more closely than a product: 5/8 i, 1/2 x.
        (r"(?<![\w^_.}\)!])(\d+)\s*/\s*(\d+)(?![\w.!^]|\s*[\^!])", r"\\frac{\1}{\2}"),
        (r"(?<![\w^_.}\)!])(\d+)\s*/\s*(\d+)(?=[a-zA-Z])", r"\\frac{\1}{\2}"),
        (r"(?<![\w.^}_])(\d+)\s*\\frac\s*(\{\d+\}\s*\{\d+\}|\d\s*\d(?!\d))", r"(\1+\\frac\2)"),
        (r"([A-Za-z])\s*((?:'|\^\s*\{?\s*\\prime\s*\}?)+)", lambda primed: _named(primed[1], primed[2])),
        (r"\^\s*(?:T(?![A-Za-z])|\{\s*T\s*\}|\\top|\{\s*\\top\s*\})", r"^{\\text{T}}"),
        (r"\\(?:wide)?hat\s*(?:\{\s*(?:\\text\{)?([A-Za-z])\}?\s*\}|([A-Za-z]))", r"\\text{hat\1\2}"),
        (r"\\gamma(?![A-Za-z])", r"\\text{gamma}"),
        (r"\\Gamma(?![A-Za-z\s]*[({])", r"\\text{Gamma}"),
        (
            r"\\(?:operatorname\{|text\{)?(gcd|lcm)\}?\s*(?=\([^()]*[A-Za-z])",
            r"\\operatorname{\1of}",
        ),
        (r"\\(?:max|min)(?=\s*[_}])", r"\\text{m}"),
        (r"\\(?:cdotp|ast|star|bullet)(?![A-Za-z])", r"\\cdot "),
    )
]  # fmt: skip
# Two numbers side by side and a number with an index, among others.
_UNREADABLE = re.compile(r"\d\s*_|\d\s+\.?\d|\\ldots|&|\\\\|\?")


# Words beside a value, which the grammar would multiply it with, and the product of two vectors.
_NO_FACTOR = re.compile(
    r"(?:.\\text|^\\text(?=\{[^{}]*\}.))\{[^{}]*[a-z][^{}]*[a-z][^{}]*\}|\\vec.*\\times|\\times.*\\vec"
)


class ReadError(ValueError):
    """A text that the grammar does not read, or not in one way."""


class _Exact(_Latex2Sympy):
    """The grammar with decimals as fractions and products as products."""

    def parse_number(self, text: str) -> Any:
        return sympy.Rational(text.replace(",", ""))

    def convert_postfix_list(self, arr: Any, i: int = 0) -> Any:
        factor = self.convert_postfix(arr[i])
        if i == len(arr) - 1 or not isinstance(factor, sympy.Expr):
            return super().convert_postfix_list(arr, i)
        rest = self.convert_postfix_list(arr, i + 1)
        if getattr(factor, "is_Matrix", False) or getattr(rest, "is_Matrix", False):
            return self.mat_mul_flat(factor, rest)
        return self.mul_flat(factor, rest)


@lru_cache(maxsize=64)
def read(text: str) -> Any:
    r"""The expression that ``text`` is, not evaluated; every variable is real, ``i`` is the imaginary unit.

    Raises:
        ReadError: the text is no one expression.
    """
    if _NO_FACTOR.search(text):
        raise ReadError(text)
    for pattern, replacement in _TABLE:
        text = pattern.sub(replacement, text)
    if _UNREADABLE.search(text):
        raise ReadError(text)
    text = normalize_latex(text, _NORMAL)
    try:
        expression = _Exact(None, True, False, config=_CONFIG).parse(text)
    except (MemoryError, RecursionError):
        raise
    except Exception as error:  # the grammar raises bare ones
        raise ReadError(text) from error
    if not isinstance(expression, sympy.Expr | sympy.MatrixBase):
        raise ReadError(text)
    return expression
