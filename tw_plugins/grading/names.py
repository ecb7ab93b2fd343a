r"""The name that stands before an answer's value: ``x = 3``, ``f(x) = x^2``, ``|AB| = 5``, ``x \in [0,1]``.

A name has letters and no number of its own. Worked-out left sides (``\binom{5}{2} = 10``) count as one where
nothing on either side is a variable; ``2x + 1 = 7`` is an equation and has none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tw_plugins.grading.exact import is_closed
from tw_plugins.grading.numbers import plain_number
from tw_plugins.grading.structure import Brackets, Leaf, Node, Ratio, Relation, parse

__all__ = ["Named", "is_name", "is_variable", "named", "same_name"]

_INDEX = re.compile(
    r"_\s*(?:\{(?:[^{}]|\{[^{}]*\})*\}|\\text\{[^{}]*\}|\\[a-z]+|\w)"
    r"|\^\s*\{\s*-1\s*\}\s*\([^()]*\)|(?<=[A-Za-z'])\s*\([^()]*\)"
)
_OPERATION = re.compile(r"[-+*^]|\\(?:cdot|times)(?![a-z])|(?<![A-Za-z\\])[a-z]\s*[a-z](?![A-Za-z])")
_VARIABLE = re.compile(r"[A-Za-z]'*|\\(?!sin|cos|tan|ln|log|exp|arc)[a-z]{2,}")
_POINT = re.compile(r"([A-Z]'?)\s*(\(.*\))")
_KEPT = {"=", "~", "in"}


@dataclass(frozen=True)
class Named:
    """``composite``: of several variables (``m + n``), so that it may be an equation."""

    name: str
    value: Node
    composite: bool = False


def named(node: Node) -> Named | None:
    r"""Name and value of ``name = value``, of a chain of them too; None where there is no name."""
    if isinstance(node, Leaf) and (point := _POINT.fullmatch(node.text)):
        return Named(point[1], parse(point[2])) if isinstance(parse(point[2]), Brackets) else None
    if not isinstance(node, Relation) or not _KEPT.issuperset(node.operators):
        return None
    sides, operators = list(node.sides), list(node.operators)
    # An approximation is no value where the exact one stands before it.
    while operators[-1:] == ["~"] and (len(sides) > 2 or not is_name(sides[0])):
        del sides[-1], operators[-1]
    if not operators:
        return Named("", sides[0])
    if "in" in operators and len(operators) > 1:
        return None
    numbers = {
        number.value for side in sides if isinstance(side, Leaf) and (number := plain_number(side.text))
    }
    if len(numbers) > 1:
        return None
    if is_name(sides[0]):
        return Named(_text(sides[0]), sides[-1], bool(_OPERATION.search(_bare(_text(sides[0])))))
    closed = "in" not in operators and all(isinstance(side, Leaf) and is_closed(side.text) for side in sides)
    return Named("", sides[-1]) if closed else None


def is_name(node: Node) -> bool:
    """Whether a side of a relation is a name."""
    if isinstance(node, Brackets):
        return all(map(is_name, node.items))
    if isinstance(node, Ratio):
        return all(map(is_name, node.parts))
    text = _bare(_text(node))
    if re.search(r"\d|\\(?:infty|pi|emptyset|mathbb|sqrt|text\{\s*(?:no|yes|true|false))", text):
        return False
    return bool(re.search("[A-Za-z]", text)) and text.strip() not in {"e", "i"}


def is_variable(node: Node) -> bool:
    """Whether a side of an inequality is one variable, or ``f(x)``; ``|x|`` and ``\\ln x`` are not."""
    return isinstance(node, Leaf) and bool(_VARIABLE.fullmatch(_bare(_text(node)))) and is_name(node)


def same_name(one: str, other: str) -> bool:
    """Whether two names are one; ``y`` is the ``f(x)`` of the other side, and no name is any."""
    if not one or not other or one == other:
        return True
    return any(a == "y" and re.fullmatch(r"[fghy]\([a-z]\)", b) for a, b in ((one, other), (other, one)))


def _text(node: Node) -> str:
    match node:
        case Leaf():
            return re.sub(r"\s|\\text(?=\{)", "", node.text)
        case Brackets():
            return "(" + ",".join(map(_text, node.items)) + ")"
        case Ratio():
            return ":".join(map(_text, node.parts))
    return ""


def _bare(text: str) -> str:
    """Without indices and arguments, which may be numbers."""
    return _INDEX.sub("", text)
