r"""What can be said about two answers by reading them: plain numbers, words, and work that is not done.

No other process is needed and nothing is computed but fractions, so the answer ``7.0`` is never held up by
others that take long. Work that is not done is decided here against math-verify, which works out what stands
in the box, so that the problem copied into it is right: where the reference is an integer or a fraction, an
answer with an operation left is wrong. (A decimal may be the rounded value of an honest ``1+\sqrt{2}``.)
"""

from __future__ import annotations

import re
from fractions import Fraction

from tw_plugins.grading.numbers import is_near, plain_number
from tw_plugins.grading.simple import compare_simply

__all__ = ["compare_plainly"]

_ROUNDING = 0.001  # the sides of an honest chain of equations differ by no more than rounding

_TEXT = re.compile(r"\\text\s*\{([^{}\\]*)\}")
_RELATION = re.compile(r"[{}]|=|\\approx(?![A-Za-z])")
_SIGN = re.compile(r"(^|[=({\[|<>~^,;$]|\\(?:quad|pm|mp|lor|land|le|ge|ne|in)(?![a-z]))\s*[+-]")
_POWER_OF_TEN = re.compile(r"(?<=[0-9])\s*(?:\\times|\\cdot|\*)\s*10\s*\^")
_WORK = re.compile(
    r"[-+]|\\(?:sum|prod|int|lim|binom|gcd|lcm|min|max|[bp]?mod)(?![A-Za-z])"
    r"|(?:\*|\\times|\\cdot)\s*(?:[0-9({]|\\[dt]?frac|\\sqrt|\\left)"  # not that of two units
)


def compare_plainly(answer: str, reference: str, tolerance: float = 0.0) -> bool | None:
    """Whether the two are the same, or None where only the worker can say. Nothing is no answer."""
    if not answer or not reference or answer == reference:
        return bool(answer) and answer == reference
    same = compare_simply(answer, reference, tolerance)
    if same is not None:
        return same
    wanted = plain_number(reference)
    # The reference is an exact number: work left in the box is the problem copied, not its answer.
    return False if wanted and wanted.unit is None and not _is_worked_out(answer) else None


def _is_worked_out(answer: str) -> bool:
    r"""Whether what stands after the last ``=`` has no operation left, and no two numbers are called equal.

    A sign, a quotient, a power, a root and ``3 \times 10^{5}`` are no operation here: answers are written so.
    """
    # A unit in \text has no operations; a number in one may.
    sides = _sides(_TEXT.sub(lambda text: text[1] if re.search("[0-9]", text[1]) else " ", answer))
    numbers = [number.value for side in sides if (number := plain_number(side)) is not None]
    if not all(_are_near(number, numbers[0]) for number in numbers):
        return False
    return not _WORK.search(_SIGN.sub(r"\1", _POWER_OF_TEN.sub("", sides[-1])))


def _are_near(one: Fraction, other: Fraction) -> bool:
    return one == other or is_near(one, other, _ROUNDING)


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
