"""Equations and inequalities: the same when one is a constant times the other, or side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy

from tw_plugins.grading.exact import evaluated, is_proportional
from tw_plugins.grading.latex import ReadError, read
from tw_plugins.grading.structure import Leaf, Node, Relation

__all__ = ["are_same_relations", "is_inequality"]

_TURNED = {">": "<", ">=": "<="}
_ORDER = {"<", "<=", ">", ">=", "!="}


def is_inequality(relation: Relation) -> bool:
    """Whether a relation orders, as ``x < 1`` and ``x \\ne 1`` do."""
    return _ORDER.issuperset(relation.operators)


def are_same_relations(given: Relation, wanted: Relation, same: Callable[[Node, Node], bool]) -> bool:
    """Whether two relations hold for the same values; False where that is not to be seen."""
    one, other = ascending(given), ascending(wanted)
    if one.operators != other.operators:
        return False
    if len(one.sides) == 2 and one.operators[0] in {"=", "<", "<=", "!="}:
        return _are_multiples(one, other)
    return all(map(same, one.sides, other.sides))


def ascending(relation: Relation) -> Relation:
    """``b > a`` as ``a < b``; what mixes the directions stays as it is."""
    if not _TURNED.keys() >= set(relation.operators):
        return relation
    return Relation(relation.sides[::-1], tuple(_TURNED[each] for each in relation.operators[::-1]))


def _are_multiples(one: Relation, other: Relation) -> bool:
    differences = difference(one), difference(other)
    if None in differences:
        return False
    if one.operators[0] not in {"=", "!="}:
        return is_proportional(*differences, positive=True)
    return is_proportional(*differences) or is_proportional(*map(_numerator, differences))


def difference(relation: Relation) -> Any:
    """Left side minus right side; None where one cannot be read."""
    left, right = relation.sides
    if not isinstance(left, Leaf) or not isinstance(right, Leaf):
        return None
    try:
        return evaluated(read(left.text)) - evaluated(read(right.text))
    except (ReadError, TypeError):
        return None


def _numerator(expression: Any) -> Any:
    return sympy.fraction(sympy.together(expression))[0]
