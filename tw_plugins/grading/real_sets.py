r"""Sets of real numbers: intervals, unions and inequalities of one variable, as SymPy's sets."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import sympy

from tw_plugins.grading.exact import are_same, evaluated
from tw_plugins.grading.latex import ReadError, read
from tw_plugins.grading.names import is_variable, named
from tw_plugins.grading.relations import ascending, difference, is_inequality
from tw_plugins.grading.structure import Brackets, Leaf, List, Node, Relation, SetOperation

__all__ = ["KNOWN_SETS", "are_same_sets", "as_interval", "is_known_set"]

KNOWN_SETS = {
    r"\emptyset": sympy.S.EmptySet,
    r"\mathbb{R}": sympy.S.Reals,
    r"\mathbb{Z}": sympy.S.Integers,
    r"\mathbb{N}": sympy.S.Naturals,
}
_JOINED = {"union": sympy.Union, "intersection": sympy.Intersection, "minus": sympy.Complement}


class _NoSetError(Exception):
    """A node that is no set of real numbers, or of which SymPy cannot say."""


def is_known_set(node: Node) -> bool:
    """Whether a leaf is the name of a set of numbers, the empty one too."""
    return isinstance(node, Leaf) and node.text.strip() in KNOWN_SETS


def as_interval(node: Node) -> Node:
    """``a < x \\le b`` as ``(a, b]``, whatever its ends are; any other node as it is."""
    relation = ascending(node) if isinstance(node, Relation) else None
    if relation is None or len(relation.sides) != 3 or not is_variable(relation.sides[1]):
        return node
    if not {"<", "<="}.issuperset(relation.operators):
        return node
    opening, closing = (
        ("[" if relation.operators[0] == "<=" else "("),
        ("]" if relation.operators[1] == "<=" else ")"),
    )
    return Brackets(opening, closing, (relation.sides[0], relation.sides[2]))


def are_same_sets(given: Node, wanted: Node) -> bool:
    """Whether two nodes are the same set of real numbers, of the same variable where both name one."""
    names = _names(given), _names(wanted)
    if all(names) and names[0] != names[1]:
        return False
    try:
        one, other = _set(given), _set(wanted)
        return bool(one == other) or _are_same_pieces(_pieces(one), _pieces(other))
    except (_NoSetError, ReadError, TypeError, ValueError, NotImplementedError, AttributeError):
        return False  # SymPy's sets raise all of these for ends that they cannot order


def _names(node: Node) -> frozenset[str]:
    match node:
        case Relation():
            return frozenset(
                side.text.strip() for side in node.sides if isinstance(side, Leaf) and is_variable(side)
            )
        case List():
            return frozenset().union(*map(_names, node.items))
    return frozenset()


def _set(node: Node) -> Any:
    match node:
        case Leaf() if is_known_set(node):
            return KNOWN_SETS[node.text.strip()]
        case Brackets("{", "}"):
            return sympy.FiniteSet(*map(_number, node.items))
        case Brackets() if len(node.items) == 2:
            return sympy.Interval(*map(_number, node.items), node.opening == "(", node.closing == ")")
        case SetOperation():
            return _JOINED[node.kind](_set(node.left), _set(node.right))
        case List():
            return _of_list(node)
        case Relation() if is_inequality(node):
            return _of_inequality(ascending(node))
        case Relation() if found := named(node):
            return _set(found.value) if node.operators[-1] == "in" else sympy.FiniteSet(_number(found.value))
    raise _NoSetError


def _of_list(node: List) -> Any:
    """``x < 1 \\lor x > 2`` is a union; so are inequalities that exclude each other."""
    sets = [_set(item) for item in _repeated(node.items)]
    relations = [isinstance(item, Relation) for item in node.items]
    if node.joint == "or" or not any(relations):
        return sympy.Union(*sets)
    both = reduce(sympy.Intersection, sets)
    return sympy.Union(*sets) if both is sympy.S.EmptySet and all(relations) else both


def _repeated(items: Sequence[Node]) -> list[Node]:
    """``x \\ne 0, 1`` says ``x \\ne 1`` too."""
    full: list[Node] = []
    for item in items:
        before = full[-1] if full else None
        if isinstance(item, Leaf) and isinstance(before, Relation) and before.operators == ("!=",):
            item = Relation((before.sides[0], item), ("!=",))
        full.append(item)
    return full


def _of_inequality(relation: Relation) -> Any:
    sides = relation.sides
    if len(sides) == 3 and "!=" not in relation.operators:
        pairs = [Relation(sides[place : place + 2], (relation.operators[place],)) for place in (0, 1)]
        return sympy.Intersection(*map(_of_inequality, pairs))
    if len(sides) != 2:
        raise _NoSetError
    operator = relation.operators[0]
    if is_variable(sides[0]) and not is_variable(sides[1]):
        return _half(_number(sides[1]), operator, below=operator in {"<", "<="})
    if is_variable(sides[1]) and not is_variable(sides[0]):
        return _half(_number(sides[0]), operator, below=operator in {">", ">="})
    return _solved(difference(relation), operator)


def _half(end: Any, operator: str, below: bool) -> Any:
    if operator == "!=":
        return sympy.Complement(sympy.S.Reals, sympy.FiniteSet(end))
    strict = operator in {"<", ">"}
    return (
        sympy.Interval(-sympy.oo, end, True, strict) if below else sympy.Interval(end, sympy.oo, strict, True)
    )


def _solved(difference: Any, operator: str) -> Any:
    if difference is None or len(difference.free_symbols) != 1:
        raise _NoSetError
    return sympy.Rel(difference, 0, {"!=": "ne"}.get(operator, operator)).as_set()


def _number(node: Node) -> Any:
    if not isinstance(node, Leaf):
        raise _NoSetError
    number = evaluated(read(node.text))
    if number.free_symbols:
        raise _NoSetError
    return number


def _pieces(found: Any) -> list[Any]:
    """Intervals and points in order."""
    parts = found.args if isinstance(found, sympy.Union) else (found,)
    pieces: list[Any] = []
    for part in parts:
        if isinstance(part, sympy.FiniteSet):
            pieces += [sympy.Interval(point, point) for point in part]
        elif isinstance(part, sympy.Interval):
            pieces.append(part)
        else:
            raise _NoSetError
    return sorted(pieces, key=lambda piece: float(piece.inf) if piece.inf.is_finite else float("-inf"))


def _are_same_pieces(one: list[Any], other: list[Any]) -> bool:
    return len(one) == len(other) and all(map(_is_same_piece, one, other))


def _is_same_piece(one: Any, other: Any) -> bool:
    if one.is_FiniteSet or other.is_FiniteSet:
        return one.is_FiniteSet and other.is_FiniteSet and are_same(*one.args, *other.args)
    ends = (one.left_open, one.right_open) == (other.left_open, other.right_open)
    return ends and are_same(one.start, other.start) and are_same(one.end, other.end)
