r"""Equations ``lhs = value`` in text: the intermediate results that a piece of reasoning has worked out.

The left side is what stands before the sign on its line: numbers, single letters, LaTeX commands, names of
functions before their bracket, operators, brackets. A word, a full stop, a colon or a comma outside of
brackets ends it, so of "so the sum is 3 + 4 = 7." the equation is ``3+4 = 7``. The right side is a number, a
fraction ``a/b`` or a ``\boxed`` one, and nothing that goes on after it: ``x = 2y`` and ``x = 2 + y`` have no
value yet. Other ways to write the same thing (``4+3``, ``7.0``) are other equations.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Equation", "equations"]

_LEXEME = re.compile(
    r"""
    (?P<end>   ^[^\S\n]*[-+*•][^\S\n]+ | \n )              # a bullet, a new line
  | (?P<space> [^\S\n]+ | & | \$ | \\[,;:!\ ] | \\left\b | \\right\b )
  | (?P<part>  \d+(?:,\d{3}(?!\d))*(?:\.\d+)? | \\[A-Za-z]+ | [A-Za-z]+(?=\()
             | (?<![A-Za-z])[A-Za-z](?![A-Za-z]) | [+\-−*/^×·÷()\[\]{}_!%|,] )
  | (?P<equals> (?<![=<>!≤≥:])=(?!=) )
  | (?P<other> . )
    """,
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)
_NUMBER = r"[-+−]?\s*\d+(?:,\d{3}(?!\d))*(?:\.\d+)?(?:\s*/\s*\d+)?%?"
_VALUE = re.compile(
    rf"""
    (?: [^\S\n]|\$|& )*+ (?: \\boxed\{{\s*(?P<boxed>{_NUMBER})\s*\}} | (?P<plain>{_NUMBER}) )
    (?! \w | [.,]\d | [^\S\n]*(?: [+−*/^×·÷({{_!] | -\s?[\d\\(] | \\(?:cdot|times|div|frac|sqrt)\b ) )
    """,
    re.VERBOSE,
)
_CLOSING = {"(": ")", "[": "]", "{": "}"}


class Equation(NamedTuple):
    """Both sides without white space, and without the commas of thousands on the right."""

    lhs: str
    value: str


def equations(text: str) -> set[Equation]:
    """The equations of a text; one that only repeats its value (``5 = 5``) says nothing and is left out."""
    found: set[Equation] = set()
    parts: list[str] = []
    for match in _LEXEME.finditer(text):
        if match.lastgroup == "part":
            parts.append(match[0])
        elif match.lastgroup == "equals":
            lhs, value = _left_side(parts), _VALUE.match(text, match.end())
            if lhs and value and lhs != (number := _plain(value["boxed"] or value["plain"])):
                found.add(Equation(lhs, number))
            parts = []
        elif match.lastgroup != "space":
            parts = []
    return found


def _left_side(parts: list[str]) -> str:
    """Joined; what stands up to an unmatched bracket, or leads as an operator, belongs to something else."""
    first = 0
    depth: list[int] = []
    for index, part in enumerate(parts):
        if part in _CLOSING:
            depth.append(index)
        elif part in _CLOSING.values():
            if depth:
                depth.pop()
            else:
                first = index + 1
        elif part == "," and not depth:
            first = index + 1
    if depth:
        first = max(first, depth[-1] + 1)
    while first < len(parts) and parts[first] in "+*/^×·÷":
        first += 1
    return "".join(parts[first:])


def _plain(number: str) -> str:
    return re.sub(r"[\s,]", "", number).replace("−", "-").removeprefix("+")
