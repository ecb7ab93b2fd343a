r"""What can be said about two answers by reading them: plain numbers, words, and work that is not done.

No other process is needed and nothing is computed but fractions, so the answer ``7.0`` is never held up by
others that take long. Two things are decided here against math-verify. It multiplies letters, so that ``ACB``
is ``ABC``; words are the same when their letters are. And it works out what stands in the box, so that the
problem copied into it is right; where the reference is an integer or a fraction, an answer with an operation
left is wrong. (A decimal may be the rounded value of an honest ``1+\sqrt{2}``.)
"""

from __future__ import annotations

import re
from fractions import Fraction

__all__ = ["compare_plainly", "plain_number"]

_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)"  # "1,234" is a number and "12,34" is not
_DECIMAL = re.compile(rf"([+-]?)({_DIGITS}(?:\.[0-9]+)?)")
_QUOTIENT = re.compile(r"([+-]?)(?:([0-9]+)/([0-9]+)|\\[dt]?frac\{(-?[0-9]+)\}\{([0-9]+)\})")
_ROUNDING = Fraction(1, 1000)  # math-verify may take decimals for equal that differ by less

_WORD = re.compile(r"[A-Za-z]{2,}")
_DRESS = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|operatorname)\s*\{([^{}\\]*)\}")

_RELATION = re.compile(r"[{}]|=|\\approx(?![A-Za-z])")
_SIGN = re.compile(r"(^|[=({\[|<>~^,;$]|\\quad)\s*[+-]")
_POWER_OF_TEN = re.compile(r"(?<=[0-9])\s*(?:\\times|\\cdot|\*)\s*10\s*\^")
_WORK = re.compile(
    r"[-+]|\\(?:sum|prod|int|lim|binom|gcd|lcm|min|max|[bp]?mod)(?![A-Za-z])"
    r"|(?:\*|\\times|\\cdot)\s*(?:[0-9({]|\\[dt]?frac|\\sqrt|\\left)"  # not that of two units
)


def plain_number(text: str) -> Fraction | None:
    r"""The value of ``7``, ``-1,234``, ``0.5``, ``1/2`` or ``\frac{1}{2}``; None for anything else."""
    text = text.strip()
    if match := _DECIMAL.fullmatch(text):
        return _signed(match[1], Fraction(match[2].replace(",", "")))
    match = _QUOTIENT.fullmatch(text)
    above, below = (match[2] or match[4], match[3] or match[5]) if match else ("", "0")
    return _signed(match[1], Fraction(int(above), int(below))) if match and int(below) else None


def _signed(sign: str, value: Fraction) -> Fraction:
    return -value if sign == "-" else value


def compare_plainly(answer: str, reference: str) -> bool | None:
    """Whether the two are the same, or None where only math-verify can say."""
    # Words first: math-verify multiplies their letters.
    words = _word(answer), _word(reference)
    if all(words):
        return words[0] == words[1]
    wanted = plain_number(reference)
    if wanted is None:
        return None
    given = plain_number(answer)
    if given is None:
        # The reference is an exact number: work left in the box is the problem copied, not its answer.
        return None if "." in reference or _is_worked_out(answer) else False
    if given == wanted:
        return True
    # Two exact numbers that differ are different; a decimal may be the other one, rounded.
    return None if "." in answer + reference and _are_near(given, wanted) else False


def _are_near(one: Fraction, other: Fraction) -> bool:
    return abs(one - other) <= _ROUNDING * max(Fraction(1), abs(one))


def _word(text: str) -> str:
    r"""The letters of ``ABC`` or ``\text{(ABC)}`` in lower case; empty for anything else."""
    bare = _DRESS.sub(r"\1", text).strip(" ().")
    return bare.lower() if _WORD.fullmatch(bare) else ""


def _is_worked_out(answer: str) -> bool:
    r"""Whether what stands after the last ``=`` has no operation left, and no two numbers are called equal.

    A sign, a quotient, a power, a root and ``3 \times 10^{5}`` are no operation here: answers are written so.
    """
    # A unit in \text has no operations; a number in one may.
    sides = _sides(_DRESS.sub(lambda text: text[1] if re.search("[0-9]", text[1]) else " ", answer))
    numbers = [number for side in sides if (number := plain_number(side)) is not None]
    if not all(_are_near(number, numbers[0]) for number in numbers):
        return False
    return not _WORK.search(_SIGN.sub(r"\1", _POWER_OF_TEN.sub("", sides[-1])))


def _sides(text: str) -> list[str]:
    r"""What stands between relations; the ``=`` of ``\sum_{k=1}`` lies within braces and is none."""
    sides, depth, start = [], 0, 0
    for match in _RELATION.finditer(text):
        depth += (match[0] == "{") - (match[0] == "}")
        # Below 0 after a brace too many, which must not hide what follows.
        if match[0] not in "{}" and depth <= 0:
            sides.append(text[start : match.start()])
            start = match.end()
    return [*sides, text[start:]]
